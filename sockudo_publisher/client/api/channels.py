"""Which channels are occupied, and by whom.

A class of :class:`Calls` with the three queries of the Pusher HTTP API. Facts: docs/server.md, 1.5;
docs/sdks.md, F15 to F17. A node whose ``server_role`` is ``api`` has none of them and answers 404.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..http.calls import Calls
from ..http.retries import CLIENTS, CallRetries
from ..wire.limits import MAX_CHANNEL_BYTES
from ..wire.parameters import attribute_list, channel_path, checked_text, without_none
from .answers import ChannelAnswer, ChannelsAnswer, UsersAnswer

__all__ = ["Channels"]


class Channels(Calls):
    """``channels_info``, ``channel_info`` and ``users_info``, and the seed's names for them.

    All are queries: signed without ``body_md5``, which Sockudo refuses with GET, and repeated
    according to ``retries`` (of the call or of the client), even if the result of an attempt is unknown.
    """

    def channels_info(
        self,
        prefix_filter: str | None = None,
        attributes: str | Sequence[str] | None = (),
        *,
        retries: CallRetries = CLIENTS,
    ) -> ChannelsAnswer:
        """The occupied channels, as ``{"channels": {name: {…}}}``.

        ``prefix_filter``: only names that begin so, up to 200 bytes; ``None`` or ``""`` for all.
        ``attributes``: ``user_count`` (presence channels; needs a ``prefix_filter`` of ``presence-…``) and
        ``subscription_count``, as a sequence or comma-joined.

        The server repeats a listing for two seconds, so a channel may be missing that long. Raises
        ``ValidationError``, and ``BadRequest`` for a ``user_count`` of channels that have none.
        """
        prefix = checked_text("prefix_filter", prefix_filter, MAX_CHANNEL_BYTES) if prefix_filter else None
        query = without_none({"filter_by_prefix": prefix, "info": attribute_list(attributes)})
        return cast(
            ChannelsAnswer, self.call("GET", "/channels", query=query, retries=retries, expected=("channels", dict))
        )

    def channel_info(
        self, channel: str, attributes: str | Sequence[str] | None = (), *, retries: CallRetries = CLIENTS
    ) -> ChannelAnswer:
        """One channel, as ``{"occupied": bool, …}``; it need not exist.

        ``attributes``: ``subscription_count``, ``user_count`` (presence channels) and ``cache`` (cache
        channels: the last event as JSON text, and the seconds it is kept), as a sequence or comma-joined.
        Counted at the moment of the call. Raises ``ValidationError``, and ``BadRequest`` for a
        ``user_count`` of a channel that has none.
        """
        query = without_none({"info": attribute_list(attributes)})
        return cast(
            ChannelAnswer,
            self.call("GET", channel_path(channel), query=query, retries=retries, expected=("occupied", bool)),
        )

    def users_info(self, channel: str, *, retries: CallRetries = CLIENTS) -> UsersAnswer:
        """The members of a presence channel, each once, as ``{"users": [{"id": str}, …]}``, in no order.

        Raises ``ValidationError``, and ``BadRequest`` for a channel that is no presence channel.
        """
        return cast(
            UsersAnswer, self.call("GET", channel_path(channel, "/users"), retries=retries, expected=("users", list))
        )

    def channels(
        self,
        filter_by_prefix: str | None = None,
        info: str | Sequence[str] | None = (),
        *,
        retries: CallRetries = CLIENTS,
    ) -> ChannelsAnswer:
        """:meth:`channels_info` under the seed's name."""
        return self.channels_info(filter_by_prefix, info, retries=retries)

    def channel(
        self, name: str, info: str | Sequence[str] | None = (), *, retries: CallRetries = CLIENTS
    ) -> ChannelAnswer:
        """:meth:`channel_info` under the seed's name."""
        return self.channel_info(name, info, retries=retries)

    def get_channel_users(self, name: str, *, retries: CallRetries = CLIENTS) -> UsersAnswer:
        """:meth:`users_info` under the seed's name."""
        return self.users_info(name, retries=retries)

    #: The other Sockudo SDKs' names.
    list_channels = channels
    get_channel = channel
