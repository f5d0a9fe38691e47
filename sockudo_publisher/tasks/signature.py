"""A signature of ``publish`` that belongs to the app in which it is used and prints no payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.canvas import Signature

from ..client.wire.json_text import strict_json
from ..wiring.app import app_named
from ..wiring.private_celery import celery_app
from .other_apps import check_registered, find_signature_app, task_of_app

__all__ = ["HIDDEN", "QuietSignature"]

#: Shown instead of arguments in messages, events, logs and signatures.
HIDDEN = "(...)"


class QuietSignature(Signature):  # type: ignore[misc]
    """Celery's signature with another app and ``repr``. It has no type of its own: any program may read its messages.

    The app is looked up when it is needed, because a signature made at import may be older than the app. Before the
    signature becomes part of a canvas, the app must have registered ``publish``: Celery's workers discard a task that
    they do not know.
    """

    @property
    def app(self) -> Celery:
        """The app of the canvas."""
        return self._app or find_signature_app()

    @property
    def type(self) -> Any:
        """``publish`` as a task of that app."""
        return task_of_app(self.app, celery_app.tasks[self["task"]])

    @property
    def AsyncResult(self) -> Any:  # noqa: N802 -- Celery's name
        """The result, in the backend of that app."""
        return self.type.AsyncResult

    @property
    def _apply_async(self) -> Any:
        return self.type.apply_async

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> QuietSignature:
        """Celery's; canvases are made of clones."""
        return QuietSignature(super().clone(args, kwargs, **options), app=self._app)

    partial = clone

    def freeze(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's: a chain, group or chord freezes each of its tasks before it sends the first.

        Raises :class:`ConfigurationError` if the app has not registered ``publish``, and :class:`ValidationError` for
        data that cannot be encoded.
        """
        self._prepare_for_message()
        return super().freeze(*args, **kwargs)

    _freeze = freeze

    def items(self) -> Any:
        """Celery's. A serializer calls it for a link of another task, which is not frozen."""
        self._prepare_for_message()
        return super().items()

    def __reduce__(self) -> Any:
        # Called by pickle, as `items` is by the other serializers.
        self._prepare_for_message()
        return super().__reduce__()

    def _prepare_for_message(self) -> None:
        """Check the app, and encode data that Celery's serializers would refuse or write in a form of their own."""
        check_registered(self.app)
        args: tuple[Any, ...] = tuple(self["args"] or ())
        kwargs: dict[str, Any] = self["kwargs"] or {}
        if "data" in kwargs:
            if not _is_json(kwargs["data"]):
                self["kwargs"] = {**kwargs, "data": _encode(kwargs["data"], kwargs)}
            return
        has_target = "channel" in kwargs or "user_id" in kwargs
        has_data = len(args) == 3 or (len(args) == 1 and has_target and "event" in kwargs)
        if has_data and not _is_json(args[-1]):
            self["args"] = (*args[:-1], _encode(args[-1], kwargs))

    def reprcall(self, *_args: Any, **_kwargs: Any) -> str:
        """The task's name, without arguments."""
        return f"{self['task']}{HIDDEN}"


def _is_json(data: Any) -> bool:
    try:
        strict_json(data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _encode(data: Any, kwargs: Mapping[str, Any]) -> str:
    return app_named(kwargs.get("app")).encoder.payload(data)
