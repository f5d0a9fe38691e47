"""What may be known and logged of a framework's user object. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

__all__ = ["is_anonymous", "user_label"]

#: Characters of an id that a log line shows.
MAX_LABEL = 100

#: Where users keep their id, first found counts: Django's ``pk``, JWT's ``sub``.
_ID_NAMES = ("pk", "id", "user_id", "sub", "username")


def is_anonymous(user: object) -> bool:
    """Whether this is no user: ``None``, or an object whose ``is_authenticated`` is false.

    Django's ``AnonymousUser``, Starlette's ``UnauthenticatedUser`` and the one of Flask-Login are such objects.
    """
    return user is None or getattr(user, "is_authenticated", True) is False


def user_label(user: object) -> str:
    """The user's id for a log line, never the object's ``repr``, which may hold what is secret; else its type."""
    if user is None:
        return "none"
    value: object = user
    if isinstance(user, Mapping):
        value = next((user[name] for name in _ID_NAMES if name in user), None)
    elif not isinstance(user, str | int | UUID):
        value = next((found for name in _ID_NAMES if (found := _attribute(user, name)) is not None), None)
    if isinstance(value, str | int | UUID):
        return str(value)[:MAX_LABEL]
    return f"({type(user).__name__})"


def _attribute(user: object, name: str) -> object:
    try:
        return getattr(user, name, None)
    except Exception:  # noqa: BLE001 -- a property that asks a database; the log line does without
        return None
