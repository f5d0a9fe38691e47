"""A WebSocket subscriber that costs the others little: Pusher protocol 7, in a thread of its own.

It shares its cores, and this process' interpreter, with what is measured. So it only cuts what arrives into frames and
keeps each with its time; they are parsed when nobody measures. The handshake and what is sent are ``websockets``'.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from urllib.parse import quote

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from ... import __version__
from ...errors import SockudoConnectionError, SockudoError

__all__ = ["Arrival", "Subscriber", "frames_of"]

#: An event as it came: the monotonic time, its channel, its data as text.
Arrival = tuple[float, str, str]

#: Seconds to connect, and to have every channel subscribed.
READY_S = 15.0
#: Seconds between looks at whether to stop.
LOOK_S = 0.2
#: Bytes taken from the socket at once, and of its buffer.
CHUNK_BYTES, BUFFER_BYTES = 1 << 20, 4 << 20
#: Bytes of one frame, and of the handshake's answer: far above any of ours.
MAX_FRAME_BYTES, MAX_HEAD_BYTES = 16 << 20, 64 << 10

# A quote inside `data` is escaped, so this is never part of an event's data.
_PROTOCOL_EVENT = b'"event":"pusher'


def frames_of(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take the finished frames of a server out of ``buffer``: (opcode, payload).

    Raises :class:`ValueError` for what Sockudo does not send: masked, fragmented, compressed or huge frames.
    """
    found = []
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
        found.append((first & 0x0F, bytes(buffer[start + head : start + head + size])))
        start += head + size
    del buffer[:start]
    return found


class Subscriber:
    """One socket, subscribed to ``channels`` of the app with ``key`` at ``where`` (``ws://host:port``).

    ``count`` is how many events have come, ``last_at`` the monotonic time of the latest, ``error`` what ended it.
    """

    def __init__(self, where: str, key: str, channels: Sequence[str]) -> None:
        path = f"/app/{quote(key, safe='')}?protocol=7&client=bench&version={__version__}"
        self._uri: WebSocketURI = parse_uri(where.rstrip("/") + path)
        self._channels = tuple(channels)
        self._frames: list[tuple[float, bytes]] = []
        self._taken = 0
        self._buffer = bytearray()
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-subscriber", daemon=True)
        self.error: SockudoError | None = None
        self.count = 0
        self.last_at = time.monotonic()

    def __enter__(self) -> Subscriber:
        """Connect and subscribe. Raises :class:`SockudoError` unless all channels are confirmed in time."""
        self._thread.start()
        ready = self._ready.wait(READY_S)
        if self.error is not None or not ready:
            self._end()
            raise self.error or self._unreachable("no answer in time")
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def take(self) -> list[Arrival]:
        """What came since the last call, parsed, in the order of arrival."""
        count = self.count
        new = self._frames[: count - self._taken]
        del self._frames[: len(new)]
        self._taken = count
        arrivals = []
        for at, payload in new:
            message = json.loads(payload)
            arrivals.append((at, message["channel"], message["data"]))
        return arrivals

    def _end(self) -> None:
        self._stop.set()
        self._thread.join(READY_S)

    def _run(self) -> None:
        try:
            with self._connected() as connected:
                self._read(connected)
        except SockudoError as error:
            self.error = error
        except (OSError, ValueError, KeyError, WebSocketException) as error:
            self.error = self._unreachable(str(error) or type(error).__name__)
        finally:
            self._ready.set()

    def _unreachable(self, why: str) -> SockudoConnectionError:
        return SockudoConnectionError(f"WebSocket at {self._uri.host}:{self._uri.port}: {why}", sent=False)

    def _connected(self) -> socket.socket:
        # A socket of our own: a client would otherwise go through the environment's proxy.
        connected = socket.create_connection((self._uri.host, self._uri.port), timeout=READY_S)
        try:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            if self._uri.secure:
                connected = ssl.create_default_context().wrap_socket(connected, server_hostname=self._uri.host)
            self._shake_hands(connected)
        except BaseException:
            connected.close()
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
        protocol.receive_data(bytes(self._buffer[:end]))
        del self._buffer[:end]
        if protocol.state is not State.OPEN:
            raise self._unreachable(str(protocol.handshake_exc or "no WebSocket server"))

    def _read(self, connected: socket.socket) -> None:
        connected.settimeout(LOOK_S)
        waiting = set(self._channels)
        while not self._stop.is_set():
            for opcode, payload in frames_of(self._buffer):
                if opcode == Opcode.PING:
                    connected.sendall(Frame(Opcode.PONG, payload).serialize(mask=True))
                elif opcode == Opcode.CLOSE:
                    raise self._unreachable("closed by the server")
                elif opcode == Opcode.TEXT and _PROTOCOL_EVENT in payload:
                    self._answer(connected, json.loads(payload), waiting)
                elif opcode == Opcode.TEXT:
                    self._frames.append((self.last_at, payload))
                    self.count += 1
            try:
                chunk = connected.recv(CHUNK_BYTES)
            except TimeoutError:
                continue
            if not chunk:
                raise self._unreachable("closed by the server")
            self.last_at = time.monotonic()
            self._buffer += chunk

    def _answer(self, connected: socket.socket, message: dict[str, object], waiting: set[str]) -> None:
        event = message["event"]
        if event == "pusher:connection_established":
            for channel in self._channels:
                self._send(connected, "pusher:subscribe", {"channel": channel})
        elif event == "pusher_internal:subscription_succeeded":
            waiting.discard(str(message["channel"]))
            if not waiting:
                self._ready.set()
        elif event == "pusher:ping":
            self._send(connected, "pusher:pong", {})
        elif event == "pusher:error":
            raise SockudoError(f"the server refuses the subscriber: {str(message.get('data'))[:200]}")

    def _send(self, connected: socket.socket, event: str, data: dict[str, str]) -> None:
        text = json.dumps({"event": event, "data": data}).encode()
        connected.sendall(Frame(Opcode.TEXT, text).serialize(mask=True))
