"""The history of members: who joined and left a presence channel, and who was there at a time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .history import Entry, MessageHistory
from .members import ChannelMember

__all__ = ["MemberHistory"]

#: Why a member came or went, in the server's words.
CAUSES = {"member_added": "join", "member_removed": "disconnect"}


class MemberHistory(MessageHistory):
    """The streams of one app's presence channels."""

    def __init__(self, app_id: str, now_ms: Callable[[], int] | None = None) -> None:
        if now_ms is None:
            super().__init__(app_id, "presence history")
        else:
            super().__init__(app_id, "presence history", now_ms)

    def record(self, channel: str, event: str, member: ChannelMember, socket_id: str) -> None:
        """A member's first connection has joined, or the last has left."""
        info = member.info if event == "member_added" else None
        place = f"{event}:{self._app_id}:{channel}:{member.user_id}:{socket_id}"
        key = place if event == "member_added" else f"{place}:_"
        fields = {"event": event, "cause": CAUSES[event], "user_id": member.user_id, "user_info": info}
        self.append(channel, {**fields, "connection_id": socket_id, "dedupe_key": key, "message_id": ""})

    def snapshot(
        self, channel: str, *, at_time_ms: int | None, at_serial: int | None
    ) -> tuple[list[dict[str, Any]], list[Entry]]:
        """Who was there at a time or a serial (now, without both), and the entries that were replayed for it."""
        played = [
            entry
            for entry in self.stream(channel).entries
            if (at_time_ms is None or entry.at_ms <= at_time_ms) and (at_serial is None or entry.serial <= at_serial)
        ]
        last = {entry.fields["user_id"]: entry for entry in played}
        members = [
            {
                "user_id": user_id,
                "last_event": entry.fields["event"],
                "last_event_serial": entry.serial,
                "last_event_at_ms": entry.at_ms,
            }
            for user_id, entry in sorted(last.items())
            if entry.fields["event"] == "member_added"
        ]
        return members, played
