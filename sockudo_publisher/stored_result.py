"""What ``publish.delay`` returns: a Celery result that is there at once, with or without a backend, eager or not."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import Celery, states
from celery import result as celery_result
from vine import promise

from .celery_apps import app_of_signatures

__all__ = ["StoredResult", "sent_result"]


class StoredResult(celery_result.EagerResult):  # type: ignore[misc]
    """The result of ``publish.delay``: the event is stored; ``id`` and ``get()`` are its message id.

    It stands among other results as one of theirs that is ready (``ResultSet``, ``GroupResult``), without being in
    their backend. What is stored stays so: ``revoke`` and ``forget`` change nothing.
    """

    _state = states.SUCCESS
    _traceback = None
    _name = "sockudo_publisher.publish"
    _ignored = False

    def __init__(self, message_id: str) -> None:
        self.id = self._result = message_id

    @property
    def app(self) -> Celery:
        """The application's Celery app, ours where it has none: a set of results waits by the first one's."""
        return app_of_signatures()

    @property
    def backend(self) -> Any:
        """That app's."""
        return self.app.backend

    @cached_property
    def on_ready(self) -> Any:
        """Celery's promise for ``then``; made when it is asked for, as it costs half of the result."""
        ready = promise()
        ready(self)
        return ready

    @property
    def children(self) -> list[Any]:
        """None: what delivers the event is no task of the caller's."""
        return []

    def get(self, *_args: Any, callback: Any = None, **_kwargs: Any) -> str:
        """The message id, at once, inside a task too."""
        if callback is not None:
            callback(self.id, self.id)
        return str(self.id)

    wait = get

    def exists(self) -> bool:
        """It does, here: no backend has it."""
        return True

    def forget(self) -> None:
        """Nothing is kept."""

    def revoke(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: the event is stored, and its state stays SUCCESS."""

    revoke_by_stamped_headers = revoke

    def __del__(self) -> None:
        """Nothing waits for it; Celery's would ask the backend."""

    def __reduce_args__(self) -> tuple[str]:
        return (self.id,)

    def __repr__(self) -> str:
        return f"<StoredResult: {self.id}>"


class EagerResult(celery_result.EagerResult):  # type: ignore[misc]
    """The result of an event that was sent where it was called: used as a :class:`StoredResult` is."""

    def get(
        self, timeout: float | None = None, propagate: bool = True, *_args: Any, callback: Any = None, **_kwargs: Any
    ) -> Any:
        """The message id, at once, inside a task too. Raises what sending raised, if ``propagate``."""
        value = super().get(timeout, propagate, disable_sync_subtasks=False)
        if callback is not None:
            callback(self.id, value)
        return value

    wait = get

    def revoke(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: the event is sent, or has failed."""


def sent_result(result: Any) -> Any:
    """What Celery's ``apply`` returned, as a result of ours."""
    if isinstance(result, celery_result.EagerResult):
        result.__class__ = EagerResult
    return result
