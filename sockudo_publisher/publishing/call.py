"""Read the arguments of a ``publish`` call, for every way to call it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FIELDS", "PublishCall", "bind"]

_POSITIONAL = ("channel", "event", "data")
_OPTIONS = ("key", "socket_id", "tags", "extras", "app", "collapse")

#: The arguments of a call.
FIELDS = (*_POSITIONAL, *_OPTIONS)


@dataclass(repr=False, slots=True)
class PublishCall:
    """The arguments of one ``publish`` call, not validated yet. Its ``repr`` shows no payload."""

    channel: str | Sequence[str]
    event: str
    data: Any
    key: str | None = None
    socket_id: str | None = None
    tags: Mapping[str, str] | None = None
    extras: Mapping[str, Any] | None = None
    app: str | None = None
    collapse: str | None = None

    def __repr__(self) -> str:
        names = {
            name: getattr(self, name) for name in ("channel", "event", "key", "app") if getattr(self, name) is not None
        }
        return f"PublishCall({', '.join(f'{name}={value!r}' for name, value in names.items())})"

    def kwargs(self) -> dict[str, Any]:
        """The same call in keyword arguments."""
        return {name: getattr(self, name) for name in FIELDS}


def bind(args: Sequence[Any], kwargs: Mapping[str, Any]) -> PublishCall:
    """Read ``publish(channel, event, data, *, key, socket_id, tags, extras, app, collapse)``.

    In a chain the parent's result comes first; ``publish.s(channel=..., event=...)`` takes it as the
    data. Raises :class:`TypeError` as Python and Celery do.
    """
    if not isinstance(args, list | tuple):
        raise TypeError("task args must be a list or tuple")
    if not isinstance(kwargs, Mapping):
        raise TypeError("task keyword arguments must be a mapping")
    for name in kwargs:
        if name not in FIELDS:
            raise TypeError(f"publish() got an unexpected keyword argument {name!r}")
    if len(args) == 1 and "channel" in kwargs and "event" in kwargs and "data" not in kwargs:
        return PublishCall(data=args[0], **kwargs)
    if len(args) > len(_POSITIONAL):
        raise TypeError(f"publish() takes 3 positional arguments, {len(args)} were given")
    values = dict(zip(_POSITIONAL, args, strict=False))
    for name in values:
        if name in kwargs:
            raise TypeError(f"publish() got multiple values for argument {name!r}")
    values.update(kwargs)
    missing = [name for name in _POSITIONAL if name not in values]
    if missing:
        raise TypeError(f"publish() missing {len(missing)} required argument(s): {', '.join(missing)}")
    return PublishCall(**values)
