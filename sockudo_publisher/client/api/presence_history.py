"""The joins and leaves of a presence channel, and its members at a point in time.

A class of :class:`Calls`. Off unless the server's ``[presence_history]`` says otherwise: then every call
raises ``SockudoHTTPError`` 422 ``feature_disabled``. Facts: docs/server.md, 1.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ...errors import ValidationError
from ..http.calls import Calls
from ..http.retries import CLIENTS, CallRetries
from ..wire.limits import check_channel
from ..wire.parameters import Direction, channel_path, checked_serial, checked_time_ms, json_body, without_none
from .answers import (
    PresenceHistoryItem,
    PresenceHistoryPage,
    PresenceHistoryReset,
    PresenceHistoryStateAnswer,
    PresenceSnapshot,
)
from .history import ITEMS, STREAM, every_item, page_query, reset_body

__all__ = ["PresenceHistory"]

#: Only channels of this name have members.
PRESENCE_PREFIX = "presence-"


class PresenceHistory(Calls):
    """``channel_presence_history`` and its iterator, ``channel_presence_snapshot``, state and reset.

    Each takes a channel whose name begins with ``presence-``, and raises ``ValidationError`` for another.
    ``retries`` as with channel history.
    """

    def channel_presence_history(
        self,
        channel: str,
        *,
        limit: int | None = None,
        direction: Direction | None = None,
        cursor: str | None = None,
        start_serial: int | str | None = None,
        end_serial: int | str | None = None,
        start_time_ms: int | None = None,
        end_time_ms: int | None = None,
        retries: CallRetries = CLIENTS,
    ) -> PresenceHistoryPage:
        """One page of joins and leaves, newest first unless ``direction`` is ``"oldest_first"``.

        Arguments and errors are :meth:`channel_history`'s. Each item tells ``event`` (``member_added`` …),
        ``cause``, ``user_id``, ``serial`` and ``published_at_ms``.
        """
        query = page_query(limit, direction, cursor, start_serial, end_serial, start_time_ms, end_time_ms)
        return cast(PresenceHistoryPage, self.call("GET", _path(channel), query=query, retries=retries, expected=ITEMS))

    def iter_channel_presence_history(
        self,
        channel: str,
        *,
        limit: int | None = None,
        direction: Direction | None = None,
        cursor: str | None = None,
        start_serial: int | str | None = None,
        end_serial: int | str | None = None,
        start_time_ms: int | None = None,
        end_time_ms: int | None = None,
        retries: CallRetries = CLIENTS,
    ) -> Iterator[PresenceHistoryItem]:
        """All of it, a page at a time; as :meth:`iter_channel_history`."""
        path = _path(channel)
        query = page_query(limit, direction, cursor, start_serial, end_serial, start_time_ms, end_time_ms)
        return cast(
            Iterator[PresenceHistoryItem],
            every_item(lambda page: self.call("GET", path, query=page, retries=retries, expected=ITEMS), query),
        )

    def channel_presence_snapshot(
        self,
        channel: str,
        *,
        at_serial: int | str | None = None,
        at_time_ms: int | None = None,
        retries: CallRetries = CLIENTS,
    ) -> PresenceSnapshot:
        """The members after all joins and leaves up to a serial or a time (both inclusive); by default, now.

        Computed from the kept history: ``continuity.complete`` says whether it reaches back far enough.
        Returns ``{"channel", "members": [{"user_id", "last_event", …}], "member_count", …}``.
        """
        given = {
            "at_serial": None if at_serial is None else checked_serial("at_serial", at_serial),
            "at_time_ms": None if at_time_ms is None else checked_time_ms("at_time_ms", at_time_ms),
        }
        query = {name: str(value) for name, value in without_none(given).items()}
        return cast(
            PresenceSnapshot,
            self.call("GET", _path(channel, "/snapshot"), query=query, retries=retries, expected=("members", list)),
        )

    def presence_history_state(self, channel: str, *, retries: CallRetries = CLIENTS) -> PresenceHistoryStateAnswer:
        """The state of the kept history: ``{"channel": …, "stream": {"next_serial", "retained", "state", …}}``."""
        return cast(
            PresenceHistoryStateAnswer, self.call("GET", _path(channel, "/state"), retries=retries, expected=STREAM)
        )

    def reset_presence_history(
        self, channel: str, reason: str, requested_by: str | None = None, *, retries: CallRetries = CLIENTS
    ) -> PresenceHistoryReset:
        """Delete the history and begin a new stream; members stay. As :meth:`reset_history`."""
        body = reset_body(channel, "reset", reason, requested_by)
        return cast(
            PresenceHistoryReset, self.call("POST", _path(channel, "/reset"), body=json_body(body), retries=retries)
        )


def _path(channel: str, suffix: str = "") -> str:
    if not check_channel(channel).startswith(PRESENCE_PREFIX):
        raise ValidationError(f"channel: no presence channel, its name must begin with {PRESENCE_PREFIX}")
    return channel_path(channel, f"/presence/history{suffix}")
