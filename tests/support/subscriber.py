"""A real WebSocket subscriber that counts: Pusher protocol 7 over `websockets`' protocol, in a thread of its own.

Nothing is parsed when an event arrives, only kept with its time: at 20,000 events a second the reader must not be what
is measured, nor fall so far behind that the server cuts it off. `Subscriber.events()` parses, later.
"""

from __future__ import annotations

import hmac
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

#: Seconds to connect, and to have channels subscribed.
ANSWER_S = 15.0
#: Bytes taken from the socket at once, and asked of the system for its buffer.
CHUNK_BYTES = 1 << 20
BUFFER_BYTES = 4 << 20
#: Seconds between two looks at a condition.
POLL_S = 0.005
#: Seconds in which events come on a machine with a lot to do.
PATIENCE_S = 120.0

# A quote inside `data` is escaped, so this is never part of an event's data.
_PROTOCOL_FRAME = b'"event":"pusher'


@dataclass(frozen=True)
class Received:
    """One event as it came: `data` as text, `at` on the monotonic clock."""

    channel: str
    event: str
    data: str
    at: float
    raw: bytes


class SubscriptionRefused(AssertionError):
    """The server answered an error, or closed the connection."""


class Subscriber:
    """One socket with any number of channels.

    `ws_url` as `SockudoServer.ws_url()` gives it; `secret` to sign for private channels (the key is in the URL).
    """

    def __init__(self, ws_url: str, *channels: str, secret: str | None = None) -> None:
        uri = parse_uri(ws_url)
        self._key = unquote(uri.path.rpartition("/")[2])
        self._secret = secret
        self._frames: list[tuple[float, bytes]] = []
        self._parsed: list[Received] = []
        self._subscribed: set[str] = set()
        self._lock = threading.Lock()
        self.protocol_frames: list[dict[str, Any]] = []
        self.socket_id = ""
        self.close_code: int | None = None
        self.error: BaseException | None = None
        self._closing = False
        self._protocol = ClientProtocol(uri, max_size=None)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.settimeout(ANSWER_S)
        self._socket.connect((uri.host, uri.port))
        self._thread = threading.Thread(target=self._read, name="subscriber", daemon=True)
        try:
            self._protocol.send_request(self._protocol.connect())
            self._flush()
            self._thread.start()
            self._wait(lambda: bool(self.socket_id), "connection_established")
            self.subscribe(*channels)
        except BaseException:
            self.close()
            raise

    def subscribe(self, *channels: str, auth: str | None = None) -> None:
        """Subscribe and wait for every `subscription_succeeded`. Raises SubscriptionRefused."""
        refusals = len(self.errors())
        for channel in channels:
            data = {"channel": channel}
            if auth is not None:
                data["auth"] = auth
            elif channel.startswith("private-") and self._secret is not None:
                data["auth"] = self.sign(channel)
            self.send({"event": "pusher:subscribe", "data": data})
        self._wait(
            lambda: self._subscribed.issuperset(channels) or len(self.errors()) > refusals,
            f"subscription of {len(channels)} channels",
        )
        if len(self.errors()) > refusals:
            raise SubscriptionRefused(f"{self.errors()[refusals]}")

    def unsubscribe(self, channel: str) -> None:
        """There is no answer to it; a ping behind it tells when it is done."""
        self.send({"event": "pusher:unsubscribe", "data": {"channel": channel}})
        self._subscribed.discard(channel)
        self.ping()

    def ping(self) -> None:
        """Send `pusher:ping` and wait for `pusher:pong`: everything sent before has been dealt with."""

        def pongs() -> int:
            return sum(frame["event"] == "pusher:pong" for frame in self.protocol_frames)

        before = pongs()
        self.send({"event": "pusher:ping", "data": {}})
        self._wait(lambda: pongs() > before, "pong")

    def sign(self, channel: str) -> str:
        """The `auth` of a private channel."""
        assert self._secret is not None
        signature = hmac.digest(self._secret.encode(), f"{self.socket_id}:{channel}".encode(), "sha256").hex()
        return f"{self._key}:{signature}"

    def send(self, message: dict[str, Any]) -> None:
        """One frame, as JSON."""
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        """One frame, as it is."""
        with self._lock:
            self._protocol.send_text(text.encode())
            self._flush()

    def errors(self) -> list[Any]:
        """The data of every `pusher:error` so far."""
        return [frame["data"] for frame in self.protocol_frames if frame["event"] == "pusher:error"]

    @property
    def count(self) -> int:
        """Events so far."""
        return len(self._frames)

    @property
    def last_at(self) -> float | None:
        """When the latest event came."""
        return self._frames[-1][0] if self._frames else None

    def raw(self) -> list[tuple[float, bytes]]:
        """(time, frame) of every event so far, unparsed."""
        return self._frames.copy()

    def events(self) -> list[Received]:
        """Every event so far, in the order of arrival."""
        for at, frame in itertools.islice(self._frames, len(self._parsed), len(self._frames)):
            message = json.loads(frame)
            self._parsed.append(Received(message["channel"], message["event"], message["data"], at, frame))
        return self._parsed.copy()

    def data(self, channel: str | None = None) -> list[str]:
        """The data of every event so far, of one channel or of all."""
        return [event.data for event in self.events() if channel in (None, event.channel)]

    def by_channel(self) -> dict[str, list[str]]:
        """The data of every event so far, by channel, in the order of arrival."""
        channels: dict[str, list[str]] = {}
        for event in self.events():
            channels.setdefault(event.channel, []).append(event.data)
        return channels

    def take(self, count: int, timeout_s: float = ANSWER_S) -> list[str]:
        """Wait for `count` events, and return the data of all so far."""
        self.wait_for_count(count, timeout_s)
        return self.data()

    def wait_for_count(self, count: int, timeout_s: float = ANSWER_S) -> None:
        """Until so many events have come. Fails with what is there.

        Beside other load a bound is patience, and no claim: a shorter one than `PATIENCE_S` is taken for that.
        """
        self._wait(lambda: len(self._frames) >= count, f"{count} events", max(timeout_s, PATIENCE_S))

    def wait_until_quiet(self, quiet_s: float = 0.5, timeout_s: float = 60.0) -> None:
        """Until nothing has come for a while: to show that nothing comes any more."""
        start = time.monotonic()
        self._wait(lambda: time.monotonic() - (self.last_at or start) >= quiet_s, "quiet", timeout_s)

    def close(self) -> None:
        """Close the connection and end the thread."""
        self._closing = True
        try:
            with self._lock:
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(1000)
                    self._flush()
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was quicker
        if self._thread.ident is not None:
            self._thread.join(ANSWER_S)
        self._socket.close()

    def wait_closed(self, timeout_s: float = ANSWER_S) -> int | None:
        """Until the server closes the connection. Returns its close code."""
        deadline = time.monotonic() + timeout_s
        while self._thread.is_alive():
            assert time.monotonic() < deadline, "the server did not close the connection"
            time.sleep(POLL_S)
        return self.close_code

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float = ANSWER_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self._thread.is_alive() and not condition():
                raise SubscriptionRefused(
                    f"waiting for {what}: connection lost ({self.close_code}, {self.error!r}), {self.count} events"
                )
            if time.monotonic() > deadline:
                raise AssertionError(f"waiting for {what}: {self.count} events after {timeout_s:g} s")
            time.sleep(POLL_S)

    def _read(self) -> None:
        self._socket.settimeout(None)
        try:
            while data := self._socket.recv(CHUNK_BYTES):
                now = time.monotonic()
                with self._lock:
                    self._protocol.receive_data(data)
                    messages = self._protocol.events_received()
                    self._flush()  # pongs, and the answer to a close
                for message in messages:
                    self._take(message, now)
                if self._protocol.state is State.CLOSED or self._protocol.close_expected():
                    break
        except (OSError, ValueError, KeyError, SubscriptionRefused) as error:
            if not self._closing:
                self.error = error
        if self._protocol.handshake_exc is not None:
            self.error = self._protocol.handshake_exc
        self.close_code = self._protocol.close_code if self._protocol.close_rcvd else None

    def _take(self, message: object, now: float) -> None:
        if isinstance(message, Response):
            return
        assert isinstance(message, Frame)
        if message.opcode is not Opcode.TEXT:
            return
        if not message.fin:
            raise ValueError("a fragmented message")
        payload = bytes(message.data)
        if _PROTOCOL_FRAME not in payload:
            self._frames.append((now, payload))
            return
        frame = json.loads(payload)
        self.protocol_frames.append(frame)
        if frame["event"] == "pusher_internal:subscription_succeeded":
            self._subscribed.add(frame["channel"])
        elif frame["event"] == "pusher:connection_established":
            self.socket_id = json.loads(frame["data"])["socket_id"]
        elif frame["event"] == "pusher:ping":
            self.send({"event": "pusher:pong", "data": {}})

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)
