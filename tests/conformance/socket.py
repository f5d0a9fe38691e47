"""A WebSocket client that reads frames as they come and knows no more of the protocol than its signatures."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import time
from types import TracebackType
from typing import Any
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .http import Address, App

__all__ = ["Socket"]

#: Seconds for a frame that must come, beside other load.
FRAME_S = 60.0


class Socket:
    """One connection. Frames are JSON objects; the `data` of the protocol's own frames is read where it is text.

    `frames` has every frame but pings and pongs, in order.
    """

    def __init__(
        self,
        address: Address,
        app: App,
        *,
        protocol: str = "protocol=7",
        origin: str | None = None,
        greeted: bool = True,
    ) -> None:
        self._app = app
        self.prefix = "sockudo" if protocol.startswith("protocol=2") else "pusher"
        scheme = "wss" if address.is_tls else "ws"
        url = f"{scheme}://{address.host}:{address.port}/app/{quote(app.key, safe='')}" + (
            f"?{protocol}" * bool(protocol)
        )
        # No compression, no keep-alive of the library's own: what is observed is the server's.
        self._ends = contextlib.ExitStack()
        self._connection: ClientConnection = self._ends.enter_context(
            connect(
                url,
                compression=None,
                ping_interval=None,
                open_timeout=FRAME_S,
                close_timeout=5,
                max_size=None,
                proxy=None,
                origin=origin,  # type: ignore[arg-type]
            )
        )
        self.frames: list[dict[str, Any]] = []
        self.id = ""
        if greeted:
            self.greeting = self.next()
            self.id = str(self.data_of(self.greeting)["socket_id"])
            self.frames.clear()

    def next(self, timeout_s: float = FRAME_S) -> dict[str, Any]:
        """The next frame. Raises `TimeoutError`, or `ConnectionClosed`."""
        frame: dict[str, Any] = json.loads(self._connection.recv(timeout=timeout_s))
        self.frames.append(frame)
        return frame

    @staticmethod
    def data_of(frame: dict[str, Any]) -> Any:
        """`data`, read as JSON if it is text that holds some."""
        data = frame.get("data")
        try:
            return json.loads(data) if isinstance(data, str) else data
        except ValueError:
            return data

    def send(self, event: str, data: Any = None, channel: str | None = None) -> None:
        """One frame; `event` gets the protocol's prefix if it starts with a colon."""
        frame = {"event": self.prefix + event if event.startswith(":") else event}
        if data is not None:
            frame["data"] = data
        if channel is not None:
            frame["channel"] = channel
        self.send_text(json.dumps(frame))

    def send_text(self, text: str | bytes) -> None:
        self._connection.send(text)

    def until(self, event: str, timeout_s: float = FRAME_S) -> dict[str, Any]:
        """The first frame of that event from here on; the others before it stay in `frames`."""
        deadline = time.monotonic() + timeout_s
        name = self.prefix + event if event.startswith(":") else event
        while True:
            frame = self.next(max(0.0, deadline - time.monotonic()))
            if frame.get("event") == name:
                return frame

    def settle(self) -> list[dict[str, Any]]:
        """Everything that the server has sent until it answers a ping: what is not there did not come."""
        self.send(":ping", {})
        self.until(":pong")
        self.frames = [frame for frame in self.frames if not str(frame.get("event")).endswith((":pong", ":ping"))]
        return self.frames

    def take(self) -> list[dict[str, Any]]:
        """As `settle`, and forget them."""
        frames = self.settle()
        self.frames = []
        return frames

    def texts(self) -> list[Any]:
        """The `data` of the application's events until now, and forget them."""
        return [frame.get("data") for frame in self.take() if ":" not in str(frame.get("event"))]

    def wait_for_texts(self, count: int) -> list[Any]:
        """As `texts`, when there are at least that number."""
        while sum(":" not in str(frame.get("event")) for frame in self.frames) < count:
            self.next()
        return self.texts()

    def errors(self) -> list[str]:
        """Errors until now as `code text`, and forget all frames."""
        found = [self.data_of(frame) for frame in self.take() if frame.get("event") == f"{self.prefix}:error"]
        return [f"{one.get('code')} {one.get('message')}".replace(self.id, "SOCKET") for one in found]

    def sign(self, text: str) -> str:
        """`KEY:` and the signature of a text."""
        return f"{self._app.key}:{hmac.new(self._app.secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"

    def subscribe(self, channel: str, auth: str | None = None, member: Any = None, **more: Any) -> Any:
        """Subscribe, signed where the name wants it: the data of the confirmation, or the error as `code text`."""
        data: dict[str, Any] = {"channel": channel, **more}
        if member is not None:
            data["channel_data"] = member if isinstance(member, str) else json.dumps(member)
        if auth is None and channel.startswith(("private-", "presence-")):
            signed = f"{self.id}:{channel}" + (
                f":{data['channel_data']}" if channel.startswith("presence-") and member else ""
            )
            auth = self.sign(signed)
        if auth:
            data["auth"] = auth
        self.send(":subscribe", data)
        succeeded = f"{self.prefix}_internal:subscription_succeeded"
        while True:
            frame = self.next()
            if frame.get("event") == succeeded and frame.get("channel") == channel:
                return self.data_of(frame)
            if frame.get("event") == f"{self.prefix}:error":
                return self.error_of(frame)

    def error_of(self, frame: dict[str, Any]) -> str:
        """`code text` of an error."""
        data = self.data_of(frame)
        return f"{data.get('code')} {data.get('message')}"

    def sign_in(self, user: Any, auth: str | None = None) -> str:
        """The event of the answer, or `code text`. `user` is the user's data, or their JSON."""
        text = user if isinstance(user, str) else json.dumps(user)
        self.send(":signin", {"auth": auth or self.sign(f"{self.id}::user::{text}"), "user_data": text})
        while True:
            frame = self.next()
            if frame.get("event") == f"{self.prefix}:error":
                return self.error_of(frame)
            if frame.get("event") == f"{self.prefix}:signin_success":
                return str(frame["event"])

    def closed(self, timeout_s: float = FRAME_S) -> str:
        """Wait for the close: `code reason`."""
        try:
            while True:
                self.next(timeout_s)
        except ConnectionClosed as end:
            received = end.rcvd
            return f"{received.code} {received.reason}".strip() if received else "without a close frame"

    def close(self) -> None:
        self._ends.close()

    def __enter__(self) -> Socket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
