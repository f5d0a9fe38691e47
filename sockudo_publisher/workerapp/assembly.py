"""The worker's Celery app, assembled: ``celery -A worker worker``, ``sockudo-publisher worker``.

The private app with its tasks, the look at the settings, the stop that reaches every pool, and the sweep, the
canaries and the schedule as steps of the worker. Importing it makes this process a worker's.
"""

from __future__ import annotations

import logging

from ..errors import ConfigurationError
from .check_settings import refuse, start_with_worker

try:
    # They register their tasks, for which Celery reads our settings.
    from ..tasks import publish as _publish  # noqa: F401
    from . import drain_task as _drain_task  # noqa: F401
except ConfigurationError as error:
    refuse(error)
from ..wiring.private_celery import celery_app as app
from ..wiring.redis_scripts import send_scripts_with_eval
from ..wiring.stop import stop_with_worker
from . import about as _about  # noqa: F401 -- answers the doctor
from .children import prepare_children
from .log_filter import hide_payloads
from .logs import quiet_drains, set_format_with_worker
from .printable_logs import make_names_printable
from .remote_answers import hide_secrets
from .remote_control import keep_green_pidbox, refuse_commands
from .steps.canaries import CanaryStep
from .steps.due import DueStep
from .steps.endpoints import HttpEndpoints
from .steps.sweep import Sweep

__all__ = ["app"]

start_with_worker()
stop_with_worker()
hide_payloads()
quiet_drains()
set_format_with_worker()
make_names_printable()
hide_secrets()
send_scripts_with_eval()
refuse_commands()
keep_green_pidbox()
prepare_children()
app.steps["worker"].add(Sweep)
app.steps["worker"].add(CanaryStep)
app.steps["worker"].add(HttpEndpoints)
app.steps["worker"].add(DueStep)
# At DEBUG Celery's pools write the first kilobyte of every message, and payloads with it.
logging.getLogger("celery.pool").setLevel(logging.INFO)
