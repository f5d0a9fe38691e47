"""The subscriptions, members and users of one app's sockets. Pure bookkeeping.

``Socket`` is whatever can be given a frame; the registry never sends by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from .members import ChannelMember, Members

__all__ = ["USER_CHANNEL", "Left", "Socket", "SocketRegistry"]

#: What goes to a channel of this form goes to the connections of the user named in it.
USER_CHANNEL = "#server-to-user-"


class Socket(Protocol):
    """One connection."""

    socket_id: str

    def put(self, frame: str) -> None:
        """Queue a frame; never waits."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, an error with the code, and close."""


@dataclass(frozen=True)
class Left:
    """A socket has left a channel: whether it was the last, and the member that is gone with it."""

    channel: str
    is_last: bool
    member: ChannelMember | None


class SocketRegistry:
    """Channels and their sockets, in the order of subscription; users and theirs."""

    def __init__(self) -> None:
        self._channels: dict[str, dict[Socket, None]] = {}
        self._sockets: dict[Socket, set[str]] = {}
        self._members: dict[str, Members] = {}
        self._users: dict[str, dict[Socket, None]] = {}
        self._user_of: dict[Socket, str] = {}
        self._connections: dict[Socket, None] = {}

    # -- connections and users ----------------------------------------------------------------------

    def connect(self, socket: Socket) -> None:
        """A new connection."""
        self._connections[socket] = None

    @property
    def connections(self) -> list[Socket]:
        """All connections, oldest first."""
        return list(self._connections)

    def set_user(self, socket: Socket, user_id: str) -> None:
        """The connection is this user's from now on, and no other user's."""
        self._forget_user(socket)
        self._users.setdefault(user_id, {})[socket] = None
        self._user_of[socket] = user_id

    def user_of(self, socket: Socket) -> str | None:
        """Whose connection this is, if a user has signed in."""
        return self._user_of.get(socket)

    def sockets_of_user(self, user_id: str) -> list[Socket]:
        """The connections of a user."""
        return list(self._users.get(user_id, ()))

    @property
    def user_count(self) -> int:
        """Users with a connection."""
        return len(self._users)

    # -- channels -----------------------------------------------------------------------------------

    def subscribe(self, socket: Socket, channel: str) -> bool:
        """Subscribe the socket; a repeat changes nothing. Returns whether it is new."""
        members = self._channels.setdefault(channel, {})
        is_new = socket not in members
        members[socket] = None
        self._sockets.setdefault(socket, set()).add(channel)
        return is_new

    def join(self, socket: Socket, channel: str, member: ChannelMember) -> bool:
        """The member of a subscribed socket. Returns whether it is the user's first connection here."""
        return self._members.setdefault(channel, Members()).join(socket.socket_id, member)

    def unsubscribe(self, socket: Socket, channel: str) -> Left | None:
        """Unsubscribe the socket. ``None`` if it is not in the channel."""
        self._sockets.get(socket, set()).discard(channel)
        sockets = self._channels.get(channel)
        if sockets is None or socket not in sockets:
            return None
        del sockets[socket]
        member = self._leave(socket, channel)
        if not sockets:
            del self._channels[channel]
        return Left(channel, not sockets, member)

    def remove(self, socket: Socket) -> list[Left]:
        """Remove a socket whose connection has ended. Returns the channels that it has left."""
        left = [self.unsubscribe(socket, channel) for channel in sorted(self._sockets.get(socket, ()))]
        self._sockets.pop(socket, None)
        self._connections.pop(socket, None)
        self._forget_user(socket)
        return [one for one in left if one is not None]

    def audience(self, channel: str, *, excluding: str | None = None) -> Iterator[Socket]:
        """The sockets that get what is published to the channel, except the one with this id."""
        if channel.startswith(USER_CHANNEL):
            sockets = self._users.get(channel.removeprefix(USER_CHANNEL), {})
        else:
            sockets = self._channels.get(channel, {})
        for socket in sockets:
            if socket.socket_id != excluding:
                yield socket

    def has(self, socket: Socket, channel: str) -> bool:
        """Whether the socket is subscribed to the channel."""
        return socket in self._channels.get(channel, ())

    def count(self, channel: str) -> int:
        """Sockets in the channel."""
        return len(self._channels.get(channel, ()))

    def members(self, channel: str) -> Members:
        """The members of a presence channel; empty for any other."""
        return self._members.get(channel) or Members()

    @property
    def channels(self) -> list[str]:
        """The occupied channels, the oldest first."""
        return list(self._channels)

    def _leave(self, socket: Socket, channel: str) -> ChannelMember | None:
        members = self._members.get(channel)
        if members is None:
            return None
        gone = members.leave(socket.socket_id)
        if not len(members):
            del self._members[channel]
        return gone

    def _forget_user(self, socket: Socket) -> None:
        user_id = self._user_of.pop(socket, None)
        if user_id is not None:
            sockets = self._users[user_id]
            sockets.pop(socket, None)
            if not sockets:
                del self._users[user_id]
