"""A finished event as the arguments of a Celery message, or the reason why there is none. Pure.

What a countdown or a canvas sends is JSON: the items as they will be stored, so that the worker that
takes the message appends bytes and makes nothing anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .apps import App, app_named
from .enqueue import Prepared
from .errors import ConfigurationError, IdempotencyConflict, ValidationError
from .journal.pack import Item

__all__ = ["FINISHED", "REFUSALS", "from_message", "refusal", "refused", "to_message"]

#: What a message may carry instead of a call: the finished event, or why there is none.
FINISHED = frozenset({"prepared", "refused"})

#: What a call is refused with: in a canvas by the step itself, not by the task before it.
REFUSALS = (ValidationError, ConfigurationError, IdempotencyConflict, TypeError)


def to_message(app: App, prepared: Prepared) -> dict[str, Any]:
    """A finished event as the value of ``prepared``."""
    return {
        "app": app.name,
        "id": prepared.message_id,
        "items": [[item.channel, item.body.decode(), item.expires_ms] for item in prepared.items],
        "key": prepared.key,
        "fingerprint": prepared.fingerprint,
    }


def from_message(message: Mapping[str, Any]) -> tuple[App, Prepared]:
    """The event that :func:`to_message` was given, and its app."""
    items = tuple([Item(channel, body.encode(), expires_ms) for channel, body, expires_ms in message["items"]])
    return app_named(message["app"]), Prepared(message["id"], items, message["key"], message["fingerprint"])


def refusal(error: Exception) -> dict[str, str]:
    """A refused call as the value of ``refused``: no payload, no secret."""
    kind = next(kind for kind in REFUSALS if isinstance(error, kind))
    return {"type": kind.__name__, "message": str(error)}


def refused(refusal: Mapping[str, str]) -> Exception:
    """The error that :func:`refusal` was given."""
    kinds: dict[str, type[Exception]] = {kind.__name__: kind for kind in REFUSALS}
    return kinds.get(refusal["type"], ValidationError)(refusal["message"])
