"""A TCP proxy that misbehaves on purpose, between a client and a real server.

What it does with a connection is a value (`Pass`, `Cut`, `Hang`, ...); a test gives the next ones in order, or one for
all, and asserts afterwards that the fault has fired. One HTTP request per connection is assumed, as Sockudo has it
(`Connection: close`), and nginx where it is asked for it; WebSockets pass.
"""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sockudo_publisher.dev.embedded.ports import LOOPBACK, free_port

#: Bytes read at once.
CHUNK_BYTES = 65_536
#: Seconds between two looks at the clock and at stop.
TICK_S = 0.002
#: Seconds to connect to the server.
CONNECT_S = 5.0
#: Connections that may wait to be accepted.
BACKLOG = 128


@dataclass(frozen=True)
class Pass:
    """Everything, in both directions."""


@dataclass(frozen=True)
class Delay:
    """Hold the request, the answer, or both for that number of seconds."""

    request_s: float = 0.0
    answer_s: float = 0.0


@dataclass(frozen=True)
class Gate:
    """Hold the request until a test opens the gate."""

    opened: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Meanwhile:
    """Do this when the server has the whole request and its answer was not looked at, from ``items`` items on; pass.

    `request_s`: hold every request before, so that more waits behind it and the next one is larger.
    """

    act: Callable[[Connection], None]
    items: int = 1
    request_s: float = 0.0


@dataclass(frozen=True)
class Cut:
    """Drop both sides (FIN, or RST) at the first of what is given that comes.

    `request_bytes`: when that number of bytes of the request went through; `answer_bytes`: the same of the answer (0:
    as soon as it begins, none goes through); `after_s`: seconds after the whole request went through; `when`: it is
    true, asked again and again after that. A request of fewer than `items` items passes.
    """

    request_bytes: int | None = None
    answer_bytes: int | None = None
    after_s: float | None = None
    reset: bool = False
    when: Callable[[], bool] | None = None
    items: int = 0


@dataclass(frozen=True)
class Hang:
    """Take the request and never answer; `forward`: the server gets it. Ends when the client goes away."""

    forward: bool = False


