"""Who watches whom: users who signed in with a ``watchlist`` hear when the users on it come and go. Pure.

As the real server has it: only users who signed in with a list count as online.
"""

from __future__ import annotations

from collections.abc import Sequence

from .frames import watchlist
from .registry import Socket

__all__ = ["MAX_WATCHED", "Watchlists"]

#: Users on one list: Pusher's limit.
MAX_WATCHED = 100


class Watchlists:
    """The lists of one app's users."""

    def __init__(self) -> None:
        self._watched: dict[str, list[str]] = {}
        self._online: dict[str, set[str]] = {}

    def add(self, user_id: str, socket: Socket, watched: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """A user signs in with a list. Returns the frames for this connection, and (watcher, frame) for others."""
        was_online = bool(self._online.get(user_id))
        self._online.setdefault(user_id, set()).add(socket.socket_id)
        self._watched[user_id] = list(dict.fromkeys(watched))[:MAX_WATCHED]
        watchers = self._watchers(user_id)
        own = [] if was_online else [watchlist("online", [user_id])] * len(watchers)
        online = [one for one in self._watched[user_id] if self._online.get(one)]
        offline = [one for one in self._watched[user_id] if not self._online.get(one)]
        own += [watchlist(event, users) for event, users in (("online", online), ("offline", offline)) if users]
        return own, [(watcher, watchlist("online", [user_id])) for watcher in watchers]

    def remove(self, user_id: str, socket: Socket) -> list[tuple[str, str]]:
        """A connection has ended. Returns (watcher, frame) if it was the user's last."""
        sockets = self._online.get(user_id)
        if sockets is None or socket.socket_id not in sockets:
            return []
        sockets.discard(socket.socket_id)
        if sockets:
            return []
        del self._online[user_id]
        self._watched.pop(user_id, None)
        return [(watcher, watchlist("offline", [user_id])) for watcher in self._watchers(user_id)]

    def _watchers(self, user_id: str) -> list[str]:
        return [watcher for watcher, watched in self._watched.items() if user_id in watched]
