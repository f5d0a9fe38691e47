"""One WebSocket client's session: the effect of each of its frames, and the queue of frames for it.

No I/O: ``app`` hands in the texts that came and sends what is queued.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Mapping
from typing import Any

from .config import AppConfig
from .frames import PONG, connection_established, error, subscribed
from .refusal import Refusal
from .registry import Registry
from .request_auth import may_subscribe
from .validation import check_channel

__all__ = ["MAX_WAITING_FRAMES", "Session"]

#: Frames that may wait for a client that reads too slowly, before its connection is closed.
MAX_WAITING_FRAMES = 100_000

# Error codes, as the real server gives them (docs/server.md, 12).
BAD_FRAME, AUTH_FAILED, BAD_CHANNEL, NO_CLIENT_EVENTS = 4000, 4009, 4300, 4301


class Session:
    """One connection: a :class:`~.registry.Socket` of the registry."""

    def __init__(self, app: AppConfig, registry: Registry) -> None:
        # Two numbers below 2**34, so that no client's number type loses digits.
        self.socket_id = f"{random.getrandbits(33)}.{random.getrandbits(33)}"
        self._app = app
        self._registry = registry
        self._waiting: deque[str] = deque()
        self._has_frames = asyncio.Event()
        self.is_overrun = False
        self.put(connection_established(self.socket_id))

    def put(self, frame: str) -> None:
        """Queue a frame for the client. A client that is too far behind gets no more and is closed."""
        if len(self._waiting) >= MAX_WAITING_FRAMES:
            self.is_overrun = True
        if not self.is_overrun:
            self._waiting.append(frame)
        self._has_frames.set()

    async def next_frames(self) -> list[str]:
        """Wait for frames and take all that are there."""
        await self._has_frames.wait()
        self._has_frames.clear()
        frames = list(self._waiting)
        self._waiting.clear()
        return frames

    def end(self) -> None:
        """End the session: remove its subscriptions."""
        self._registry.remove(self)

    def receive(self, text: str) -> None:
        """Handle one frame of the client; answers are queued."""
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            self.put(error(BAD_FRAME, "Invalid message format: Decode failed: expected a JSON object"))
            return
        match frame.get("event"):
            case "pusher:ping":
                self.put(PONG)
            case "pusher:subscribe":
                self._subscribe(frame)
            case "pusher:unsubscribe":
                self._unsubscribe(frame)
            case str(event) if event.startswith("client-"):
                self.put(error(NO_CLIENT_EVENTS, "Client event error: Client events are not enabled for this app"))
            case str():
                pass  # a pong or an unknown event: ignored, as by the real server
            case _:
                self.put(error(BAD_FRAME, "Invalid event name: Event name is required"))

    def _subscribe(self, frame: Mapping[str, Any]) -> None:
        data = _object(frame.get("data"))
        if data is None:
            self.put(error(BAD_FRAME, "Invalid message format: Invalid subscription data format"))
            return
        channel = data.get("channel")
        if not isinstance(channel, str):
            self.put(error(BAD_FRAME, "Invalid message format: Missing channel field"))
            return
        try:
            check_channel(channel, self._app.limits)
        except Refusal as refusal:
            self.put(error(BAD_CHANNEL, f"Channel error: {refusal.text}"))
            return
        if channel.startswith("presence-"):
            self.put(error(BAD_CHANNEL, "Channel error: this development server has no presence channels"))
            return
        if channel.startswith("private-") and (complaint := self._complaint(channel, data.get("auth"))):
            self.put(error(AUTH_FAILED, f"Authentication error: {complaint}"))
            return
        self._registry.subscribe(self, channel)
        self.put(subscribed(channel))

    def _complaint(self, channel: str, auth: object) -> str | None:
        if not isinstance(auth, str):
            return "Authentication signature required for this channel"
        if not may_subscribe(self._app, self.socket_id, channel, auth):
            return "Channel requires authentication"
        return None

    def _unsubscribe(self, frame: Mapping[str, Any]) -> None:
        data = _object(frame.get("data"))
        channel = None if data is None else data.get("channel")
        if isinstance(channel, str):
            self._registry.unsubscribe(self, channel)


def _object(data: Any) -> Mapping[str, Any] | None:
    """The data of a frame: an object, or the text of one."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict) else None
