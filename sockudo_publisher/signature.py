"""A signature of ``publish`` that shows no payload where it is printed: alone, in a chain, in a group."""

from __future__ import annotations

from typing import Any

from celery.canvas import Signature

__all__ = ["HIDDEN", "QuietSignature"]

#: Shown instead of arguments in messages, events, logs and signatures.
HIDDEN = "(...)"


class QuietSignature(Signature):  # type: ignore[misc]
    """Celery's, but for its ``repr``. Of no type of its own: any program may read the messages it goes in."""

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> QuietSignature:
        """Celery's; canvases are made of clones."""
        one = super().clone(args, kwargs, **options)
        quiet = QuietSignature(one, app=one._app)
        quiet._type = one._type
        return quiet

    partial = clone

    def reprcall(self, *_args: Any, **_kwargs: Any) -> str:
        """The task's name alone."""
        return f"{self['task']}{HIDDEN}"
