"""One app of the running server: its registry, last events and histories, and what follows when sockets come and go.

No I/O: webhooks go to ``notify``, delayed decisions to ``later``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .config import AppConfig
from .frames import cache_miss, member_added, member_removed, subscribed
from .history import MessageHistory
from .last_events import LastEvents, is_cache_channel
from .members import ChannelMember
from .presence_history import MemberHistory
from .registry import Left, Socket, SocketRegistry
from .watchlists import Watchlists

__all__ = ["LEAVING_S", "AppState", "Later", "Notify"]

#: Seconds after which a left channel, and a member who is gone, are reported: a page that reloads is not.
LEAVING_S = 3.0

Notify = Callable[[dict[str, Any]], None]
Later = Callable[[float, Callable[[], None]], None]


def _ignore(_event: dict[str, Any]) -> None:
    """Without webhooks."""


def _never(_seconds: float, _action: Callable[[], None]) -> None:
    """Without a clock."""


class AppState:
    """What one app's connections share."""

    def __init__(
        self,
        app: AppConfig,
        *,
        notify: Notify = _ignore,
        later: Later = _never,
        history: MessageHistory | None = None,
        presence_history: MemberHistory | None = None,
    ) -> None:
        self.app = app
        self.registry = SocketRegistry()
        self.watchlists = Watchlists()
        self.last_events = LastEvents()
        self.history = history
        self.presence_history = presence_history
        self.notify = notify
        self._later = later

    def disconnect(self) -> None:
        """Forget all connections."""
        self.registry = SocketRegistry()
        self.watchlists = Watchlists()

    def forget(self) -> None:
        """Forget last events and histories, as a restart does."""
        self.last_events.forget()
        for history in (self.history, self.presence_history):
            if history is not None:
                history.forget()

    def enter(self, socket: Socket, channel: str, member: ChannelMember | None = None) -> None:
        """Subscribe the socket, confirm it, and tell the others and the webhooks."""
        is_new = self.registry.subscribe(socket, channel)
        if member is None:
            socket.put(subscribed(channel))
        elif is_new:
            self._join(socket, channel, member)
        else:
            return  # a member who subscribes again gets no answer from the real server
        self._report_count(channel, is_entering=True)
        if is_cache_channel(channel):
            self._send_last_event(socket, channel)

    def leave(self, socket: Socket, channel: str) -> None:
        """Unsubscribe the socket, and tell the others and the webhooks."""
        left = self.registry.unsubscribe(socket, channel)
        if left is not None:
            self._after(left, socket)
        self._report_count(channel, is_entering=False)

    def end(self, socket: Socket) -> None:
        """A connection has ended: it leaves all its channels."""
        user_id = self.registry.user_of(socket)
        for left in self.registry.remove(socket):
            self._after(left, socket)
        if user_id is not None:
            for watcher, frame in self.watchlists.remove(user_id, socket):
                for other in self.registry.sockets_of_user(watcher):
                    other.put(frame)

    def broadcast(self, channel: str, frame: str, *, excluding: str | None = None) -> int:
        """Queue a frame for the sockets of a channel. Returns how many there are."""
        count = 0
        for socket in self.registry.audience(channel, excluding=excluding):
            socket.put(frame)
            count += 1
        return count

    def _join(self, socket: Socket, channel: str, member: ChannelMember) -> None:
        if self.registry.user_of(socket) is None:
            self.registry.set_user(socket, member.user_id)
        if self.registry.join(socket, channel, member):
            frame = member_added(channel, member.user_id, member.info)
            self.broadcast(channel, frame, excluding=socket.socket_id)
            self.notify({"name": "member_added", "channel": channel, "user_id": member.user_id})
            if self.presence_history is not None:
                self.presence_history.record(channel, "member_added", member, socket.socket_id)
        socket.put(subscribed(channel, self.registry.members(channel).by_user()))

    def _after(self, left: Left, socket: Socket) -> None:
        """What follows when a socket has left a channel."""
        member = left.member
        if member is not None:
            self.broadcast(left.channel, member_removed(left.channel, member.user_id))
            self._later(LEAVING_S, lambda: self._report_gone(left.channel, member.user_id))
            if self.presence_history is not None:
                self.presence_history.record(left.channel, "member_removed", member, socket.socket_id)
        if left.is_last:
            self._later(LEAVING_S, lambda: self._report_vacated(left.channel))

    def _report_gone(self, channel: str, user_id: str) -> None:
        if user_id not in self.registry.members(channel):
            self.notify({"name": "member_removed", "channel": channel, "user_id": user_id})

    def _report_vacated(self, channel: str) -> None:
        if not self.registry.count(channel):
            self.notify({"name": "channel_vacated", "channel": channel})

    def _report_count(self, channel: str, *, is_entering: bool) -> None:
        count = self.registry.count(channel)
        if is_entering and count == 1:
            self.notify({"name": "channel_occupied", "channel": channel})
        if not channel.startswith("presence-"):
            self.notify({"name": "subscription_count", "channel": channel, "subscription_count": count})

    def _send_last_event(self, socket: Socket, channel: str) -> None:
        frame = self.last_events.get(channel)
        if frame is None:
            socket.put(cache_miss(channel))
            self.notify({"name": "cache_miss", "channel": channel, "data": "{}"})
        else:
            socket.put(frame)
