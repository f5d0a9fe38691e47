"""What ``publish.delay`` returns: a Celery result that is there at once, with or without a backend."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import states
from celery.result import EagerResult
from vine import promise

__all__ = ["StoredResult"]


class StoredResult(EagerResult):  # type: ignore[misc]
    """The result of ``publish.delay``: the event is stored; ``id`` and ``get()`` are its message id."""

    _state = states.SUCCESS
    _traceback = None
    _name = "sockudo_publisher.publish"

    def __init__(self, message_id: str) -> None:
        self.id = self._result = message_id

    @cached_property
    def on_ready(self) -> Any:
        """Celery's promise for ``then``; made when it is asked for, as it costs half of the result."""
        ready = promise()
        ready(self)
        return ready

    def get(self, *_args: Any, **_kwargs: Any) -> str:
        """The message id, at once, inside a task too."""
        return str(self.id)

    wait = get

    def __reduce_args__(self) -> tuple[str]:
        return (self.id,)

    def __repr__(self) -> str:
        return f"<StoredResult: {self.id}>"
