"""The subscriptions of one app's sockets. Pure bookkeeping.

``Socket`` is whatever can be given a frame; the registry never sends by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

__all__ = ["Registry", "Socket"]


class Socket(Protocol):
    """One connection."""

    socket_id: str

    def put(self, frame: str) -> None:
        """Queue a frame; never waits."""


class Registry:
    """Channels and their sockets, in the order of subscription."""

    def __init__(self) -> None:
        self._channels: dict[str, dict[Socket, None]] = {}
        self._sockets: dict[Socket, set[str]] = {}

    def subscribe(self, socket: Socket, channel: str) -> None:
        """Subscribe the socket; a repeat changes nothing."""
        self._channels.setdefault(channel, {})[socket] = None
        self._sockets.setdefault(socket, set()).add(channel)

    def unsubscribe(self, socket: Socket, channel: str) -> None:
        """Unsubscribe the socket; no error if it is not in the channel."""
        self._sockets.get(socket, set()).discard(channel)
        members = self._channels.get(channel)
        if members is not None:
            members.pop(socket, None)
            if not members:
                del self._channels[channel]

    def remove(self, socket: Socket) -> None:
        """Remove a socket whose connection has ended."""
        for channel in list(self._sockets.get(socket, ())):
            self.unsubscribe(socket, channel)
        self._sockets.pop(socket, None)

    def audience(self, channel: str, *, excluding: str | None = None) -> Iterator[Socket]:
        """Send to all sockets in the channel except the one with this id."""
        for socket in self._channels.get(channel, ()):
            if socket.socket_id != excluding:
                yield socket

    def count(self, channel: str) -> int:
        """Sockets in the channel."""
        return len(self._channels.get(channel, ()))
