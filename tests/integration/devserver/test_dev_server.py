"""`DevServer`, the server in a thread: what tests do with it, its faults, its page, and who may connect."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from websockets.sync.client import connect

from sockudo_publisher import ServerError, Sockudo, SockudoConnectionError
from sockudo_publisher.dev.embedded import DevServer, SockudoApp
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused
from tests.support.http_api import HttpApi

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[DevServer]:
    with DevServer(history=True) as server:
        yield server


@pytest.fixture
def once(server: DevServer) -> Iterator[Sockudo]:
    """A client that does not repeat a call."""
    with Sockudo.from_url(server.url, retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def patient(server: DevServer) -> Iterator[Sockudo]:
    """A client that does."""
    with Sockudo.from_url(server.url, timeout=30) as client:
        yield client


def batch(count: int, start: int = 0) -> list[dict[str, object]]:
    numbers = range(start, start + count)
    return [{"channel": "c", "name": "e", "data": str(n), "message_id": f"m{n}"} for n in numbers]


def test_accepted_events_are_typed_values(server: DevServer, once: Sockudo) -> None:
    """A repeat under an id is counted, and is no event."""
    with Subscriber(server.ws_url(), "c"):
        for _ in range(2):
            once.trigger("c", "e", {"a": 1}, message_id="m", tags={"t": "1"})
    (event,) = server.events
    assert (event.app_id, event.channel, event.name, event.data) == ("app", "c", "e", '{"a":1}')
    assert (event.message_id, event.tags, event.subscribers) == ("m", {"t": "1"}, 1)
    assert (server.counts.accepted, server.counts.replayed, server.counts.refused) == (1, 1, 0)
    server.clear()
    assert (server.events, server.counts.accepted) == ([], 0)
    assert "secret" not in repr(server)


def test_its_parts_make_its_url(server: DevServer) -> None:
    """For who does not use the URL."""
    assert server.url == f"http://{server.key}:{server.secret}@{server.host}:{server.port}/apps/{server.app_id}"
    client = Sockudo(server.app_id, server.key, server.secret, host=server.host, port=server.port)
    assert client.channels_info() == {"channels": {}}
    client.close()


def test_several_apps_are_apart() -> None:
    """Given as the other embedded servers take them."""
    one, two = SockudoApp("one", "k1", "s1"), SockudoApp("two", "k2", "s2")
    with DevServer([one, two]) as server:
        for app in (one, two):
            client = Sockudo.from_url(server.url_of(app))
            client.trigger("c", "e", app.id, message_id="m")
            client.close()
        assert [(event.app_id, event.data) for event in server.events] == [("one", "one"), ("two", "two")]


def test_a_lost_answer_is_repeated_without_a_second_event(server: DevServer, once: Sockudo, patient: Sockudo) -> None:
    """The event is out, and its id is remembered."""
    server.faults.lose_answers(3)
    with pytest.raises(SockudoConnectionError) as lost:
        once.trigger("c", "e", "d", message_id="m")
    assert lost.value.sent is None or lost.value.sent
    patient.trigger("c", "e", "d", message_id="m")
    assert len(server.events) == 1
    assert server.counts.faults == {"lose_answers": 3}
    assert server.counts.replayed == 3


def test_a_lost_request_does_nothing(server: DevServer, once: Sockudo) -> None:
    """Nor does one whose connection is reset."""
    server.faults.lose_requests()
    server.faults.reset()
    for _ in range(2):
        with pytest.raises(SockudoConnectionError):
            once.trigger("c", "e", "d")
    once.trigger("c", "e", "d")
    assert len(server.events) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_is_answered_on_request(server: DevServer, status: int) -> None:
    """With its time to wait; what is behind it is answered as usual."""
    server.faults.answer(status, retry_after=7)
    api = HttpApi(server)  # type: ignore[arg-type]
    answer = api.event(channel="c", name="e", data="d")
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")
    assert server.events == []
    assert api.event(channel="c", name="e", data="d").status == 200


def test_a_hanging_request_ends_with_its_client(server: DevServer) -> None:
    """Or after its time."""
    server.faults.hang(2)
    server.faults.hang(seconds=0.05)
    with Sockudo.from_url(server.url, retries=0, timeout=0.3) as client:
        for _ in range(3):
            with pytest.raises(SockudoConnectionError):
                client.trigger("c", "e", "d")
        server.faults.delay(0.05)
    with Sockudo.from_url(server.url, retries=0, timeout=30) as client:
        client.trigger("c", "e", "d")
    assert [event.data for event in server.events] == ["d"]


def test_garbage_comes_after_the_event(server: DevServer, once: Sockudo) -> None:
    """So the caller cannot know."""
    server.faults.garbage()
    with suppress(Exception):
        once.trigger("c", "e", "d", message_id="m")
    assert len(server.events) == 1


def test_a_batch_stops_in_its_middle_and_keeps_a_claim(server: DevServer, once: Sockudo) -> None:
    """As the real server does when its client goes away."""
    server.faults.stop_in_batch(after=2)
    with pytest.raises(SockudoConnectionError):
        once.trigger_batch(batch(4))
    assert [event.data for event in server.events] == ["0", "1"]
    with pytest.raises(ServerError) as stuck:
        once.trigger_batch(batch(4))
    assert (stuck.value.status, stuck.value.code) == (503, "backpressure")
    once.trigger_batch(batch(1, start=3))
    assert [event.data for event in server.events] == ["0", "1", "3"]


def test_the_item_of_a_batch_fails_on_request(server: DevServer, once: Sockudo) -> None:
    """Those before it are out; sent again, all are, once."""
    server.faults.fail_item(2, status=500)
    with pytest.raises(ServerError):
        once.trigger_batch(batch(4))
    once.trigger_batch(batch(4))
    assert [event.data for event in server.events] == ["0", "1", "2", "3"]


def test_ids_are_forgotten_on_request(server: DevServer, once: Sockudo) -> None:
    """And a small memory keeps no new one."""
    once.trigger("c", "e", "d", message_id="m")
    server.faults.forget_ids()
    once.trigger("c", "e", "d", message_id="m")
    assert len(server.events) == 2
    server.faults.shrink_memory(1)
    for _ in range(2):
        once.trigger("c", "e", "d", message_id="new")
    assert len(server.events) == 4


def test_a_skewed_clock_refuses_signatures(server: DevServer, once: Sockudo) -> None:
    """More than ten minutes either way."""
    server.faults.skew_clock(700)
    with pytest.raises(Exception, match="Timestamp expired") as refused:
        once.trigger("c", "e", "d")
    assert refused.value.status == 401  # type: ignore[attr-defined]
    server.faults.skew_clock(0)
    once.trigger("c", "e", "d")


def test_connections_are_refused_and_accepted_again(server: DevServer, once: Sockudo) -> None:
    """On the same port; those that exist stay."""
    with Subscriber(server.ws_url(), "c") as subscriber:
        server.faults.refuse()
        with pytest.raises(SockudoConnectionError) as refused:
            once.trigger("c", "e", "d")
        assert refused.value.sent is False
        subscriber.ping()
        server.faults.clear()
        once.trigger("c", "e", "d")
        assert subscriber.take(1) == ["d"]
        server.faults.refuse(seconds=0.05)
        assert wait_for(lambda: is_listening(server.port), 30)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("keep", [True, False])
def test_a_restart_keeps_the_memory_or_not(server: DevServer, once: Sockudo, keep: bool) -> None:
    """Its port and its log stay; its connections are closed."""
    port = server.port
    subscriber = Subscriber(server.ws_url(), "c")
    once.trigger("c", "e", "d", message_id="m")
    server.restart(keep_memory=keep)
    assert subscriber.wait_closed() == 4200
    subscriber.close()
    assert server.port == port
    once.trigger("c", "e", "d", message_id="m")
    assert len(server.events) == (1 if keep else 2)
    assert len(once.channel_history("c")["items"]) == 1
    assert once.channel_info("c") == {"occupied": False}


def test_a_taken_port_is_an_oserror(server: DevServer) -> None:
    """And options out of range are ValueErrors, before anything starts."""
    with pytest.raises(OSError, match="in use"):
        DevServer(port=server.port).start()
    for options in ({"port": 70000}, {"port": -1}, {"dedup_ttl_s": 0}, {"cache_max_capacity": 0}, {"apps": []}):
        with pytest.raises(ValueError, match=r"port|dedup|app"):
            DevServer(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="webhook"):
        DevServer(webhook="ftp://x")
    with pytest.raises(TypeError, match="DevServerProcess"):
        DevServer("directory")  # type: ignore[arg-type]


def test_it_stops_while_clients_are_connected(server: DevServer) -> None:
    """In bounded time, and twice is no error."""
    subscribers = [Subscriber(server.ws_url(), "c") for _ in range(3)]
    server.stop()
    server.stop()
    assert not server.is_running
    assert not is_listening(server.port)
    assert [subscriber.wait_closed() for subscriber in subscribers] == [4200] * 3
    for subscriber in subscribers:
        subscriber.close()


def test_threads_may_order_faults_while_it_works(server: DevServer, patient: Sockudo) -> None:
    """Each fault meets one request."""

    def order() -> None:
        for _ in range(5):
            server.faults.answer(503)
            server.faults.forget_ids()
            assert isinstance(server.events, list)

    threads = [threading.Thread(target=order) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    api = HttpApi(server)  # type: ignore[arg-type]
    answers = [api.event(channel="c", name="e", data="d").status for _ in range(17)]
    assert answers == [503] * 15 + [200] * 2


# -- who may connect --------------------------------------------------------------------------------


def greeting(server: DevServer, origin: str | None, path: str = "/app/key?protocol=7") -> dict[str, object]:
    headers = {} if origin is None else {"Origin": origin}
    with connect(f"ws://127.0.0.1:{server.port}{path}", additional_headers=headers, proxy=None) as websocket:
        return dict(json.loads(websocket.recv(timeout=30)))


@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1:8000"])
def test_pages_of_this_machine_connect(server: DevServer, origin: str | None) -> None:
    """And programs, which send no origin."""
    assert greeting(server, origin)["event"] == "pusher:connection_established"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_pages_of_others_do_not(server: DevServer, origin: str) -> None:
    """Unless they are allowed."""
    expected = {"event": "pusher:error", "data": {"code": 4009, "message": "Origin not allowed"}}
    assert greeting(server, origin) == expected
    with DevServer(allow_origins=[origin]) as open_server:
        assert greeting(open_server, origin)["event"] == "pusher:connection_established"


@pytest.mark.parametrize(("protocol", "status"), [("9" * 30, 400), ("9" * 5000, 400), ("x", 400), ("2", 501)])
def test_no_protocol_ends_in_a_500(server: DevServer, protocol: str, status: int) -> None:
    """However long the number is."""
    with pytest.raises(SubscriptionRefused, match=rf"HTTP/1\.1 {status}"):
        Subscriber(server.ws_url().replace("protocol=7", f"protocol={protocol}"))


def fetch(
    server: DevServer, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_the_page_shows_what_is_there(server: DevServer, once: Sockudo) -> None:
    """By a script of its own that puts in text alone; nothing is loaded from elsewhere."""
    status, headers, page = fetch(server, "GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"innerHTML" not in page
    assert b"//" not in page.replace(b"// Everything", b"")
    with Subscriber(server.ws_url(), "c"):
        once.trigger("c", "<b>", "<script>" + "x" * 1000)
        state = json.loads(fetch(server, "GET", "/dev/state")[2])
    assert state["apps"][0]["channels"] == [{"name": "c", "subscribers": 1, "members": []}]
    (event,) = state["events"]
    assert (event["event"], event["bytes"], len(event["data"])) == ("<b>", 1008, 500)
    assert b"secret" not in fetch(server, "GET", "/dev/state")[2]


@pytest.mark.parametrize("path", ["/", "/dev/state", "/dev/faults"])
def test_the_page_is_for_this_server_s_pages(server: DevServer, path: str) -> None:
    """A foreign name whose DNS points here is refused, and other origins; no page may read it."""
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "http://localhost:1"}):
        status, answered, _ = fetch(server, "GET", path, **headers)
        assert status == 403
        assert "access-control-allow-origin" not in answered
    assert fetch(server, "GET", path, Origin=f"http://127.0.0.1:{server.port}")[0] == 200


def test_faults_are_ordered_by_http(server: DevServer, once: Sockudo) -> None:
    """As JSON, which no form of another page can send."""
    order = json.dumps([{"fault": "lose_answers", "count": 2}, {"fault": "skew_clock", "seconds": 1}])
    status, _, body = fetch(server, "POST", "/dev/faults", order, Content_Type="application/json")
    assert (status, json.loads(body)["faults"]) == (200, [{"fault": "lose_answers", "count": 2}])
    with pytest.raises(SockudoConnectionError):
        once.trigger("c", "e", "d")
    assert json.loads(fetch(server, "GET", "/dev/faults")[2])["counts"]["faults"] == {"lose_answers": 1}
    clear = json.dumps({"fault": "clear"})
    assert fetch(server, "POST", "/dev/faults", clear, Content_Type="application/json")[0] == 200
    once.trigger("c", "e", "d")


BAD_ORDERS = [
    ("x", "application/json", 400),
    ("[" * 10_000, "application/json", 400),
    ("[" * 5_000, "application/json", 400),
    ("9" * 9_000, "application/json", 400),
    ('{"fault":"nothing"}', "application/json", 400),
    ('{"fault":"lose_answers","count":-1}', "application/json", 400),
    ("x" * 10_001, "application/json", 413),
    ('{"fault":"clear"}', "text/plain", 415),
    ('{"fault":"clear"}', "application/x-www-form-urlencoded", 415),
]


@pytest.mark.parametrize(("body", "kind", "status"), BAD_ORDERS)
def test_a_wrong_order_is_answered(server: DevServer, body: str, kind: str, status: int) -> None:
    """Never with a 500."""
    assert fetch(server, "POST", "/dev/faults", body, Content_Type=kind)[0] == status


def test_a_fault_is_not_for_foreign_pages(server: DevServer) -> None:
    """Nor for names that are not this server's."""
    order = json.dumps({"fault": "reset"})
    for headers in ({"Host": "evil.example:80"}, {"Origin": "https://evil.example"}):
        assert fetch(server, "POST", "/dev/faults", order, Content_Type="application/json", **headers)[0] == 403
    assert json.loads(fetch(server, "GET", "/dev/faults")[2])["faults"] == []


