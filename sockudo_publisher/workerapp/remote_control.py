"""Celery's remote control: commands that would harm this package's tasks are refused with the reason.

A time limit would end a drain in the middle of a request, or drop a `publish` message whose event is not stored yet.
Drains depend on the number of slots and would not notice a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.worker import pidbox
from celery.worker.control import Panel, nok

from ..redaction import package_logger

__all__ = ["GreenPidbox", "keep_green_pidbox", "refuse_commands"]

logger = package_logger("sockudo_publisher.worker")

#: Seconds between two connections of a green pool's remote control.
AGAIN_S = 1.0

_REFUSED = {
    "time_limit": "this package's tasks end by themselves and take no time limit",
    "rate_limit": "this package's tasks take no rate limit: SOCKUDO_MAX_RATE limits events",
    "pool_grow": "start the worker with another --concurrency",
    "pool_shrink": "start the worker with another --concurrency",
    "autoscale": "start the worker with another --concurrency",
    "pool_restart": "restart the worker",
}


def refuse_commands() -> None:
    """Refuse those commands in this worker process."""
    for name, message in _REFUSED.items():
        Panel.data[name] = _make_refusal(message)


def _make_refusal(message: str) -> Callable[..., Any]:
    def refuse(_state: Any, *_args: Any, **_options: Any) -> Any:
        return nok(message)

    return refuse


class GreenPidbox(pidbox.gPidbox):  # type: ignore[misc]
    """The greenlet that hears commands in a green pool: an error on its own connection does not end it in silence.

    A worker without it delivers and answers no health check, until it is restarted.
    """

    def loop(self, c: Any) -> None:
        """Celery's, again after an error; until the consumer stops or connects again, which starts another."""
        connection = c.connection
        while True:
            try:
                super().loop(c)
            except Exception as error:  # noqa: BLE001 -- whatever the broker's client raises
                if not connection or c.connection is not connection:
                    return
                logger.warning("remote control connects again after an error error=%s", type(error).__name__)
                time.sleep(AGAIN_S)
            else:
                return


def keep_green_pidbox() -> None:
    """In this process: the pidbox that Celery makes for green pools is ours."""
    pidbox.gPidbox = GreenPidbox