@dataclass(frozen=True)
class Answer:
    """These bytes when the whole request is there, and FIN; the server sees nothing of it (`forward`: it does)."""

    data: bytes
    forward: bool = False

    @classmethod
    def http(cls, status: int, body: bytes = b"", *headers: str, content_type: str = "text/html") -> Answer:
        """A whole HTTP answer."""
        lines = [f"HTTP/1.1 {status} x", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
        return cls("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)


@dataclass(frozen=True)
class Truncate:
    """Pass the request; of the answer ``answer_bytes`` bytes, and FIN."""

    answer_bytes: int


Behaviour = Pass | Delay | Gate | Meanwhile | Cut | Hang | Answer | Truncate


@dataclass
class Connection:
    """What happened on one connection."""

    behaviour: Behaviour
    request: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)
    forwarded: int = 0
    fired: bool = False
    closed: bool = False
    whole: bool = False  # the request is there, head and body

    @property
    def is_unanswered(self) -> bool:
        """The server has the whole request, and nothing has come back."""
        return self.whole and self.forwarded == len(self.request) and not self.answer

    @property
    def item_count(self) -> int:
        """Of the batch, as far as it is there; cheap enough to be asked all the time."""
        return self.request.count(b'"message_id":')

    def batch(self) -> list[dict[str, Any]]:
        """The items of a whole `POST /batch_events`."""
        items: list[dict[str, Any]] = json.loads(self.request.partition(b"\r\n\r\n")[2])["batch"]
        return items

    @property
    def request_is_whole(self) -> bool:
        """Head and as many bytes of body as it says."""
        head, end, body = self.request.partition(b"\r\n\r\n")
        if not end:
            return False
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return len(body) >= (int(length[1]) if length else 0)


def at_port(url: str, port: int) -> str:
    """The same URL on another port of 127.0.0.1."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{LOOPBACK}:{port}"))


class Proxy:
    """Listens on a free port of 127.0.0.1 in front of `port`. A context manager."""

    def __init__(self, port: int, behaviour: Behaviour | None = None, *, closes: bool = False) -> None:
        """`closes`: ask the server to close after its answer, where it would keep the connection for more requests."""
        self._target = port
        self._closes = closes
        self.behaviour: Behaviour = behaviour or Pass()
        self._next: deque[Behaviour] = deque()
        self.connections: list[Connection] = []
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.listen()

    def url(self, url: str) -> str:
        """The same URL (`http://key:secret@...` or `ws://...`) through this proxy."""
        return at_port(url, self.port)

    def target(self) -> int:
        """The server's port for the next connection."""
        return self._target

    def next(self, *behaviours: Behaviour) -> None:
        """Do this with the next connections, in order; after them `behaviour` again."""
        self._next.extend(behaviours)

    def no_more(self) -> None:
        """Forget what was to be done with the next connections."""
        self._next.clear()

    @property
    def fired(self) -> int:
        """Connections whose fault has happened."""
        return sum(connection.fired for connection in self.connections)

    def refuse(self) -> None:
        """Listen no more: connections are refused. Those that are open stay."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            listener.close()

    def listen(self) -> None:
        """Accept (again), on the same port."""
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port), backlog=BACKLOG)
            self._spawn(self._accept, self._listener)

    def close(self) -> None:
        """End everything."""
        self._stop.set()
        self.refuse()
        for thread in self._threads:
            thread.join(CONNECT_S)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="proxy", daemon=True)
        self._threads = [old for old in self._threads if old.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            behaviour = self._next.popleft() if self._next else self.behaviour
            connection = Connection(behaviour)
            self.connections.append(connection)
            self._spawn(self._serve, client, connection)

    def _serve(self, client: socket.socket, connection: Connection) -> None:
        behaviour = connection.behaviour
        forwards = not isinstance(behaviour, Hang | Answer) or behaviour.forward
        server: socket.socket | None = None
        try:
            if forwards:
                server = socket.create_connection((LOOPBACK, self.target()), timeout=CONNECT_S)
                server.settimeout(None)
            _Relay(client, server, connection, self._stop, self._closes).run()
        except OSError:
            pass  # one side went away: so does the other
        finally:
            for one in (client, server):
                if one is not None:
                    one.close()
            connection.closed = True


class _Relay:
    """One connection, until one side ends or the fault fires."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket | None,
        connection: Connection,
        stop: threading.Event,
        closes: bool,
    ) -> None:
        self._client, self._server = client, server
        self._connection = connection
        self._stop = stop
        self._closes = closes
        self._whole_at: float | None = None
        self._answer_at: float | None = None
        self._passed = 0
        self._client_ended = self._server_ended = False

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._client, selectors.EVENT_READ, self._from_client)
            if self._server is not None:
                selector.register(self._server, selectors.EVENT_READ, self._from_server)
            while not self._stop.is_set():
                for key, _ in selector.select(self._tick()):
                    key.data()
                if self._client_ended or self._fault_is_due():
                    return
                self._pass_request()
                if self._fault_is_due() or not self._pass_answer():
                    return
                if self._server_ended:
                    if isinstance(self._connection.behaviour, Hang):
                        with contextlib.suppress(KeyError):
                            selector.unregister(self._server)  # type: ignore[arg-type]
                    elif self._passed >= len(self._connection.answer):
                        return

    def _tick(self) -> float:
        return 0.05 if isinstance(self._connection.behaviour, Pass) else TICK_S

    def _from_client(self) -> None:
        data = self._client.recv(CHUNK_BYTES)
        self._client_ended = not data
        if self._closes and not self._connection.request:
            data = data.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nConnection: close\r\n", 1)
        self._connection.request += data
        if self._whole_at is None and self._connection.request_is_whole:
            self._whole_at = time.monotonic()
            self._connection.whole = True

    def _from_server(self) -> None:
        assert self._server is not None
        data = self._server.recv(CHUNK_BYTES)
        self._server_ended = not data
        self._answer_at = self._answer_at or time.monotonic()
        self._connection.answer += data

    def _pass_request(self) -> None:
        connection, behaviour = self._connection, self._connection.behaviour
        if self._server is None:
            return
        if isinstance(behaviour, Delay | Meanwhile) and behaviour.request_s:
            if self._whole_at is None or time.monotonic() - self._whole_at < behaviour.request_s:
                return
            connection.fired = connection.fired or isinstance(behaviour, Delay)
        if isinstance(behaviour, Gate):
            if self._whole_at is None or not behaviour.opened.is_set():
                return
            connection.fired = True
        end = len(connection.request)
        if isinstance(behaviour, Cut) and behaviour.request_bytes is not None:
            end = min(end, behaviour.request_bytes)
        if end > connection.forwarded:
            self._server.sendall(connection.request[connection.forwarded : end])
            connection.forwarded = end
            if isinstance(behaviour, Meanwhile) and connection.whole and connection.item_count >= behaviour.items:
                connection.fired = True
                behaviour.act(connection)

    def _pass_answer(self) -> bool:
        """Hand on what may go to the client; whether the connection goes on."""
        connection, behaviour = self._connection, self._connection.behaviour
        end = len(connection.answer)
        match behaviour:
            case Hang():
                connection.fired = connection.fired or self._whole_at is not None
                return True
            case Answer(data=data):
                if self._whole_at is None:
                    return True
                if behaviour.forward and self._answer_at is None:
                    return True
                connection.fired = True
                self._client.sendall(data)
                self._client.shutdown(socket.SHUT_WR)
                return False
            case Delay() if behaviour.answer_s:
                if self._whole_at is None or time.monotonic() - self._whole_at < behaviour.answer_s:
                    return True
                connection.fired = connection.fired or end > 0
            case Cut(answer_bytes=int(limit)):
                end = min(end, limit)
            case Truncate(answer_bytes=limit):
                end = min(end, limit)
        if end > self._passed:
            self._client.sendall(connection.answer[self._passed : end])
            self._passed = end
        if isinstance(behaviour, Truncate) and len(connection.answer) >= behaviour.answer_bytes:
            connection.fired = True
            self._client.shutdown(socket.SHUT_WR)
            return False
        return True

    def _fault_is_due(self) -> bool:
        connection, behaviour = self._connection, self._connection.behaviour
        if not isinstance(behaviour, Cut):
            return False
        if behaviour.items and not (connection.whole and connection.item_count >= behaviour.items):
            return False
        now = time.monotonic()
        is_through = self._whole_at is not None and connection.forwarded >= len(connection.request)
        due = (
            (behaviour.request_bytes is not None and connection.forwarded >= behaviour.request_bytes)
            or (
                behaviour.after_s is not None
                and self._whole_at is not None
                and is_through
                and now - self._whole_at >= behaviour.after_s
            )
            or (behaviour.when is not None and is_through and behaviour.when())
            or (
                behaviour.answer_bytes is not None
                and self._answer_at is not None
                and len(connection.answer) >= behaviour.answer_bytes
                and self._passed >= behaviour.answer_bytes
            )
        )
        if due:
            connection.fired = True
            for one in (self._server, self._client):
                if one is not None:
                    _drop(one, reset=behaviour.reset)
        return due


def _drop(one: socket.socket, *, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
        else:
            one.shutdown(socket.SHUT_RDWR)
