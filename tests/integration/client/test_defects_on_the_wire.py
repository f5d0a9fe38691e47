"""The defects of other SDKs that show on a socket only, each shown not to be here (docs/sdks.md, Defects)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from sockudo_publisher.client.http.retries import Retries
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.errors import BadStatus, RateLimited, SockudoConnectionError
from tests.support.proxy import Answer, Cut, Proxy

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
SOON = Retries(attempts=3, first_wait_s=0.01)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """The environment of the machine does not reach the tests."""
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def client_of(peer, **options):
    return Sockudo("a", "k", "s", host="127.0.0.1", port=peer.port, **options)


def bodies(peer):
    return [request.partition(b"\r\n\r\n")[2] for _, request in peer.requests]


def test_p2_p4_slow_answer_is_one_request(peer):
    """The server answers when the client has gone: there the event was posted three times, without a key."""

    def handle(server, connection):
        server.read_request(connection)
        server.stopping.wait(30)

    server = peer(handle)
    with pytest.raises(SockudoConnectionError) as caught:
        client_of(server, timeout=1.0, retries=SOON).trigger("c", "e", 1)
    assert (caught.value.sent, caught.value.attempts, len(server.requests)) == (True, 1, 1)


def test_p5_repeats_are_the_same_bytes_under_a_fresh_signature(peer):
    """Dropped twice after it was read: three requests, one body; the timestamp moves on with the clock."""

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) > 2:
            connection.sendall(CLOSING)

    server = peer(handle)
    client = client_of(server, retries=SOON)
    began = time.time()
    client.trigger("c", "e", {"x": 1}, message_id="m")
    assert len(server.requests) == 3
    assert len(set(bodies(server))) == 1
    for _, request in server.requests:
        stamp = int(request.partition(b"auth_timestamp=")[2].partition(b"&")[0])
        assert int(began) <= stamp <= time.time()


def test_p4_retry_after_is_waited_for(peer):
    """On the clock, and 0 counts as one second."""

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) == 1:
            answer = b"HTTP/1.1 429 X\r\nRetry-After: 0\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
            connection.sendall(answer)
        else:
            connection.sendall(CLOSING)

    server = peer(handle)
    began = time.monotonic()
    client_of(server).trigger("c", "e", 1)
    assert time.monotonic() - began >= 1.0
    assert len(server.requests) == 2
    server.requests.clear()
    with pytest.raises(RateLimited):
        client_of(server, retries=None).trigger("c", "e", 1)


def test_p10_dripping_answer_ends_with_the_timeout(peer):
    """There half a second took six, and reported success."""

    def handle(server, connection):
        server.read_request(connection)
        server.drip(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" + b" " * 60, every_s=0.2)

    server = peer(handle)
    began = time.monotonic()
    with pytest.raises(SockudoConnectionError, match=r"no complete answer within 0\.5 s"):
        client_of(server, timeout=0.5).trigger("c", "e", 1)
    assert time.monotonic() - began < 10  # the whole answer would take twenty
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "head", [b"204 No Content", b"200 OK\r\nContent-Length: 0", b"202 Accepted\r\nContent-Length: 0"]
)
def test_java_success_without_a_body(peer, head):
    """There it is an error of its own, with nothing to read."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\n")

    client = client_of(peer(handle), retries=None)
    assert client.trigger("c", "e", 1) == {}
    assert client.trigger_batch([("c", "e", 1)]) == {}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_g9_redirect_is_not_followed(peer, status):
    """There the POST becomes a GET without a body, and the call reports success."""
    elsewhere = peer(lambda server, connection: connection.sendall(CLOSING))

    def handle(server, connection):
        server.read_request(connection)
        where = f"http://127.0.0.1:{elsewhere.port}/"
        head = f"HTTP/1.1 {status} X\r\nLocation: {where}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())

    server = peer(handle)
    with pytest.raises(BadStatus) as caught:
        client_of(server).trigger("c", "e", 1, message_id="m")
    assert caught.value.status == status
    assert (len(server.requests), elsewhere.connections) == (1, 0)


