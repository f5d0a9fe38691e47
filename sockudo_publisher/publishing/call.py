"""Read the arguments of a ``publish`` call, for every way to call it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..client.wire.extras import ExtrasLike
from ..client.wire.limits import check_channels
from ..client.wire.user_channel import single_target

__all__ = ["FIELDS", "PublishCall", "bind", "has_options"]

_POSITIONAL = ("channel", "event", "data")
_OPTIONS = ("key", "socket_id", "tags", "extras", "app", "delta", "user_id", "collapse")

#: The arguments of a call.
FIELDS = (*_POSITIONAL, *_OPTIONS)


@dataclass(repr=False, slots=True)
class PublishCall:
    """The arguments of one ``publish`` call, not validated yet. Its ``repr`` shows no payload."""

    channel: str | Sequence[str] | None
    event: str
    data: Any
    key: str | None = None
    socket_id: str | None = None
    tags: Mapping[str, str] | None = None
    extras: ExtrasLike | None = None
    app: str | None = None
    delta: bool | None = None
    user_id: str | None = None
    collapse: str | None = None

    def channels(self) -> tuple[str, ...]:
        """The channels, checked unless there is one: those given, or that of the user.

        Raises :class:`ValidationError` if both are given, and for wrong names.
        """
        if self.user_id is not None:
            return (single_target(self.channel, self.user_id),)
        if isinstance(self.channel, str):
            return (self.channel,)
        return check_channels(self.channel, field="channel")  # type: ignore[arg-type]  # it names the type of others

    def __repr__(self) -> str:
        names = {
            name: getattr(self, name)
            for name in ("channel", "user_id", "event", "key", "app")
            if getattr(self, name) is not None
        }
        return f"PublishCall({', '.join(f'{name}={value!r}' for name, value in names.items())})"

    def kwargs(self) -> dict[str, Any]:
        """The same call in keyword arguments."""
        return {name: getattr(self, name) for name in FIELDS}


def has_options(call: PublishCall) -> bool:
    """Whether an event has more than channel, name and data. ``app`` is no part of the event."""
    return not (
        call.key is None
        and call.socket_id is None
        and call.tags is None
        and call.extras is None
        and call.delta is None
        and call.user_id is None
        and call.collapse is None
    )


def bind(args: Sequence[Any], kwargs: Mapping[str, Any]) -> PublishCall:
    """Read ``publish(channel, event, data, *, key, socket_id, tags, extras, app, delta, user_id, collapse)``.

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
    has_name_and_user = kwargs.get("user_id") is not None and "event" in kwargs
    if has_name_and_user and "channel" not in kwargs and len(args) == ("data" not in kwargs):
        kwargs = {"channel": None, **kwargs}  # an event for a user may leave it out
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
