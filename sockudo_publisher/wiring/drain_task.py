"""The drain task for any Celery app: its name, its options, and the module with its code.

Publishers ring it and register it with another app; only a worker runs it. Its code is loaded there, by name, when the
worker starts: a publisher's process loads nothing that delivers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from celery import Celery, Task
from celery.signals import worker_init

from .redis_ring import DRAIN_TASK
from .stop import stop_with_worker

__all__ = ["DRAIN_OPTIONS", "DRAIN_TASK", "add_drain_task"]

#: Acknowledged early: a lost doorbell is rung again by the sweep.
DRAIN_OPTIONS: Final = {"name": DRAIN_TASK, "shared": False, "ignore_result": True, "acks_late": False}

#: The module with ``drain(app, lane, channel=None)``.
_MODULE = "sockudo_publisher.workerapp.drain_task"


def add_drain_task(app: Celery) -> None:
    """Let the workers of another app run drains, where one broker serves both apps, and end with a warm shutdown."""
    app.task(_drain, base=Task, **DRAIN_OPTIONS)
    # Before the pool forks: a child that loads it in its first drain spends the time limit of the app's tasks on that.
    worker_init.connect(_load, weak=False, dispatch_uid="sockudo_publisher.load_drain")
    stop_with_worker()


def _load(**_: object) -> None:
    import_module(_MODULE)


def _drain(*args: Any, **kwargs: Any) -> None:
    import_module(_MODULE).drain.run(*args, **kwargs)