def test_g5_dead_kept_alive_connection_is_not_a_second_post(peer):
    """Go's transport posts again by itself. Here the error reports it, and only an event with an id is repeated."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(OK)
        server.read_request(connection)  # and closes without an answer

    server = peer(handle)
    client = client_of(server, retries=SOON)
    client.trigger("c", "e", 1)
    with pytest.raises(SockudoConnectionError) as caught:
        client.trigger("c", "e", 2)
    assert caught.value.sent
    assert len(server.requests) == 2
    client.trigger("c", "e", 3)  # connects anew
    client.trigger("c", "e", 4, message_id="m")  # dies, and is repeated
    client.close()
    assert [json.loads(body)["data"] for body in bodies(server)] == ["1", "2", "3", "4", "4"]


FORK = """
    import os, sys
    from sockudo_publisher import Sockudo
    client = Sockudo.from_url(sys.argv[1])  # gunicorn --preload: made and used before the workers are forked
    client.trigger("c", "parent", 1, idempotency_key=True)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(3):
                client.trigger("c", "child", 1, idempotency_key=True)
            client.close()
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    client.trigger("c", "parent", 2, idempotency_key=True)
    client.close()
"""


def test_p8_p9_forked_workers_share_neither_keys_nor_connections(peer):
    """There two children published different events under one key, over the parent's socket."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    server = peer(handle)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(FORK), f"http://k:s@127.0.0.1:{server.port}/apps/a"],
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    keys = [json.loads(body)["idempotency_key"] for body in bodies(server)]
    assert len(keys) == len(set(keys)) == 11
    ports = {}
    for port, request in server.requests:
        ports.setdefault(port, set()).add(json.loads(request.partition(b"\r\n\r\n")[2])["name"])
    assert sorted("+".join(names) for names in ports.values()) == ["child", "child", "child", "parent"]


LIGHT = """
    import sys
    import sockudo_publisher
    from sockudo_publisher import Event, Retries, Sockudo, SockudoError
    client = Sockudo.from_url(sys.argv[1])
    client.trigger("c", "e", {"x": 1}, message_id="m")
    client.trigger_batch([Event("c", "e", 1)])
    client.authenticate("private-c", "1.1")
    client.validate_webhook("k", "0" * 64, b"{}")
    client.close()
    heavy = {"celery", "kombu", "billiard", "vine", "amqp", "redis", "hiredis", "click", "rich"}
    loaded = heavy & {name.partition(".")[0] for name in sys.modules}
    assert not loaded, loaded
"""


