"""The channel of one user: all connections of a signed-in user get its events, without a subscription. Pure."""

from __future__ import annotations

from ...errors import ValidationError
from .limits import MAX_CHANNEL_BYTES, check_channel
from .parameters import checked_text

__all__ = ["USER_CHANNEL", "channel_of_user", "single_target", "user_of_channel"]

#: How the name of such a channel begins; the user's id follows.
USER_CHANNEL = "#server-to-user-"

#: Bytes of a user's id: a channel's name has 200.
MAX_USER_BYTES = MAX_CHANNEL_BYTES - len(USER_CHANNEL)


def channel_of_user(user_id: str) -> str:
    """The channel of a user. Raises ``ValidationError`` for an id that no channel's name can hold.

    ``user_id``: 1 to 184 bytes of ``A-Z a-z 0-9 - _ = @ , . ; :``.
    """
    name = USER_CHANNEL + checked_text("user_id", user_id, MAX_USER_BYTES)
    try:
        return check_channel(name)
    except ValidationError:
        reason = "some characters are not allowed in a channel name, of which it becomes a part"
    raise ValidationError(f"user_id: {reason} (A-Z a-z 0-9 - _ = @ , . ; :)")


def user_of_channel(channel: str) -> str | None:
    """The id of the user whose channel it is, or ``None``."""
    return channel[len(USER_CHANNEL) :] if channel.startswith(USER_CHANNEL) else None


def single_target(channel: object, user_id: str) -> str:
    """The channel of a user, for an event that names a user in place of a channel. Raises ``ValidationError``."""
    if channel is not None:
        raise ValidationError("user_id: given together with channel; an event goes to channels or to one user")
    return channel_of_user(user_id)
