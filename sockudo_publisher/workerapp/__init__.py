"""The Celery app that runs drains: ``celery -A worker worker``, ``sockudo-publisher worker``.

Assembles only: the private app with its tasks, the stop that reaches every pool, and the sweep as a
step of the worker. Importing it makes this process a worker's.
"""

from __future__ import annotations

import logging
import sys

from .. import tasks as _tasks  # noqa: F401 -- registers publish and drain
from ..celery_app import celery_app as app
from ..draining import stop_with_worker
from .pool import asks_for_prefork
from .sweep import Sweep

__all__ = ["app"]

stop_with_worker()
if asks_for_prefork(sys.argv):
    app.conf.worker_pool = "prefork"
app.steps["worker"].add(Sweep)
# At DEBUG Celery's pools write the first kilobyte of every message, and payloads with it.
logging.getLogger("celery.pool").setLevel(logging.INFO)
