"""The result backends of `publish` messages: Celery's Redis backends without the subscription at each call.

Celery subscribes to a result before it sends the message. Most messages have no caller that waits, and the
subscription would make the call wait for the journal's Redis (for ever if it is frozen), although it needs only the
broker. `AsyncResult.get()` subscribes itself and then reads the stored result.
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
