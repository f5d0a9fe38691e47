"""A signature of ``publish``: it belongs to the app that it is used in, and shows no payload where it is printed."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.canvas import Signature

from ..wiring.private_celery import celery_app
from .other_apps import app_of_signatures, bound_to, check_registered

__all__ = ["HIDDEN", "QuietSignature"]

#: Shown instead of arguments in messages, events, logs and signatures.
HIDDEN = "(...)"


class QuietSignature(Signature):  # type: ignore[misc]
    """Celery's, with another app and ``repr``. Of no type of its own: any program may read the messages it goes in.

    Its app is looked for when it is needed, since one that is made in a module may be older than the app. To become
    part of a canvas, it needs an app whose workers can run it: they are given it by name, and Celery discards what
    a worker does not know.
    """

    @property
    def app(self) -> Celery:
        """The app whose tasks it stands among."""
        return self._app or app_of_signatures()

    @property
    def type(self) -> Any:
        """``publish`` as that app knows it."""
        return bound_to(self.app, celery_app.tasks[self["task"]])

    @property
    def AsyncResult(self) -> Any:  # noqa: N802 -- Celery's name
        """The result, where that app's workers put it."""
        return self.type.AsyncResult

    @property
    def _apply_async(self) -> Any:
        return self.type.apply_async

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> QuietSignature:
        """Celery's; canvases are made of clones."""
        return QuietSignature(super().clone(args, kwargs, **options), app=self._app)

    partial = clone

    def freeze(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's: a chain, group or chord does it with each of its tasks before it sends the first.

        Raises :class:`ConfigurationError` where the app has not registered ``publish``.
        """
        check_registered(self.app)
        return super().freeze(*args, **kwargs)

    _freeze = freeze

    def items(self) -> Any:
        """Celery's. It is how a serializer reads what is sent: as a link of another task, it was not frozen."""
        check_registered(self.app)
        return super().items()

    def __reduce__(self) -> Any:
        # How pickle reads it, as `items` is how the others do.
        check_registered(self.app)
        return super().__reduce__()

    def reprcall(self, *_args: Any, **_kwargs: Any) -> str:
        """The task's name alone."""
        return f"{self['task']}{HIDDEN}"
