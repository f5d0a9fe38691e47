"""Peers for the client's tests: servers on raw sockets that do what no sound server does, and a real one with all."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import trustme

from sockudo_publisher.client.http.transport import Transport
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer

#: An app whose users may sign in; and the most that one page holds, for several pages of few events.
FULL_APP = SockudoApp("full", "full-key", "full-secret")
PAGE_SIZE = 10


@dataclass
class Peer:
    """A server that does what a test says, one thread a connection; ``requests`` in order of arrival."""

    handle: Callable[[Peer, socket.socket], None]
    wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    host: str = "127.0.0.1"

    def __enter__(self) -> Peer:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listener = socket.create_server((self.host, 0), family=family)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self.threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with contextlib.suppress(OSError), connection:
            wrapped = self.wrap(connection)
            with contextlib.suppress(OSError), wrapped:
                self.handle(self, wrapped)

    def read_request(self, connection: socket.socket) -> bytes | None:
        """Read one whole request and note it; ``None`` at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65_536)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            body += connection.recv(65_536)
        request = head + b"\r\n\r\n" + body
        self.requests.append((connection.getpeername()[1], request))
        return request

    def drip(self, connection: socket.socket, data: bytes, every_s: float = 0.1) -> None:
        """Send a byte at a time for as long as the test runs."""
        for index in range(len(data)):
            connection.sendall(data[index : index + 1])
            if self.stopping.wait(every_s):
                return


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """``peer(handle)`` starts a :class:`Peer` that ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda handle, **options: stack.enter_context(Peer(handle, **options))


@pytest.fixture(scope="session")
def full_sockudo(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """A real server with history, presence history and user sign-in. Tests use channels of their own.

    Versioned messages and annotations are asked for too: a server that is built with them has them.
    """
    app = {
        "id": FULL_APP.id,
        "key": FULL_APP.key,
        "secret": FULL_APP.secret,
        "enabled": True,
        "policy": {"features": {"enable_user_authentication": True}, "channels": {"annotations_enabled": True}},
    }
    settings = {
        "history": {"max_page_size": PAGE_SIZE},
        "presence_history": {"enabled": True, "max_page_size": PAGE_SIZE},
        "versioned_messages": {"enabled": True},
        "annotations": {"enabled": True},
        "app_manager": {"array": {"apps": [app]}},
    }
    directory = tmp_path_factory.mktemp("full-sockudo")
    with SockudoServer(directory, (FULL_APP,), history=True, settings=settings, program=sockudo.program) as server:
        yield server


@pytest.fixture
def full(full_sockudo: SockudoServer) -> Iterator[Sockudo]:
    """A client of that server."""
    client = Sockudo.from_url(full_sockudo.url)
    yield client
    client.close()


@pytest.fixture
def no_proxies(monkeypatch):
    """The environment of the machine does not reach the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA of our own; its bundle and a server context for 127.0.0.1."""
    ca = trustme.CA()
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return bundle, lambda connection: context.wrap_socket(connection, server_side=True)


@pytest.fixture(params=["http", "https"])
def start(request, peer, authority, monkeypatch):
    """``start(handle)``: a peer and a transport to it, plain and over TLS."""
    bundle, wrap = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    def begin(handle, **options):
        server = peer(handle, **({"wrap": wrap} if request.param == "https" else {}), **options)
        return server, Transport(f"{request.param}://127.0.0.1:{server.port}")

    return begin
