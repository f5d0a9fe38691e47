"""What a browser asks for: one channel or several, read from its form. Pure.

pusher-js sends ``socket_id`` and ``channel_name``. Its plugin ``pusher-js-auth`` collects the channels of a page and
sends ``channel_name[0]``, ``channel_name[1]`` …; PHP's ``channel_name[]`` is read too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...client.wire.form import MAX_FORM_BYTES, Form, form_fields, form_items
from ...client.wire.limits import check_socket_id
from ...errors import ValidationError

__all__ = ["MAX_CHANNELS_OF_REQUEST", "ChannelRequest", "is_too_large", "read_channel_request", "read_socket_id"]

#: Channels of one request: each costs a call of a permission function.
MAX_CHANNELS_OF_REQUEST = 100

_LISTED = re.compile(r"channel_name\[[0-9]{0,5}\]")


@dataclass(frozen=True)
class ChannelRequest:
    """One socket, and the channels that it wants. ``is_batch``: the answer is an object with a key for each channel."""

    socket_id: str
    channels: tuple[str, ...]
    is_batch: bool


def is_too_large(form: Form) -> bool:
    """Whether the body of a form is longer than any page's: it is not read."""
    return isinstance(form, bytes | str) and len(form) > MAX_FORM_BYTES


def read_channel_request(form: Form) -> ChannelRequest:
    """Read the form of a channel authorization. Channels are not checked: each has its own answer in a batch.

    Raises ``ValidationError`` for a field that is missing, malformed or there twice.
    """
    socket_id = read_socket_id(form)
    listed = form_items(form, lambda name: _LISTED.fullmatch(name) is not None)
    if not listed:
        (channel,) = form_fields(form, "channel_name")
        return ChannelRequest(socket_id, (channel,), is_batch=False)
    if form_items(form, lambda name: name == "channel_name"):
        raise ValidationError("channel_name: beside channel_name[…], expected one of them")
    if len(listed) > MAX_CHANNELS_OF_REQUEST:
        raise ValidationError(f"channel_name: {len(listed)} channels, limit {MAX_CHANNELS_OF_REQUEST}")
    names = [name for name, _ in listed if name != "channel_name[]"]
    if len(set(names)) != len(names):
        raise ValidationError("channel_name: an index twice in the form")
    return ChannelRequest(socket_id, tuple(dict.fromkeys(channel for _, channel in listed)), is_batch=True)


def read_socket_id(form: Form) -> str:
    """The connection that asks. Raises ``ValidationError``."""
    (socket_id,) = form_fields(form, "socket_id")
    return check_socket_id(socket_id)
