"""The Celery app that runs drains: ``celery -A worker worker``, ``sockudo-publisher worker``.

Assembles only: the private app with its tasks, the stop that reaches every pool, and the sweep as a
step of the worker. Importing it makes this process a worker's.
"""

from __future__ import annotations

from .. import tasks as _tasks  # noqa: F401 -- registers publish and drain
from ..celery_app import celery_app as app
from .stop import install_stop
from .sweep import Sweep

__all__ = ["app"]

install_stop()
app.steps["worker"].add(Sweep)
