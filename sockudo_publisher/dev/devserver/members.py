"""Members of presence channels: a user is there once, with any number of connections. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["ChannelMember", "Members"]


@dataclass(frozen=True)
class ChannelMember:
    """A user in a presence channel. ``info`` is any JSON value that the app signed."""

    user_id: str
    info: Any

    @property
    def info_bytes(self) -> int:
        """Bytes of the info's JSON."""
        return len(json.dumps(self.info, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


class Members:
    """The members of one channel by user and connection, in the order of joining."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, ChannelMember]] = {}
        self._by_socket: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def join(self, socket_id: str, member: ChannelMember) -> bool:
        """Add a connection. Returns whether it is the user's first here."""
        connections = self._users.setdefault(member.user_id, {})
        connections[socket_id] = member
        self._by_socket[socket_id] = member.user_id
        return len(connections) == 1

    def leave(self, socket_id: str) -> ChannelMember | None:
        """Remove a connection. Returns the member if it was the user's last here."""
        user_id = self._by_socket.pop(socket_id, None)
        if user_id is None:
            return None
        member = self._users[user_id].pop(socket_id)
        if self._users[user_id]:
            return None
        del self._users[user_id]
        return member

    def by_user(self) -> dict[str, Any]:
        """The info of each user, as the first connection has it."""
        return {user_id: next(iter(connections.values())).info for user_id, connections in self._users.items()}
