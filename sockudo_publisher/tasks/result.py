"""What ``publish.delay`` returns: a Celery result that is there at once, with or without a backend, eager or not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery import Celery, states
from celery import result as celery_result
from vine import promise

from ..wiring.private_celery import celery_app
from .other_apps import app_of_signatures

__all__ = ["StoredResult", "later_result", "sent_result"]

logger = logging.getLogger("sockudo_publisher.stored_result")


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


class AsyncResult(celery_result.AsyncResult):  # type: ignore[misc]
    """The result of a countdown, which our worker stores, and only our workers can revoke."""

    app: Any

    @property
    def supports_native_join(self) -> bool:
        """Not by our backend, where a set would ask for the application's results, and wait for ever."""
        return self.app is not celery_app and bool(super().supports_native_join)

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Celery's, by our broker: the application's may be another."""
        self._by_our_broker(super().revoke, args, kwargs)

    def revoke_by_stamped_headers(self, *args: Any, **kwargs: Any) -> None:
        """Celery's, by our broker."""
        self._by_our_broker(super().revoke_by_stamped_headers, args, kwargs)

    def _by_our_broker(self, call: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        theirs, self.app = self.app, celery_app
        try:
            call(*args, **kwargs)
        finally:
            self.app = theirs


def later_result(result: Any) -> Any:
    """The result of a countdown as one that stands among the application's, where these are in the same Redis."""
    if isinstance(result, celery_result.AsyncResult):
        result.__class__ = AsyncResult
        app = app_of_signatures()
        if app is not celery_app and _has_our_results(app):
            result.app, result.backend = app, app.backend
    return result


def _has_our_results(app: Celery) -> bool:
    """Whether another app's backend finds what our worker stores."""
    url = app.conf.result_backend
    if not isinstance(url, str) or not url.startswith("redis") or app.conf.result_serializer != "json":
        return False
    try:
        theirs, ours = app.backend, celery_app.backend
        places = [[one.connparams.get(name) for name in ("host", "port", "path", "db")] for one in (theirs, ours)]
        names = [one.get_key_for_task("id") for one in (theirs, ours)]
    except Exception as error:  # noqa: BLE001 -- whatever a backend raises, the message is sent
        logger.debug("results of app %r: %s", app.main, type(error).__name__)
        return False
    return places[0] == places[1] and names[0] == names[1]
