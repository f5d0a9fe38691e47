"""One WebSocket client's session: the effect of each of its frames, and the queue of frames for it.

No I/O: ``websockets`` hands in the texts that came and sends what is queued.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .client_events import check_client_event
from .frames import PONG, client_event, connection_established, error
from .incoming import BAD_FRAME, FrameError, Incoming, decode_frame
from .rate import EventRate
from .signing_in import read_signin
from .state import AppState
from .subscribing import channel_to_leave, read_subscription
from .validation import AI_DISABLED, is_ai_event

__all__ = ["MAX_WAITING_FRAMES", "Session"]

#: Frames that may wait for a client that reads too slowly, before its connection is closed.
MAX_WAITING_FRAMES = 100_000

#: Protocol 2's own events, with the real server's answer to a client of protocol 7.
_OF_PROTOCOL_2 = {
    "auth": (4009, "Authentication error: sockudo:auth is only supported on protocol V2"),
    "resume": (4301, "Connection recovery is not enabled"),
    "presence_update": (4000, "presence_update requires protocol V2"),
}


class Session:
    """One connection: a :class:`~.registry.Socket` of the registry."""

    def __init__(
        self, state: AppState, *, activity_timeout_s: int = 120, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Two numbers below 2**34, so that no client's number type loses digits.
        self.socket_id = f"{random.getrandbits(33)}.{random.getrandbits(33)}"
        self._state = state
        self._waiting: deque[str] = deque()
        self._has_frames = asyncio.Event()
        limits = state.app.limits
        self._rate = EventRate(limits.max_client_events_per_second, limits.decay_seconds, clock)
        self.is_overrun = False
        #: The code and reason to close the connection with, once the queue is sent.
        self.closing: tuple[int, str] | None = None
        state.registry.connect(self)
        self.put(connection_established(self.socket_id, activity_timeout_s))

    def put(self, frame: str) -> None:
        """Queue a frame for the client. A client that is too far behind gets no more and is closed."""
        if len(self._waiting) >= MAX_WAITING_FRAMES:
            self.is_overrun = True
        if not self.is_overrun and self.closing is None:
            self._waiting.append(frame)
        self._has_frames.set()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then an error with the code, then close."""
        self.put(error(code, reason))
        self.end_with(code, reason)

    def end_with(self, code: int, reason: str) -> None:
        """Close once the queue is sent."""
        self.closing = self.closing or (code, reason)
        self._has_frames.set()

    async def next_frames(self) -> list[str]:
        """Wait for frames and take all that are there."""
        await self._has_frames.wait()
        self._has_frames.clear()
        frames = list(self._waiting)
        self._waiting.clear()
        return frames

    def end(self) -> None:
        """End the session: leave all channels."""
        self._state.end(self)

    def receive(self, text: str | bytes) -> None:
        """Handle one frame of the client; answers are queued."""
        try:
            self._handle(decode_frame(text))
        except FrameError as problem:
            if problem.is_fatal:
                self.close(problem.code, problem.message)
            else:
                self.put(error(problem.code, problem.message))

    def _handle(self, frame: Incoming) -> None:
        prefix, _, name = frame.event.partition(":")
        if prefix not in ("pusher", "sockudo"):
            name = ""
        match name:
            case "ping":
                self.put(PONG)
            case "subscribe":
                subscription = read_subscription(self._state, self.socket_id, frame.data)
                self._state.enter(self, subscription.channel, subscription.member)
            case "unsubscribe":
                self._state.leave(self, channel_to_leave(frame))
            case "signin":
                self._sign_in(frame)
            case "auth" | "resume" | "presence_update":
                raise FrameError(*_OF_PROTOCOL_2[name])
            case "channel_history":
                raise FrameError(BAD_FRAME, "Invalid message format: this development server has no channel_history")
            case "" if frame.event.startswith("client-"):
                self._send_client_event(frame)
            case "" if is_ai_event(frame.event):
                raise FrameError(BAD_FRAME, "channel required for AI event" if frame.channel is None else AI_DISABLED)
            case _:
                pass  # a pong or an unknown event: ignored, as by the real server

    def _sign_in(self, frame: Incoming) -> None:
        signed = read_signin(self._state.app, self.socket_id, frame)
        registry, lists = self._state.registry, self._state.watchlists
        previous = registry.user_of(self)
        if previous is not None and previous != signed.user_id:
            lists.remove(previous, self)
        registry.set_user(self, signed.user_id)
        if self._state.app.features.enable_watchlist_events and signed.watchlist is not None:
            own, others = lists.add(signed.user_id, self, signed.watchlist)
            for text in own:
                self.put(text)
            for watcher, text in others:
                for socket in registry.sockets_of_user(watcher):
                    socket.put(text)
        self.put(signed.answer)

    def _send_client_event(self, frame: Incoming) -> None:
        if not self._rate.allows():
            raise FrameError(4301, "Client event rejected due to rate limit")
        channel = check_client_event(self._state.app, frame)
        if not self._state.registry.has(self, channel):
            raise FrameError(
                4301, f"Client event error: Socket {self.socket_id} is not subscribed to channel {channel}"
            )
        text = client_event(frame.event, channel, frame.data)
        if self._state.history is not None:
            self._state.history.append(channel, {"event": frame.event, "channel": channel, "data": frame.data})
        self._state.broadcast(channel, text, excluding=self.socket_id)
        self._state.notify(_webhook_of(frame, channel, self.socket_id))


def _webhook_of(frame: Incoming, channel: str, socket_id: str) -> dict[str, Any]:
    fields = {"event": frame.event, "data": frame.data, "socket_id": socket_id}
    return {"name": "client_event", "channel": channel, **fields}
