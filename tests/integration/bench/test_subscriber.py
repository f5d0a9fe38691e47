"""The subscriber of bench, demo and tests, at a server that does what a real one seldom does while one looks."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest
import trustme
from websockets.sync.server import ServerConnection, serve

from sockudo_publisher.dev.subscriber import Subscriber, ws_url
from sockudo_publisher.errors import SockudoConnectionError, SockudoError

pytestmark = pytest.mark.integration

ANSWER_S = 10.0
Then = Callable[[ServerConnection], None]


def say(socket: ServerConnection, event: str, channel: str | None = None, data: str = "{}") -> None:
    socket.send(json.dumps({"event": event, "channel": channel, "data": data}, separators=(",", ":")))


@pytest.fixture
def server() -> Iterator[Callable[..., int]]:
    """`server(then)`: confirms two subscriptions, then does `then`; its port."""
    with ExitStack() as ends:

        def start(then: Then, *, tls: ssl.SSLContext | None = None, refuses: bool = False) -> int:
            def handle(socket: ServerConnection) -> None:
                say(socket, "pusher:connection_established")
                for _ in range(2):
                    asked = json.loads(socket.recv(timeout=ANSWER_S))
                    if refuses:
                        say(socket, "pusher:error", data="no such app")
                        return
                    say(socket, "pusher_internal:subscription_succeeded", asked["data"]["channel"])
                then(socket)

            running = serve(handle, "127.0.0.1", 0, ssl=tls, ping_interval=None, compression=None)
            thread = threading.Thread(target=running.serve_forever)
            thread.start()
            ends.callback(thread.join)
            ends.callback(running.shutdown)
            return int(running.socket.getsockname()[1])

        yield start


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + ANSWER_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def events(socket: ServerConnection) -> None:
    for number in range(100):
        say(socket, "bench", "ab"[number % 2], json.dumps({"seq": number, "event": "pusher"}))
    socket.recv(timeout=ANSWER_S)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_it_keeps_every_event_with_its_time(server, secure, monkeypatch, tmp_path):
    """In the order of arrival, each once, also where data looks like the protocol's; with TLS by the system's CAs."""
    tls = None
    if secure:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
    port = server(events, tls=tls)
    began = time.monotonic()
    with Subscriber(ws_url(f"{'wss' if secure else 'ws'}://127.0.0.1:{port}", "key"), "a", "b") as subscriber:
        wait_until(lambda: subscriber.count == 100)
        arrivals = subscriber.events()
        assert subscriber.pop_events() == arrivals
        assert subscriber.pop_events() == subscriber.events() == []
    assert [(one.channel, json.loads(one.data)["seq"]) for one in arrivals] == [("ab"[n % 2], n) for n in range(100)]
    assert all(began <= earlier.at <= later.at for earlier, later in pairwise(arrivals))
    assert subscriber.last_at == arrivals[-1].at


def test_pings_are_answered(server):
    """Of both kinds: a server or a proxy between cuts off who does not."""
    answered, looked = threading.Event(), threading.Event()

    def ask(socket: ServerConnection) -> None:
        say(socket, "pusher:ping")
        assert json.loads(socket.recv(timeout=ANSWER_S))["event"] == "pusher:pong"
        assert socket.ping().wait(ANSWER_S)
        answered.set()
        looked.wait(ANSWER_S)  # the end of this closes the connection

    with Subscriber(ws_url(f"ws://127.0.0.1:{server(ask)}", "key"), "a", "b") as subscriber:
        assert answered.wait(ANSWER_S)
        assert subscriber.error is None
        looked.set()


def test_a_lost_connection_is_an_error(server):
    """Not a silence that would be taken for lost events."""
    subscribed = threading.Event()

    def close(socket: ServerConnection) -> None:
        assert subscribed.wait(ANSWER_S)
        socket.close()

    with Subscriber(ws_url(f"ws://127.0.0.1:{server(close)}", "key"), "a", "b") as subscriber:
        subscribed.set()
        wait_until(lambda: subscriber.error is not None)
    assert isinstance(subscriber.error, SockudoConnectionError)


def test_a_refusal_is_told_in_the_server_s_words(server):
    """It answered, so it is not unreachable."""
    port = server(lambda _: None, refuses=True)
    with (
        pytest.raises(SockudoError, match="no such app") as caught,
        Subscriber(ws_url(f"ws://127.0.0.1:{port}", "k"), "a", "b"),
    ):
        raise AssertionError
    assert not isinstance(caught.value, SockudoConnectionError)
