"""What a doorbell's message says: which lane to drain, or which held channel of it. Pure.

Any program that reaches the broker can send one, so a worker checks it before it acts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..client.wire.limits import check_channel
from ..errors import ValidationError
from ..journal.layout.layout import MAX_LANE

__all__ = ["read_ring"]

#: Characters of a name from a message that are repeated.
MAX_NAME = 50


def read_ring(args: Sequence[Any], kwargs: Mapping[str, Any], apps: Collection[str]) -> tuple[str, int, str | None]:
    """The app, lane and channel of ``drain(app, lane, channel=None)``. ``apps``: those that are configured.

    Raises :class:`ValidationError`. Whether the lane exists, and the channel is held, only the journal knows.
    """
    fields = ("app", "lane", "channel")
    given = {**dict(zip(fields, args, strict=False)), **kwargs}
    if len(args) > len(fields) or not kwargs.keys() <= set(fields[len(args) :]) or not {"app", "lane"} <= given.keys():
        raise ValidationError(f"drain: {len(args)} arguments, {len(kwargs)} by name; expected app, lane, channel")
    app, lane, channel = (given.get(name) for name in fields)
    if not isinstance(app, str) or app not in apps:
        shown = repr(app[:MAX_NAME]) if isinstance(app, str) else f"a {type(app).__name__}"
        raise ValidationError(f"drain: app: {shown} is not configured here (SOCKUDO_URL, SOCKUDO_APPS)")
    if type(lane) is not int or not 0 <= lane <= MAX_LANE:
        shown = f"a {type(lane).__name__}" if type(lane) is not int else "out of range"
        raise ValidationError(f"drain: lane: {shown}, expected a number from 0 to {MAX_LANE}")
    if channel is not None:
        try:
            check_channel(channel)
        except ValidationError as error:
            raise ValidationError(f"drain: {error}") from None
    return app, lane, channel
