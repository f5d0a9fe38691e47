"""The small HTTP server: its routes, its bounds, and what a bad request or a taken port gets."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from sockudo_publisher.errors import ConfigurationError
from sockudo_publisher.wiring import http_endpoints
from sockudo_publisher.wiring.health import HealthCheck, answer_health
from sockudo_publisher.wiring.http_endpoints import (
    MAX_REQUESTS,
    EndpointAnswer,
    EndpointRequest,
    EndpointServer,
    add_route,
    answer_request,
    remove_route,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    """A started server on a free port, with no route of another test."""
    before = http_endpoints._routes
    http_endpoints._routes = {}
    made = EndpointServer("127.0.0.1", 0)
    made.start()
    yield made
    made.stop()
    http_endpoints._routes = before


def get(server: EndpointServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_route_is_served_and_may_be_added_late(server: EndpointServer) -> None:
    """A route that is registered after the start is served; query and headers reach its handler."""
    seen: list[EndpointRequest] = []

    def handle(request: EndpointRequest) -> EndpointAnswer:
        seen.append(request)
        return EndpointAnswer(200, b"figures\n", "text/x")

    assert get(server, "/metrics") == (404, b"not found\n")
    add_route("/metrics", handle)
    assert get(server, "/metrics?name[]=a") == (200, b"figures\n")
    assert seen[0].query == "name[]=a"
    assert "host" in seen[0].headers
    assert get(server, "/metrics", "HEAD") == (200, b"")
    assert get(server, "/metrics", "POST")[0] == 405
    assert get(server, "/metrics/..")[0] == 404
    remove_route("/metrics")
    assert get(server, "/metrics")[0] == 404


@pytest.mark.parametrize("path", ["metrics", "", "/a?b"])
def test_bad_path_is_refused(path: str) -> None:
    """Where it is registered, not when it is asked for."""
    with pytest.raises(ValueError, match=r"^path: "):
        add_route(path, lambda _: EndpointAnswer(200, b""))


def test_failing_handler_answers_500_without_its_text(server: EndpointServer, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets no text of the error, the server goes on."""

    def handle(_: EndpointRequest) -> EndpointAnswer:
        raise RuntimeError("a secret")

    add_route("/x", handle)
    with caplog.at_level(logging.ERROR):
        status, body = get(server, "/x")
    assert (status, body) == (500, b"internal error\n")
    assert "endpoint failed path=/x" in caplog.text
    assert get(server, "/none")[0] == 404


def test_silent_clients_take_no_more_than_the_slots(server: EndpointServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that send nothing fill the slots; the next is closed at once; when they leave, requests are answered."""
    add_route("/x", lambda _: EndpointAnswer(200, b"ok"))
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(MAX_REQUESTS)]
    try:
        deadline = time.monotonic() + 5
        while server._server._slots._value and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as further:
            assert further.recv(1) == b""
    finally:
        for one in silent:
            one.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert get(server, "/x") == (200, b"ok")
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    else:
        pytest.fail("the slots are not free again")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_taken_port_is_a_clear_error(host: str) -> None:
    """It names the variables; nothing is left open."""
    first = EndpointServer(host, 0)
    with pytest.raises(ConfigurationError, match=rf"^SOCKUDO_METRICS_PORT: cannot listen on port {first.port} of "):
        EndpointServer(host, first.port)
    first.stop()
    EndpointServer(host, first.port or 0).stop()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "a" * 70 + ".x"])
def test_foreign_host_is_a_clear_error(host: str) -> None:
    """An address that is not this machine's."""
    with pytest.raises(ConfigurationError, match="SOCKUDO_METRICS_HOST"):
        EndpointServer(host, 0)


def test_forked_child_does_not_keep_the_port(server: EndpointServer) -> None:
    """A child that outlives its parent would keep the next worker from its port."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, b"open" if server._server.socket.fileno() != -1 else b"shut")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 4) == b"shut"
    os.close(read)
    os.close(write)
    assert get(server, "/none")[0] == 404


def test_stop_frees_the_port_and_the_thread() -> None:
    """A second stop does nothing."""
    server = EndpointServer("127.0.0.1", 0)
    server.start()
    port = server.port
    server.stop()
    server.stop()
    assert not any(thread.name == "sockudo-endpoints" for thread in threading.enumerate())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_health_is_503_if_one_check_fails() -> None:
    """Each check has a line, so that a person reads which one failed."""
    answer = answer_health([HealthCheck("redis"), HealthCheck("consumer", "does not read the queue sockudo")])
    assert answer.status == 503
    assert answer.body == b"ok redis\nfailed consumer: does not read the queue sockudo\n"
    assert answer_health([HealthCheck("redis")]).status == 200
    assert answer_request("PUT", "/none", {}).status == 404
