"""One HTTP attempt and its connection: addresses, TLS, proxies, threads and forks."""

import contextlib
import gc
import os
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from sockudo_publisher.client.http.transport import Transport
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import (
    ConfigurationError,
)
from tests.integration.client.attempts import (
    HINT,
    OK,
    answer_ok,
    failure,
    post,
)
from tests.support.parts import need_module, not_for_this_case

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_proxies")]


def test_refused():
    """No server listens: not sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = failure(Transport(f"http://127.0.0.1:{port}"), sent=False)
    assert "Connection refused (not sent)" in str(error)


@contextlib.contextmanager
def silent_address(host, port=0):
    """An address that answers a connect with nothing, as a host that is down does: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        while True:  # fill it
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]


def test_connect_that_is_never_accepted():
    """Not sent, in time."""
    with silent_address("127.0.0.1") as port:
        failure(Transport(f"http://127.0.0.1:{port}"), sent=False)


def test_unknown_host(monkeypatch):
    """Not sent."""
    look_up = socket.getaddrinfo

    def fail(host, *args, **kwargs):
        if kwargs.get("flags"):
            return look_up(host, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert "host not found" in str(failure(Transport("http://nowhere.invalid:1"), sent=False))


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".invalid", "\u2603" * 60])
def test_host_that_no_resolver_takes(host):
    """Too long or empty labels: not sent, and no UnicodeError."""
    failure(Transport(f"http://{host}:1"), sent=False)


def test_lookup_that_hangs(monkeypatch):
    """A resolver without answer is part of the attempt: not sent, in time."""
    look_up, free = socket.getaddrinfo, threading.Event()

    def hang(host, *args, **kwargs):
        if not kwargs.get("flags"):
            free.wait(10)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        failure(Transport("http://localhost:1"), sent=False)
    finally:
        free.set()