def test_client_loads_neither_celery_nor_redis(peer):
    """In a fresh interpreter, after use: what a web process pays for is HTTP."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    server = peer(handle)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(LIGHT), f"http://k:s@127.0.0.1:{server.port}/apps/a"],
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert len(server.requests) == 2


def test_threads_that_share_a_client_do_not_wait(peer):
    """Nothing is locked while a request is under way: eight answers that come together, or not at all."""
    together = threading.Barrier(8)

    def handle(server, connection):
        server.read_request(connection)
        together.wait(20)  # breaks, and answers nothing, unless all eight are here at once
        connection.sendall(CLOSING)

    server = peer(handle)
    client = client_of(server, timeout=30, retries=None)
    failures = []

    def work():
        try:
            client.trigger("c", "e", 1)
        except SockudoConnectionError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert failures == []
    assert len(server.requests) == 8


# Against the real server


@pytest.fixture
def proxy(sockudo):
    with Proxy(sockudo.port) as proxy:
        yield proxy


def test_lost_answer_is_asked_for_again_and_the_event_seen_once(sockudo, subscriber, proxy):
    """Under a ``message_id``, alone and in a batch; what was never answered is published all the same."""
    seen = subscriber(sockudo, "lost-answers")
    client = Sockudo.from_url(proxy.url(sockudo.url), retries=SOON)
    proxy.next(Cut(answer_bytes=0), Cut(answer_bytes=0))
    answer = client.trigger("lost-answers", "e", "1", message_id="lost-1")
    assert answer == {"channels": {"lost-answers": {"acknowledgement_id": "lost-1"}}}
    batch = [{"channel": "lost-answers", "name": "e", "data": str(n), "key": f"lost-{n}"} for n in (2, 3, 4)]
    proxy.next(Cut(answer_bytes=20, reset=True))
    acknowledged = [{"acknowledgement_id": f"lost-{n}"} for n in (2, 3, 4)]
    assert client.trigger_batch(batch) == {"batch": acknowledged}
    assert proxy.fired == 3
    client.trigger("lost-answers", "e", "end")
    assert seen.take(5) == ["1", "2", "3", "4", "end"]
    assert seen.count == 5


def test_lost_answer_without_an_identity_is_told(sockudo, subscriber, proxy):
    """It is out: the error is true, and the event is out once."""
    seen = subscriber(sockudo, "told")
    client = Sockudo.from_url(proxy.url(sockudo.url), retries=SOON)
    proxy.next(Cut(answer_bytes=0))
    with pytest.raises(SockudoConnectionError) as caught:
        client.trigger("told", "e", "1")
    assert caught.value.sent
    proxy.next(Cut(answer_bytes=0))
    with pytest.raises(SockudoConnectionError) as caught:
        client.trigger_batch([("told", "e", "2"), ("told", "e", "3")])
    assert caught.value.doubtful == range(2)
    client.trigger("told", "e", "end")
    assert seen.take(4) == ["1", "2", "3", "end"]


def test_proxy_that_could_not_connect_is_not_sent(sockudo, subscriber, proxy):
    """Our nginx sends that in a header (docs/deployment.md); without it a 502 is unknown."""
    seen = subscriber(sockudo, "upstream")
    client = Sockudo.from_url(proxy.url(sockudo.url), retries=SOON)
    proxy.next(Answer.http(502, b"<html>", "X-Upstream-Bytes-Sent: 0"))
    client.trigger("upstream", "e", "1")
    proxy.next(Answer.http(502, b"<html>"))
    with pytest.raises(BadStatus) as caught:
        client.trigger("upstream", "e", "2")
    assert caught.value.sent
    client.trigger("upstream", "e", "end")
    assert seen.take(2) == ["1", "end"]


def test_limit_of_the_app_is_learned(sockudo, subscriber, tmp_path):
    """From the real server's words; in order, each once, the answers joined."""
    app = SockudoApp("small", "small-key", "small-secret", limits={"max_event_batch_size": 7})
    with SockudoServer(tmp_path, (app,), program=sockudo.program) as server:
        seen = subscriber(server, "parts")
        client = Sockudo.from_url(server.url)
        batch = [{"channel": "parts", "name": "e", "data": str(n), "key": f"part-{n}"} for n in range(20)]
        with pytest.raises(Exception, match=r"limit_exceeded: .*20.*7") as caught:
            client.trigger_batch(batch)
        assert (caught.value.sent, caught.value.accepted) == (False, 0)
        answer = client.trigger_batch(batch, split=True)
        assert [item["acknowledgement_id"] for item in answer["batch"]] == [f"part-{n}" for n in range(20)]
        assert client._batch_events == 7
        assert seen.take(20) == [str(n) for n in range(20)]
        # One that the server refuses, in the third part: the first two are out, and of the third what came before.
        bad = [("parts", "e", str(n)) for n in range(30)]
        bad[16] = ("no-such-namespace:parts", "e", "x")
        with pytest.raises(Exception, match="invalid_input") as caught:
            client.trigger_batch(bad, split=True)
        assert (caught.value.accepted, caught.value.doubtful) == (14, range(14, 21))
        assert seen.take(36) == [str(n) for n in range(20)] + [str(n) for n in range(16)]
