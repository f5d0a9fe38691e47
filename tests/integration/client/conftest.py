"""Peers for the client's tests: misbehaving servers on raw sockets, and the real Sockudo."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from sockudo_publisher.client.sockudo import Sockudo

ROOT = Path(__file__).parents[3]


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


@dataclass(frozen=True)
class RealSockudo:
    """A running Sockudo with one app."""

    port: int
    app_id: str = "app-1.x_~!$&'()*+,;=:@"
    key: str = "integration-key"
    secret: str = "integration-secret"

    def client(self, **options: object) -> Sockudo:
        return Sockudo(self.app_id, self.key, self.secret, **{"port": self.port, **options})


CONFIGURATION = """
host = "127.0.0.1"
port = {port}
shutdown_grace_period = 0
[adapter]
driver = "local"
[cache]
driver = "memory"
[cache.memory]
max_capacity = 100000
[queue]
driver = "memory"
[rate_limiter]
enabled = false
[metrics]
enabled = false
[push]
allow_memory_drivers = true
[[app_manager.array.apps]]
id = "{app_id}"
key = "{key}"
secret = "{secret}"
enabled = true
"""


def find_sockudo() -> str | None:
    """``SOCKUDO_BIN``, else ``sockudo`` on PATH, else one shared beside the repository."""
    named = os.environ.get("SOCKUDO_BIN")
    beside = ROOT.parent / "shared" / "bin" / "sockudo"
    return named or shutil.which("sockudo") or (str(beside) if beside.exists() else None)


@pytest.fixture(scope="session")
def real_sockudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSockudo]:
    """The real server. Without its binary: skipped, or failed where CI is set."""
    binary = find_sockudo()
    if binary is None:
        reason = "no Sockudo binary: set SOCKUDO_BIN or put sockudo on PATH"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server = RealSockudo(probe.getsockname()[1])
    place = tmp_path_factory.mktemp("sockudo")
    config = place / "sockudo.toml"
    config.write_text(
        CONFIGURATION.format(port=server.port, app_id=server.app_id, key=server.key, secret=server.secret)
    )
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([binary, "--config", config], stdout=log, stderr=log, cwd=place)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{server.port}/up/{server.app_id}", timeout=2).ok:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Sockudo did not start:\n{(place / 'log').read_text()[-3000:]}")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(20)