@pytest.mark.parametrize("first", [contextlib.nullcontext, silent_address], ids=["refuses", "silent"])
def test_second_address_of_a_name(peer, monkeypatch, first):
    """A host whose first address refuses, or says nothing, is reached by its second."""
    server = peer(answer_ok)
    look_up = socket.getaddrinfo

    def two(host, port, *args, **kwargs):
        if host == "two.invalid" and not kwargs.get("flags"):
            return look_up("127.0.0.2", port, *args, **kwargs) + look_up("127.0.0.1", port, *args, **kwargs)
        return look_up(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with first("127.0.0.2", server.port) if first is silent_address else first():
        assert post(Transport(f"http://two.invalid:{server.port}"), timeout=2).status == 200


def test_ipv6(peer):
    """An address in brackets."""
    try:
        server = peer(answer_ok, host="::1")
    except OSError:
        not_for_this_case("no IPv6 on this machine")
    client = Sockudo.from_url(f"http://k:s@[::1]:{server.port}/apps/a")
    assert client.trigger("c", "e", "x") == {}
    assert f"Host: [::1]:{server.port}".encode() in server.requests[0][1]


def test_certificate_not_trusted(peer, authority, monkeypatch):
    """Not sent: the handshake comes before the request."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    server = peer(answer_ok, wrap=authority[1])
    error = failure(Transport(f"https://127.0.0.1:{server.port}"), sent=False, timeout=30, within=30)
    assert "TLS certificate not accepted" in str(error)
    assert server.requests == []


def test_certificate_of_another_host(peer, authority, monkeypatch):
    """Not sent either."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    server = peer(answer_ok, wrap=authority[1])
    monkeypatch.setattr(socket, "getaddrinfo", answering_with_loopback())
    failure(Transport(f"https://other.invalid:{server.port}"), sent=False, timeout=30, within=30)
    assert server.requests == []


def answering_with_loopback():
    look_up = socket.getaddrinfo

    def answer(host, port, *args, **kwargs):
        return look_up(
            "127.0.0.1" if host == "other.invalid" and not kwargs.get("flags") else host, port, *args, **kwargs
        )

    return answer


def test_tls_to_a_server_without(peer):
    """Not sent."""

    def handle(server, connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    failure(Transport(f"https://127.0.0.1:{peer(handle).port}"), sent=False)


def test_handshake_that_hangs(peer):
    """Not sent, in time."""
    server = peer(lambda server, connection: server.stopping.wait(10))
    failure(Transport(f"https://127.0.0.1:{server.port}"), sent=False)


def test_handshake_that_drips(peer):
    """Not sent, in time: bytes of a handshake record that never ends."""
    server = peer(lambda server, connection: server.drip(connection, b"\x16\x03\x03\x3f\xff\x02" + b"\x00" * 60))
    failure(Transport(f"https://127.0.0.1:{server.port}"), sent=False)


def test_ca_bundle_that_is_not_there(monkeypatch):
    """A setting, found out at the start."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        Transport("https://127.0.0.1:1")


def test_proxy_of_the_environment_is_looked_up_once(peer, monkeypatch):
    """Through the proxy with the whole URL; what the variables say later changes nothing."""
    proxy = peer(answer_ok)
    monkeypatch.setenv("http_proxy", f"http://user:word@127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    transport = Transport("http://sockudo.invalid:6001")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert post(transport).status == 200
    request = proxy.requests[0][1]
    assert request.startswith(b"POST http://sockudo.invalid:6001/apps/a/events?auth_key=hush HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in request


def test_no_proxy_of_the_environment(peer, monkeypatch):
    """Straight to a host that is excepted."""
    server = peer(answer_ok)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert post(Transport(f"http://127.0.0.1:{server.port}")).status == 200


def test_proxy_that_refuses(monkeypatch):
    """Not sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    failure(Transport("http://sockudo.invalid:6001"), sent=False)


def test_tunnel_through_a_proxy(peer, authority, monkeypatch):
    """https goes through CONNECT; the deadline and the certificate hold inside."""
    server = peer(answer_ok, wrap=authority[1])

    def tunnel(proxy, connection):
        proxy.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
            pump(connection, onward)

    proxy = peer(tunnel)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    monkeypatch.setattr(socket, "getaddrinfo", answering_with_loopback())
    assert post(Transport(f"https://localhost:{server.port}"), timeout=5).status == 200
    assert proxy.requests[0][1].startswith(f"CONNECT localhost:{server.port} ".encode())
    assert len(server.requests) == 1


def test_tunnel_opens_behind_a_hint(peer, authority, monkeypatch):
    """What a proxy says before its answer is passed over, too."""
    server = peer(answer_ok, wrap=authority[1])

    def tunnel(proxy, connection):
        proxy.read_request(connection)
        connection.sendall(HINT + b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
            pump(connection, onward)

    proxy = peer(tunnel)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    monkeypatch.setattr(socket, "getaddrinfo", answering_with_loopback())
    assert post(Transport(f"https://localhost:{server.port}"), timeout=5).status == 200


# Python 3.10's http.client leaves the answer of a tunnel that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 200 Connected\r\nX: " + b"x" * 90, b""]
)
def test_tunnel_that_does_not_open(peer, monkeypatch, answer):
    """Refused, dripping or closed: what went to the proxy was not the request, so not sent."""

    def handle(proxy, connection):
        proxy.read_request(connection)
        proxy.drip(connection, answer, 0.01 if b"407" in answer else 0.1)

    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{peer(handle).port}")
    monkeypatch.setenv("no_proxy", "")
    failure(Transport("https://sockudo.invalid:443"), sent=False)
    gc.collect()


def test_handshake_that_hangs_behind_a_slow_tunnel(peer, monkeypatch):
    """Each step has what the one before has left: not sent, in time."""

    def handle(proxy, connection):
        proxy.read_request(connection)
        if not proxy.stopping.wait(1.8):
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        proxy.stopping.wait(10)

    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{peer(handle).port}")
    failure(Transport("https://sockudo.invalid:443"), sent=False, timeout=2)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_netrc_is_not_read(peer, monkeypatch, tmp_path):
    """Sockudo knows no Authorization header, and the file would be read at each request."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login hush password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = peer(answer_ok)
    post(Transport(f"http://127.0.0.1:{server.port}"))
    assert b"authorization" not in server.requests[0][1].lower()


def test_each_thread_has_a_connection_of_its_own(peer):
    """Kept alive, none is shared."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    server = peer(handle)
    transport = Transport(f"http://127.0.0.1:{server.port}")
    barrier = threading.Barrier(4)
    ports = []

    def work():
        for number in range(5):
            barrier.wait(10)
            body = f"{threading.get_ident()} {number}".encode()
            assert post(transport, body=body, timeout=5).status == 200
        barrier.wait(10)
        ports.append(threading.get_ident())
        transport.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(ports), server.connections, len(server.requests)) == (4, 4, 20)
    by_port = {}
    for port, request in server.requests:
        by_port.setdefault(port, set()).add(request.partition(b"\r\n\r\n")[2].split()[0])
    assert all(len(senders) == 1 for senders in by_port.values())


FORK = """
    import os, sys
    from sockudo_publisher.client.sockudo import Sockudo
    for url in sys.argv[1:]:
        client = Sockudo.from_url(url)
        client.trigger("c", "parent-1", "x")
        pid = os.fork()
        if pid == 0:
            for n in range(3):
                client.trigger("c", "child", "x")
            client.close()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert status == 0, (url, status)
        client.trigger("c", "parent-2", "x")
        client.close()
"""


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        timeout=60,
        check=True,
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


def urls_of(plain, secure):
    return f"http://k:s@127.0.0.1:{plain.port}/apps/a", f"https://k:s@127.0.0.1:{secure.port}/apps/a"


def test_parent_and_child_send_after_fork(peer, authority, monkeypatch):
    """The child connects anew, and the parent's kept-alive connection survives the child; plain and over TLS."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    plain, secure = peer(handle), peer(handle, wrap=authority[1])
    run_python(FORK, *urls_of(plain, secure))
    for server in (plain, secure):
        ports = {name: {port for port, request in server.requests if name in request} for name in (b"parent", b"child")}
        assert len(server.requests) == 5
        assert (len(ports[b"parent"]), len(ports[b"child"])) == (1, 1)
        assert ports[b"parent"].isdisjoint(ports[b"child"])


GEVENT = """
    from gevent import monkey; monkey.patch_all()
    import sys, time, gevent
    from sockudo_publisher.client.sockudo import Sockudo
    from sockudo_publisher.errors import SockudoConnectionError
    clients = [Sockudo.from_url(url, timeout=3.0) for url in sys.argv[1:]]
    def one(client):
        try:
            client.trigger("c", "e", "x")
        except SockudoConnectionError as error:
            assert error.sent is True, error
            return "timeout"
        return "ok"
    started = time.monotonic()
    jobs = [[gevent.spawn(one, client) for _ in range(8)] for client in clients]
    gevent.joinall(sum(jobs, []), raise_error=True)
    assert time.monotonic() - started < 20  # one after the other, eight of them would take the peer's patience each
    values = [sorted(job.value for job in of_one) for of_one in jobs]
    assert values == [["ok"] * 7 + ["timeout"]] * 2, values
"""


def test_greenlets_have_deadlines_of_their_own(peer, authority, monkeypatch):
    """Eight at once in one thread, one of which is never answered; plain and over TLS."""
    need_module("gevent")

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) == 4:
            server.stopping.wait(10)
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    plain, secure = peer(handle), peer(handle, wrap=authority[1])
    run_python(GEVENT, *urls_of(plain, secure))
    assert (len(plain.requests), len(secure.requests)) == (8, 8)
