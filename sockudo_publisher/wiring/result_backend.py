"""Where results of `publish` messages are kept: Celery's Redis backends, asked only by those who want a result.

Celery subscribes to a result before it sends the message. Nobody waits for most countdown events, and
the subscription would make a caller wait for the journal's Redis, for ever when it is frozen, though
the broker alone is needed. `AsyncResult.get()` subscribes itself, and then looks at what is stored.
"""

from __future__ import annotations

from celery.backends.redis import RedisBackend, SentinelBackend

__all__ = ["RedisResults", "SentinelResults"]


class RedisResults(RedisBackend):  # type: ignore[misc]
    """Celery's, without the subscription at the call."""

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Nothing."""


class SentinelResults(SentinelBackend):  # type: ignore[misc]
    """Celery's, without the subscription at the call."""

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Nothing."""
