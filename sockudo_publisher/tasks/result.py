"""The results of ``publish``: of a stored event, of one that is due later, and of one that was sent eagerly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from celery import Celery, states
from celery import result as celery_result
from celery.exceptions import TaskRevokedError
from vine import promise

from ..wiring.app import app_named
from .other_apps import find_signature_app

if TYPE_CHECKING:
    from celery.result import AsyncResult as _Result
else:
    _Result = object

__all__ = ["PublishResult", "ScheduledResult", "StoredResult", "UnstoredResult", "eager_result"]


class PublishResult(_Result):  # type: ignore[misc]
    """A Celery result whose ``id`` and ``get()`` are the event's message id. Names the types for checkers.

    ``stored``: ``True``: the journal has the event (a countdown: its schedule has). With
    ``SOCKUDO_ON_UNAVAILABLE=log`` also ``False``: it has not, or ``None``: unknown.
    """

    stored: bool | None = True

    if TYPE_CHECKING:
        id: str

        def get(self, timeout: float | None = None, *args: Any, **options: Any) -> str:
            """The message id: at once if the event is stored, else when a worker has stored it."""

        def ready(self) -> bool:
            """Whether the event is stored, or refused."""

        def successful(self) -> bool:
            """Whether the event is stored."""

        def failed(self) -> bool:
            """Whether it was refused."""


class StoredResult(celery_result.EagerResult, PublishResult):  # type: ignore[misc]
    """The result of ``publish.delay``: the event is stored; ``id`` and ``get()`` are its message id.

    Beside other results (``ResultSet``, ``GroupResult``) it is a ready one, without being in their backend. A stored
    event stays stored: ``revoke`` and ``forget`` change nothing.
    """

    _state = states.SUCCESS
    _result: Any
    _traceback = None
    _name = "sockudo_publisher.publish"
    _ignored = False

    def __init__(self, message_id: str) -> None:
        self.id = self._result = message_id

    @property
    def app(self) -> Celery:
        """The application's Celery app, else ours: a set of results waits with the app of its first one."""
        return find_signature_app()

    @property
    def backend(self) -> Any:
        """The result backend of that app."""
        return self.app.backend

    @property
    def on_ready(self) -> Any:
        """Celery's promise for ``then``. Made on first use: it would double the cost of the result."""
        # No cached_property, which has a lock before Python 3.12: a fork would meet it locked.
        if "_on_ready" not in self.__dict__:
            ready = promise()
            ready(self)
            self.__dict__.setdefault("_on_ready", ready)
        return self.__dict__["_on_ready"]

    @property
    def children(self) -> list[Any]:
        """None: the event is delivered by no task of the caller."""
        return []

    def get(self, *_args: Any, callback: Any = None, **_kwargs: Any) -> str:
        """The message id, at once, inside a task too."""
        if callback is not None:
            callback(self.id, self.id)
        return str(self.id)

    wait = get

    def exists(self) -> bool:
        """True: the event is stored, though no backend has the result."""
        return True

    def forget(self) -> None:
        """Nothing to forget: no backend has the result."""

    def revoke(self, *_args: Any, **_kwargs: Any) -> None:
        """No effect: the event is stored, and the state stays SUCCESS."""

    revoke_by_stamped_headers = revoke

    def __del__(self) -> None:
        """Nothing to clean up; Celery's own would ask the backend."""

    def __reduce_args__(self) -> tuple[str, ...]:
        return (self.id,)

    def __repr__(self) -> str:
        return f"<StoredResult: {self.id}>"


class UnstoredResult(StoredResult):
    """The result of an event that could not be stored, where the caller goes on (``SOCKUDO_ON_UNAVAILABLE=log``).

    ``stored``: ``False``, or ``None`` if that is unknown. ``id``: its message id, which repeats the call safely as
    ``key=``. The state is FAILURE, and ``get()`` raises the error.
    """

    _state = states.FAILURE

    def __init__(self, message_id: str, error: Exception, *, stored: bool | None) -> None:
        super().__init__(message_id)
        self._error = error
        self.stored = stored

    def get(
        self,
        timeout: float | None = None,  # noqa: ARG002 -- nothing is waited for
        propagate: bool = True,
        *_args: Any,
        **_kwargs: Any,
    ) -> Any:
        """Raise the error; returns it if not ``propagate``."""
        if propagate:
            raise self._error
        return self._error

    wait = get

    @property
    def result(self) -> Exception:
        """The error."""
        return self._error

    def exists(self) -> bool:
        """False: the event is not stored, as far as is known."""
        return False

    def __reduce__(self) -> Any:
        return _unstored_again, (self.id, self._error, self.stored)

    def __repr__(self) -> str:
        return f"<UnstoredResult: {self.id} stored={self.stored}>"


