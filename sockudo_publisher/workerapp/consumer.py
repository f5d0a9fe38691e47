"""The worker's consumer: Celery's, which connects again after every error of the broker, with a pause.

Celery ends a worker for an error that the broker answers (``broker_channel_error_retry`` is set for ours), and
connects again at once, ten times a second, where the broker refuses each time.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.worker import consumer as celery_consumer
from celery.worker import state as worker_state

__all__ = ["Consumer"]

#: Seconds between two connections, where the broker has refused and was not away: kombu waits itself then.
PAUSE_S = 1.0

#: Seconds of one nap inside it: bounds how long a shutdown is not seen.
NAP_S = 0.1

# That a later Celery will cancel tasks on a lost connection is settled in our configuration; the text is long.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning, module="celery.worker.consumer")


class Consumer(celery_consumer.Consumer):  # type: ignore[misc]
    """Raises Celery's ``WorkerShutdown`` out of a pause."""

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Celery's, and a pause after an error that the broker answered."""
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, self.channel_errors):
            _pause()

    def on_connection_error_before_connected(self, exc: Any) -> None:
        """Celery's, and a pause."""
        super().on_connection_error_before_connected(exc)
        _pause()


def _pause() -> None:
    ends_at = time.monotonic() + PAUSE_S
    while time.monotonic() < ends_at:
        worker_state.maybe_shutdown()
        time.sleep(NAP_S)
