"""A WebSocket subscriber (Pusher protocol 7) that costs others little. The demo, the bench and the tests use this one.

It shares its cores, and this process' interpreter, with what is measured, and at 20,000 events a second it must not
fall so far behind that the server cuts it off. So its thread only cuts what arrives into frames and keeps each event
with its time; events are parsed when they are asked for. The handshake is ``websockets``'.
"""

from __future__ import annotations

import hmac
import itertools
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from ..errors import SockudoConnectionError, SockudoError
from ..redaction.secret import Secret

__all__ = ["Received", "Subscriber", "SubscriptionRefused", "frames_of", "ws_url"]

#: Seconds to connect, and to have channels subscribed.
ANSWER_S = 15.0
#: Seconds in which events come on a machine with a lot to do.
PATIENCE_S = 120.0
#: Seconds between two looks at a condition at first, and at most: a tenth of the wait so far.
POLL_S, MAX_POLL_S = 0.005, 0.05
#: Seconds between two looks of the thread at whether to stop.
LOOK_S = 0.2
#: Bytes taken from the socket at once, and of its buffer.
CHUNK_BYTES, BUFFER_BYTES = 1 << 20, 4 << 20
#: Bytes of one frame, and of the handshake's answer: far above any in use here.
MAX_FRAME_BYTES, MAX_HEAD_BYTES = 16 << 20, 64 << 10

# A quote inside `data` is escaped, so this is never part of an event's data.
_PROTOCOL_EVENT = b'"event":"pusher'


def ws_url(where: str, key: str) -> str:
    """The URL of the app with ``key`` at ``where`` (``ws://host:port``)."""
    return f"{where.rstrip('/')}/app/{quote(key, safe='')}?protocol=7&client=sockudo-publisher"


