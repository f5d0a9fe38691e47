"""The children of the prefork pool: a SIGTERM to the whole process group ends no drain in the middle of a request.

systemd, honcho and Heroku send it to every process of a service. The worker's main process stops the drains then, and
its children when they have ended; a child that took the signal for its own would leave its lanes to their leases.
"""

from __future__ import annotations

import signal
from typing import Any

from billiard import current_process
from celery.signals import task_prerun, worker_process_init

from ..wiring import stop

__all__ = ["outlast_group_signals"]


def outlast_group_signals() -> None:
    """In the children that this process will fork."""
    worker_process_init.connect(_in_child, weak=False, dispatch_uid="sockudo_publisher.children")


def _in_child(**_: Any) -> None:
    if current_process().name == "MainProcess":
        return  # Celery's solo pool calls the worker itself a process of its pool
    # billiard sets its own handler after this; before the first task that is done.
    task_prerun.connect(_take_signal_over, weak=False, dispatch_uid="sockudo_publisher.children")


def _take_signal_over(**_: Any) -> None:
    task_prerun.disconnect(dispatch_uid="sockudo_publisher.children")
    ends = signal.getsignal(signal.SIGTERM)
    if not callable(ends):  # ignored already, where SIGTERM is remapped
        return

    def handle(number: int, frame: Any) -> None:
        if stop.flag.is_cold():
            ends(number, frame)

    signal.signal(signal.SIGTERM, handle)
