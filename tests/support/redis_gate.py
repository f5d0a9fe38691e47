"""A TCP forwarder before Redis: a test lets it hold answers back, hand them over byte by byte, or end connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from sockudo_publisher.dev.embedded.ports import LOOPBACK

from .proxy import at_port

#: Bytes read at once.
CHUNK_BYTES = 65_536
#: Seconds between two bytes of an answer that comes in pieces.
PIECE_S = 0.002


class RedisGate:
    """Listens on a free port of 127.0.0.1 in front of the Redis of a URL. A context manager.

    `is_open`: cleared, answers wait for it. `in_pieces`: they come byte by byte. Requests always pass.
    """

    def __init__(self, url: str) -> None:
        #: The URL without the gate.
        self.direct_url = url
        self._target = urlsplit(url).port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = at_port(url, self._listener.getsockname()[1])
        self.is_open = threading.Event()
        self.is_open.set()
        self.in_pieces = False
        self._sockets: list[socket.socket] = []
        self._spawn(self._accept)

    def end_connections(self) -> None:
        """Drop all connections; what waits at the gate is lost."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> RedisGate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        self.end_connections()
        self.is_open.set()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name="redis gate", daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._target))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                self._spawn(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            answers = self._spawn(self._forward, server, client, True)
            self._forward(client, server, False)
            answers.join()

    def _forward(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if is_answer:
                    self.is_open.wait()
                if is_answer and self.in_pieces:
                    for number in data:
                        sink.sendall(bytes([number]))
                        time.sleep(PIECE_S)
                else:
                    sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