def test_keys_of_the_app_have_their_traps(server: DevServer) -> None:
    """A failed item of a batch is skipped when it comes again, with 200: as on the real server."""
    api = HttpApi(server)  # type: ignore[arg-type]
    good = {"channel": "c", "name": "e", "data": "good", "idempotency_key": "k0"}
    bad = {"channel": "a b", "name": "e", "data": "bad", "idempotency_key": "k1"}
    assert api.batch(good, bad).status == 400
    assert api.batch(good, {**bad, "channel": "c"}).json == {}
    assert [event.data for event in server.events] == ["good"]
    assert api.event(**good).json == 1
    stuck = api.event(**{**bad, "channel": "c"})
    assert (stuck.status, stuck.json["error"]) == (503, "Idempotent publish is still in progress")
    first = api.event(channel="c", name="e", data="d", idempotency_key="k2")
    assert api.event(channel="other", name="x", data="y", idempotency_key="k2").json == first.json
    for key, text in (
        ("", "Idempotency key must not be empty"),
        ("k" * 129, "Idempotency key exceeds maximum length of 128 characters"),
    ):
        assert api.event(channel="c", name="e", data="d", idempotency_key=key).json["error"] == text


def starting_s(make: Callable[[], DevServer]) -> float:
    start = time.monotonic()
    with make():
        return time.monotonic() - start


def test_it_starts_again_and_again() -> None:
    """Each on a port of its own, and nothing of it is left."""
    before = threading.active_count()
    for _ in range(3):
        assert starting_s(DevServer) > 0
    assert wait_for(lambda: threading.active_count() <= before, 30)


def test_server_starts_once_its_port_is_free() -> None:
    """The server does not run, and starts once the port is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = DevServer(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            server.start()
        assert not server.is_running
    with server:
        assert server.is_running