def frames_of(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take the finished frames of a server out of ``buffer``: (opcode, payload).

    Raises :class:`ValueError` for what Sockudo does not send: masked, fragmented, compressed or huge frames.
    """
    frames = []
    start, end = 0, len(buffer)
    while end - start >= 2:
        first, size = buffer[start], buffer[start + 1]
        if size > 127 or first & 0xF0 != 0x80:
            raise ValueError("a frame that is masked, compressed or in fragments")
        head = {126: 4, 127: 10}.get(size, 2)
        if end - start < head:
            break
        if head > 2:
            size = int.from_bytes(buffer[start + 2 : start + head], "big")
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {size} bytes, limit {MAX_FRAME_BYTES}")
        if end - start < head + size:
            break
        frames.append((first & 0x0F, bytes(buffer[start + head : start + head + size])))
        start += head + size
    del buffer[:start]
    return frames


@dataclass(frozen=True)
class Received:
    """One event as it came: `data` as text, `at` on the monotonic clock."""

    channel: str
    event: str
    data: str = field(repr=False)  # payloads stay out of logs
    at: float
    raw: bytes = field(repr=False)


class SubscriptionRefused(SockudoError):
    """The server answered an error, or closed the connection before it confirmed."""


class Subscriber:
    """One socket with any number of channels, connected and subscribed when it is made.

    ``url`` as :func:`ws_url` gives it; ``secret`` signs for private channels (the key is in the URL).

    ``count``: events so far; ``last_at``: monotonic time of the latest; ``error``: what ended the connection;
    ``close_code``: the server's; ``protocol_frames``: what came beside events. Raises
    :class:`SockudoConnectionError` where there is no server or no answer in time, and :class:`SubscriptionRefused`.
    """

    def __init__(self, url: str, *channels: str, secret: str | None = None) -> None:
        self._uri: WebSocketURI = parse_uri(url)
        self._key = unquote(self._uri.path.rpartition("/")[2])
        self._secret = None if secret is None else Secret(secret)
        self._frames: list[tuple[float, bytes]] = []
        self._parsed: list[Received] = []
        self._subscribed: set[str] = set()
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._stop = threading.Event()
        self._is_established = False
        self._thread = threading.Thread(target=self._run, name="subscriber", daemon=True)
        self.protocol_frames: list[dict[str, Any]] = []
        self.socket_id = ""
        self.close_code: int | None = None
        self.error: SockudoError | None = None
        self.count = 0
        self.last_at = time.monotonic()
        self._socket = self._connected()
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        try:
            # By this thread alone, as no two threads may use one TLS connection; then by the subscriber's.
            with self._ending():
                self._take_frames(time.monotonic())
            self._wait(lambda: self._is_established, "connection_established")
            self.subscribe(*channels)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    # -- what it sends ------------------------------------------------------------------------------

    def subscribe(self, *channels: str, auth: str | None = None, channel_data: str | None = None) -> None:
        """Subscribe and wait for every confirmation; not with TLS. Raises :class:`SubscriptionRefused`.

        ``auth``, ``channel_data``: of an auth endpoint; without them the subscriber signs, as far as it has the secret.
        """
        refusals = len(self.errors())
        for channel in channels:
            data = {"channel": channel}
            if auth is not None:
                data["auth"] = auth
                if channel_data is not None:
                    data["channel_data"] = channel_data
            elif channel.startswith("private-") and self._secret is not None:
                data["auth"] = self.sign(channel)
            self.send({"event": "pusher:subscribe", "data": data})
        self._wait(
            lambda: self._subscribed.issuperset(channels) or len(self.errors()) > refusals,
            f"subscription of {len(channels)} channels",
        )
        if len(self.errors()) > refusals:
            raise SubscriptionRefused(f"refused by the server: {str(self.errors()[refusals])[:200]}")

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
        signature = hmac.digest(self._secret.reveal().encode(), f"{self.socket_id}:{channel}".encode(), "sha256").hex()
        return f"{self._key}:{signature}"

    def send(self, message: dict[str, Any]) -> None:
        """One frame, as JSON."""
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        """One frame, as it is."""
        self._send_frame(Opcode.TEXT, text.encode())

    # -- what has come ------------------------------------------------------------------------------

    def errors(self) -> list[Any]:
        """The data of every `pusher:error` so far."""
        return [frame.get("data") for frame in self.protocol_frames if frame["event"] == "pusher:error"]

    def raw(self) -> list[tuple[float, bytes]]:
        """(time, frame) of every event so far, unparsed."""
        return self._frames.copy()

    def events(self) -> list[Received]:
        """Every event so far, in the order of arrival; without those that :meth:`pop_events` has given."""
        for at, frame in itertools.islice(self._frames, len(self._parsed), len(self._frames)):
            self._parsed.append(_parsed(at, frame))
        return self._parsed.copy()

    def pop_events(self) -> list[Received]:
        """What came since the last call, in the order of arrival; it is kept here no longer."""
        new = self._frames[: len(self._frames)]
        del self._frames[: len(new)]
        self._parsed.clear()
        return [_parsed(at, frame) for at, frame in new]

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
        """Wait until `count` events have come. Raises with what is there.

        Beside other load a bound is patience, and no claim: a shorter one than `PATIENCE_S` is taken for that.
        """
        self._wait(lambda: self.count >= count, f"{count} events", max(timeout_s, PATIENCE_S))

    def wait_until_quiet(self, quiet_s: float = 0.5, timeout_s: float = 60.0) -> None:
        """Wait until nothing has come for a while: to show that nothing comes any more."""
        start = time.monotonic()
        self._wait(lambda: time.monotonic() - (self.last_at if self.count else start) >= quiet_s, "quiet", timeout_s)

    # -- its end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection and end the thread."""
        self._stop.set()
        if not self._uri.secure:  # or the thread ends by itself at its next look
            self._send_frame(Opcode.CLOSE, (1000).to_bytes(2, "big"))
            with suppress(OSError):  # the other side was quicker
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread.ident is not None:
            self._thread.join(ANSWER_S)
        self._socket.close()

    def wait_closed(self, timeout_s: float = ANSWER_S) -> int | None:
        """Wait until the server closes the connection. Returns its close code."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise self._unreachable(f"not closed by the server within {timeout_s:g} s")
        return self.close_code

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beneath ------------------------------------------------------------------------------------

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float = ANSWER_S) -> None:
        started = time.monotonic()
        deadline = started + timeout_s
        while not condition():
            if self._thread.ident is None:
                self._receive()
            elif self._thread.is_alive():
                time.sleep(min(MAX_POLL_S, max(POLL_S, (time.monotonic() - started) / 10)))
            if self.error is not None and not condition():
                raise SubscriptionRefused(
                    f"waiting for {what}: connection lost ({self.close_code}, {self.error}), "
                    f"{self.count} events, errors {str(self.errors())[:200]}"
                )
            if time.monotonic() > deadline:
                raise self._unreachable(f"waiting for {what}: {self.count} events after {timeout_s:g} s")

    def _run(self) -> None:
        while not self._stop.is_set() and self.error is None:
            self._receive()

    def _receive(self) -> None:
        """Take what comes within `LOOK_S`."""
        with self._ending():
            if not self._has_bytes() and not self._readable.poll(LOOK_S * 1000):
                return
            chunk = self._socket.recv(CHUNK_BYTES)
            at = time.monotonic()
            self._buffer += chunk
            self._take_frames(at)
            if not chunk:
                raise ConnectionResetError("closed by the server")

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Keep the failure that ends the connection as the `error`."""
        try:
            yield
        except (OSError, ValueError, KeyError) as error:
            if not self._stop.is_set():
                self.error = self._unreachable(str(error) or type(error).__name__)

    def _has_bytes(self) -> bool:
        """Whether TLS has decrypted more than was taken: the system shows nothing of it."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _take_frames(self, at: float) -> None:
        for opcode, payload in frames_of(self._buffer):
            if opcode == Opcode.TEXT and _PROTOCOL_EVENT not in payload:
                self._frames.append((at, payload))
                self.last_at = at
                self.count += 1
            elif opcode == Opcode.TEXT:
                self._take_protocol(json.loads(payload))
            elif opcode == Opcode.PING:
                self._send_frame(Opcode.PONG, payload)
            elif opcode == Opcode.CLOSE:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else None
                self._send_frame(Opcode.CLOSE, payload[:2])
                raise ConnectionResetError(f"closed by the server ({self.close_code})")

    def _take_protocol(self, frame: dict[str, Any]) -> None:
        self.protocol_frames.append(frame)
        event = frame["event"]
        if event == "pusher_internal:subscription_succeeded":
            self._subscribed.add(frame["channel"])
        elif event == "pusher:connection_established":
            self.socket_id = json.loads(frame["data"]).get("socket_id", "")
            self._is_established = True
        elif event == "pusher:ping":
            self.send({"event": "pusher:pong", "data": {}})

    def _send_frame(self, opcode: Opcode, payload: bytes) -> None:
        """A lost connection is found by who reads."""
        frame = Frame(opcode, payload).serialize(mask=True)
        with self._lock, suppress(OSError):
            self._socket.sendall(frame)

    def _unreachable(self, why: str) -> SockudoConnectionError:
        return SockudoConnectionError(f"WebSocket at {self._uri.host}:{self._uri.port}: {why}", sent=False)

    def _connected(self) -> socket.socket:
        connected = None
        try:
            # A socket of our own: a client would otherwise go through the environment's proxy.
            connected = socket.create_connection((self._uri.host, self._uri.port), timeout=ANSWER_S)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            if self._uri.secure:
                connected = ssl.create_default_context().wrap_socket(connected, server_hostname=self._uri.host)
            self._shake_hands(connected)
        except BaseException as error:
            if connected is not None:
                connected.close()
            if isinstance(error, OSError | WebSocketException):
                raise self._unreachable(str(error) or type(error).__name__) from None
            raise
        return connected

    def _shake_hands(self, connected: socket.socket) -> None:
        protocol = ClientProtocol(self._uri)
        protocol.send_request(protocol.connect())
        for data in protocol.data_to_send():
            connected.sendall(data)
        while b"\r\n\r\n" not in self._buffer:
            chunk = connected.recv(CHUNK_BYTES)
            self._buffer += chunk
            if not chunk or len(self._buffer) > MAX_HEAD_BYTES:
                raise self._unreachable("no WebSocket server")
        end = self._buffer.index(b"\r\n\r\n") + 4
        status = self._buffer.partition(b"\r\n")[0].decode("ascii", "replace")[:80]
        if status.split()[1:2] != ["101"]:
            raise SubscriptionRefused(f"refused by the server: {status}")
        protocol.receive_data(bytes(self._buffer[:end]))
        del self._buffer[:end]
        if protocol.state is not State.OPEN:
            raise self._unreachable(str(protocol.handshake_exc or "no WebSocket server"))


def _parsed(at: float, frame: bytes) -> Received:
    message = json.loads(frame)
    return Received(message["channel"], message["event"], message["data"], at, frame)