def _unstored_again(message_id: str, error: Exception, stored: bool | None) -> UnstoredResult:
    return UnstoredResult(message_id, error, stored=stored)


class ScheduledResult(StoredResult):
    """The result of a countdown: the event is stored in the schedule; ``id`` is its message id.

    Its state is SUCCESS, and REVOKED from the time at which :meth:`revoke`, ``operations.cancel`` or an operator took
    the event back. ``state``, ``get()`` and what is made of them ask Redis, and raise :class:`JournalUnavailable` if it
    fails. That an event was taken back is known for ``SOCKUDO_KEY_TTL``.
    """

    def __init__(self, message_id: str, app_name: str) -> None:
        super().__init__(message_id)
        self._app_name = app_name

    def revoke(self, *_args: Any, **_kwargs: Any) -> None:
        """Take the event back on all its channels, and free its ``key``; no effect once it is due."""
        app_named(self._app_name).schedule_book().cancel(self.id)

    def revoke_by_stamped_headers(self, *_args: Any, **_kwargs: Any) -> None:
        """No effect: no message has the headers."""

    @property
    def state(self) -> str:
        """SUCCESS or REVOKED."""
        is_cancelled = app_named(self._app_name).schedule_book().is_cancelled(self.id)
        return str(states.REVOKED if is_cancelled else states.SUCCESS)

    status = state

    def ready(self) -> bool:
        """True: the event is stored, or was taken back."""
        return True

    def successful(self) -> bool:
        """Whether the event is stored, and was not taken back."""
        return bool(self.state == states.SUCCESS)

    def failed(self) -> bool:
        """False: a bad event is refused at the call."""
        return False

    @property
    def result(self) -> Any:
        """The message id, or Celery's ``TaskRevokedError``."""
        return TaskRevokedError("revoked") if self.state == states.REVOKED else self.id

    def get(
        self,
        timeout: float | None = None,  # noqa: ARG002 -- nothing is waited for
        propagate: bool = True,
        *_args: Any,
        callback: Any = None,
        **_kwargs: Any,
    ) -> Any:
        """The message id, at once. Raises Celery's ``TaskRevokedError`` if the event was taken back."""
        value = self.result
        if isinstance(value, Exception) and propagate:
            raise value
        if callback is not None:
            callback(self.id, value)
        return value

    wait = get

    def __reduce_args__(self) -> tuple[str, ...]:
        return (self.id, self._app_name)

    def __repr__(self) -> str:
        return f"<ScheduledResult: {self.id}>"


class EagerResult(celery_result.EagerResult, PublishResult):  # type: ignore[misc]
    """The result of an event that was sent eagerly. It can be used as a :class:`StoredResult` can."""

    @property
    def stored(self) -> bool:  # type: ignore[override]
        """Whether it was sent."""
        return bool(self.successful())

    def get(
        self, timeout: float | None = None, propagate: bool = True, *_args: Any, callback: Any = None, **_kwargs: Any
    ) -> Any:
        """The message id, at once, inside a task too. Raises the error of sending if ``propagate``."""
        value = super().get(timeout, propagate, disable_sync_subtasks=False)
        if callback is not None:
            callback(self.id, value)
        return value

    wait = get

    def revoke(self, *_args: Any, **_kwargs: Any) -> None:
        """No effect: the event is sent, or has failed."""


def eager_result(result: Any) -> PublishResult:
    """The result of Celery's ``apply`` as one of this package."""
    if isinstance(result, celery_result.EagerResult):
        result.__class__ = EagerResult
    return cast(PublishResult, result)
