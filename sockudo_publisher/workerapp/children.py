"""The children of the prefork pool at the worker's end: no request is cut, and none waits for an answer in vain.

systemd, honcho and Heroku send SIGTERM to every process of a service. The worker's main process stops the drains then,
and its children when they have ended; a child that took the signal for its own would leave its lanes to their leases.
"""

from __future__ import annotations

import signal
from typing import Any

from billiard import current_process, pool
from celery.signals import task_prerun, worker_process_init

from ..wiring import stop

__all__ = ["prepare_children"]

#: Looks of a child, 0.1 s apart, whether the main process has read all its results. By billiard's own count it looks
#: for 30 s, and in vain: a task that the pool's stop finds handed over and not begun yet is run, and its result is not
#: read any more. A lost result does no harm here: its message is delivered again, and stores and sends nothing twice.
LOOKS_FOR_RESULTS = 20


def prepare_children() -> None:
    """Of the children that this process will fork."""
    worker_process_init.connect(_in_child, weak=False, dispatch_uid="sockudo_publisher.children")


def _in_child(**_: Any) -> None:
    if current_process().name == "MainProcess":
        return  # Celery's solo pool calls the worker itself a process of its pool
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = LOOKS_FOR_RESULTS
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
