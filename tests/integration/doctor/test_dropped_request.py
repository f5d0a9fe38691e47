"""A batch that is sent whole and then dropped, as the server sees it; over TLS too."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time

import pytest
import trustme

from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.doctor.facts.dropped_request import drop_batch

pytestmark = pytest.mark.integration

BODY = b'{"batch":[' + b" " * 100_000 + b"]}"


class Listener:
    """Takes one connection and keeps what came, until it ended, and how."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.received = b""
        self.ended: BaseException | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        connection.settimeout(30)
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            while chunk := connection.recv(65_536):
                self.received += chunk
        except OSError as error:
            self.ended = error
        finally:
            connection.close()

    def join(self) -> None:
        self._thread.join(30)
        self._socket.close()


def test_the_whole_request_arrives_and_the_connection_is_reset():
    """Signed as any; not a polite end, which a server might notice later."""
    listener = Listener()
    credentials = Credentials.from_url(f"http://key:secret@127.0.0.1:{listener.port}/apps/a")
    start = time.monotonic()
    assert drop_batch(credentials, BODY, after_s=0.3, within_s=10)
    assert time.monotonic() - start >= 0.3
    listener.join()
    head, _, body = listener.received.partition(b"\r\n\r\n")
    assert body == BODY
    assert re.match(rb"POST /apps/a/batch_events\?auth_key=key&.*&auth_signature=[0-9a-f]{64} HTTP/1.1\r\n", head)
    assert isinstance(listener.ended, ConnectionResetError)


def test_over_tls(tmp_path, monkeypatch):
    """With the CA that the environment names, as all requests."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = Listener(context)
    credentials = Credentials.from_url(f"https://key:secret@127.0.0.1:{listener.port}/apps/a")
    assert drop_batch(credentials, BODY, after_s=0.3, within_s=30)
    listener.join()
    assert listener.received.endswith(BODY)


def test_unreachable_server_is_no_cut():
    """Nothing was sent: nothing can be concluded."""
    credentials = Credentials.from_url(f"http://key:secret@127.0.0.1:{free_port()}/apps/a")
    assert not drop_batch(credentials, BODY, after_s=0, within_s=10)
