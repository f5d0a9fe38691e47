"""The results of ``publish``: of an event that is stored, of one that was sent eagerly, and of a countdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from celery import Celery, states
from celery import result as celery_result
from vine import promise

from ..redaction import package_logger
from ..wiring.private_celery import celery_app
from .other_apps import find_signature_app

if TYPE_CHECKING:
    from celery.result import AsyncResult as _Result
else:
    _Result = object

__all__ = ["PublishResult", "StoredResult", "UnstoredResult", "countdown_result", "eager_result"]

logger = package_logger("sockudo_publisher.stored_result")


class PublishResult(_Result):  # type: ignore[misc]
    """A Celery result whose ``id`` and ``get()`` are the event's message id. Names the types for checkers.

    ``stored``: ``True``: the journal has the event (a countdown: the broker has its message). With
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

    def __reduce_args__(self) -> tuple[str]:
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
        self._result = error
        self.stored = stored

    def get(self, *args: Any, propagate: bool = True, **_kwargs: Any) -> Any:
        """Raise the error; returns it if not ``propagate``, which may also be the second argument, as in Celery."""
        if args[1] if len(args) > 1 else propagate:
            raise self._result
        return self._result

    wait = get

    def exists(self) -> bool:
        """False: the event is not stored, as far as is known."""
        return False

    def __reduce__(self) -> Any:
        return _unstored_again, (self.id, self._result, self.stored)

    def __repr__(self) -> str:
        return f"<UnstoredResult: {self.id} stored={self.stored}>"


def _unstored_again(message_id: str, error: Exception, stored: bool | None) -> UnstoredResult:
    return UnstoredResult(message_id, error, stored=stored)


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


class AsyncResult(celery_result.AsyncResult, PublishResult):  # type: ignore[misc]
    """The result of a countdown: our worker stores the event, and only our workers can revoke it."""

    app: Any

    @property
    def supports_native_join(self) -> bool:
        """False for our backend: a set would ask it for the application's results too, and wait for ever."""
        return self.app is not celery_app and bool(super().supports_native_join)

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Celery's, through our broker; the application may have another."""
        self._call_own_broker(super().revoke, args, kwargs)

    def revoke_by_stamped_headers(self, *args: Any, **kwargs: Any) -> None:
        """Celery's, through our broker."""
        self._call_own_broker(super().revoke_by_stamped_headers, args, kwargs)

    def _call_own_broker(self, call: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        theirs, self.app = self.app, celery_app
        try:
            call(*args, **kwargs)
        finally:
            self.app = theirs


def countdown_result(result: Any) -> PublishResult:
    """The result of a countdown. It joins the application's results if these are in the same Redis."""
    if isinstance(result, celery_result.AsyncResult):
        result.__class__ = AsyncResult
        app = find_signature_app()
        if app is not celery_app and _has_our_results(app):
            result.app, result.backend = app, app.backend
    return cast(PublishResult, result)


def _has_our_results(app: Celery) -> bool:
    """Whether another app's backend reads the results that our worker stores."""
    url = app.conf.result_backend
    if not isinstance(url, str) or not url.startswith("redis") or app.conf.result_serializer != "json":
        return False
    try:
        theirs, ours = app.backend, celery_app.backend
        places = [[one.connparams.get(name) for name in ("host", "port", "path", "db")] for one in (theirs, ours)]
        names = [one.get_key_for_task("id") for one in (theirs, ours)]
    except Exception as error:  # noqa: BLE001 -- any error of a backend: the message is sent already
        logger.debug("results of app %r: %s", app.main, type(error).__name__)
        return False
    return places[0] == places[1] and names[0] == names[1]
