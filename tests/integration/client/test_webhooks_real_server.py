"""Webhooks from the real server to a real HTTP endpoint, each checked by the client as an application would."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sockudo_publisher import InvalidWebhook, Sockudo, Webhook, WebhookEvent
from sockudo_publisher.client.wire.encryption import seal
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.dev.embedded.ports import LOOPBACK
from sockudo_publisher.dev.subscriber import Subscriber

pytestmark = pytest.mark.integration

MASTER_KEY = base64.b64encode(b"01234567890123456789012345678901").decode()
#: Seconds for a webhook to come, on a machine with a lot to do.
SOON_S = 30.0
EVENTS = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
]


@dataclass(frozen=True)
class Request:
    """As it came: headers in order, bytes of the body."""

    headers: list[tuple[str, str]]
    body: bytes


class Endpoint(ThreadingHTTPServer):
    """Keeps every request; answers 503 as often as told, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.requests: list[Request] = []
        self.failures = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/webhooks"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fails = self.server.failures > 0
        self.server.failures -= fails
        self.server.requests.append(Request(list(self.headers.items()), body))
        self.send_response(503 if fails else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(
    sockudo: SockudoServer, endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SockudoServer]:
    """A server that calls the endpoint, and repeats soon."""
    policy = {
        "features": {"enable_client_messages": True},
        "webhooks": [{"url": endpoint.url, "event_types": EVENTS, "retry": {"initial_backoff_ms": 100}}],
    }
    app = SockudoApp("hooks", "hooks-key", "hooks-secret", {"max_client_events_per_second": 1000}, policy)
    with SockudoServer(tmp_path_factory.mktemp("hooks"), [app], program=sockudo.program) as own:
        yield own


@pytest.fixture
def client(server: SockudoServer) -> Iterator[Sockudo]:
    made = Sockudo.from_url(server.url, encryption_master_key_base64=MASTER_KEY)
    yield made
    made.close()


@pytest.fixture
def socket(server: SockudoServer) -> Iterator[Subscriber]:
    with Subscriber(server.ws_url(), secret="hooks-secret") as subscriber:
        yield subscriber


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {SOON_S:g} s"
        time.sleep(0.02)


def webhooks(endpoint: Endpoint, client: Sockudo) -> list[Webhook]:
    """All so far, each checked."""
    return [client.webhook(request.headers, request.body, max_age_s=300) for request in endpoint.requests]


def events(endpoint: Endpoint, client: Sockudo, channel: str) -> list[WebhookEvent]:
    """All events of a channel so far."""
    return [event for webhook in webhooks(endpoint, client) for event in webhook.events if event.channel == channel]


def wait_for(endpoint: Endpoint, client: Sockudo, channel: str, *names: str) -> dict[str, WebhookEvent]:
    """Until these have come for a channel; by name."""
    wait_until(
        lambda: {event.name for event in events(endpoint, client, channel)}.issuperset(names),
        f"{', '.join(names)} of {channel}",
    )
    return {event.name: event for event in events(endpoint, client, channel)}


def test_channels_occupied_and_vacated(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """Public, private and encrypted ones, by name alone; and what counts subscribers keeps its number."""
    channels = ("wh-public", "private-wh", "private-encrypted-wh")
    socket.subscribe(*channels)
    for channel in channels:
        seen = wait_for(endpoint, client, channel, "channel_occupied", "subscription_count")
        assert seen["channel_occupied"].data is None
        assert seen["subscription_count"].raw["subscription_count"] == 1
        socket.unsubscribe(channel)
    for channel in channels:  # the server waits three seconds before it sends that
        wait_for(endpoint, client, channel, "channel_vacated")


def test_members_come_and_go(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """With the user id that was signed."""
    channel, user_id = "presence-wh", "ü/#\n1"
    answer = client.authenticate(channel, socket.socket_id, {"user_id": user_id, "user_info": {"a": 1}})
    socket.send({"event": "pusher:subscribe", "data": {"channel": channel, **answer}})
    socket.ping()
    assert wait_for(endpoint, client, channel, "member_added")["member_added"].user_id == user_id
    socket.unsubscribe(channel)
    assert wait_for(endpoint, client, channel, "member_removed")["member_removed"].user_id == user_id


def test_client_events_with_their_data(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """Text as text, JSON as JSON, and who sent it."""
    channel = "private-wh-client"
    socket.subscribe(channel)
    sent = {"client-text": 'tä"xt', "client-object": {"ä": [1, None]}, "client-list": [1], "client-json": '{"a":1}'}
    for name, data in sent.items():
        socket.send({"event": name, "channel": channel, "data": data})

    def received() -> list[WebhookEvent]:
        return [event for event in events(endpoint, client, channel) if event.name == "client_event"]

    wait_until(lambda: len(received()) >= len(sent), "client events")
    assert {event.event: event.data for event in received()} == sent
    assert {event.socket_id for event in received()} == {socket.socket_id}


def test_client_events_of_an_encrypted_channel(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """Sealed, as text and as the object that the server makes of it: decrypted alike."""
    channel = "private-encrypted-wh-client"
    secret = client.encoder.channel_secret(channel)
    assert secret is not None
    socket.subscribe(channel)
    envelope = seal(b'{"seat":12}', secret)
    socket.send({"event": "client-text", "channel": channel, "data": envelope})
    socket.send({"event": "client-object", "channel": channel, "data": json.loads(envelope)})

    def received() -> list[WebhookEvent]:
        return [event for event in events(endpoint, client, channel) if event.name == "client_event"]

    wait_until(lambda: len(received()) >= 2, "client events")
    assert {event.event: event.data for event in received()} == {
        "client-text": '{"seat":12}',
        "client-object": '{"seat":12}',
    }
    came = {event.event: event.raw["data"] for event in received()}
    assert came == {"client-text": envelope, "client-object": json.loads(envelope)}


def test_a_subscriber_cannot_suppress_the_webhooks_of_others(
    endpoint: Endpoint, client: Sockudo, socket: Subscriber
) -> None:
    """In plain or sealed with another key on an encrypted channel, in the body that has everybody's events."""
    mine, others = "private-encrypted-wh-hostile", "private-wh-victim"
    secret = client.encoder.channel_secret(mine)
    assert secret is not None
    socket.subscribe(mine, others)
    sent = {"client-plain": "plain", "client-forged": seal(b"x", bytes(32)), "client-good": seal(b"y", secret)}
    for name, data in sent.items():
        socket.send({"event": name, "channel": mine, "data": data})
        socket.send({"event": name, "channel": others, "data": "news"})

    def received() -> list[WebhookEvent]:
        seen = (event for webhook in webhooks(endpoint, client) for event in webhook.events)
        return [event for event in seen if event.name == "client_event" and event.channel in (mine, others)]

    wait_until(lambda: len(received()) >= 2 * len(sent), "client events")
    assert {event.event: (event.data, event.error) for event in received() if event.channel == mine} == {
        "client-plain": (None, "data: in plain on an encrypted channel"),
        "client-forged": (None, "data: does not decrypt with this channel's secret"),
        "client-good": ("y", None),
    }
    assert [(event.data, event.error) for event in received() if event.channel == others] == [("news", None)] * 3
    assert any(  # that it was one body, which is what a refusal would have cost
        {event.channel for event in webhook.events} >= {mine, others} for webhook in webhooks(endpoint, client)
    )


def test_cache_miss_of_an_encrypted_channel(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """Its data is the server's own and not encrypted; the other SDKs refuse the whole webhook for it."""
    for channel in ("cache-wh", "private-cache-wh", "private-encrypted-cache-wh"):
        socket.subscribe(channel)
        assert wait_for(endpoint, client, channel, "cache_miss")["cache_miss"].data == "{}"


def test_a_repetition_is_the_same_bytes(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """After a 5xx: the signature holds again, and the time is that of the first attempt."""
    before = len(endpoint.requests)
    endpoint.failures = 1

    def repeated() -> list[Request]:
        """The requests of a body that came twice."""
        since = endpoint.requests[before:]
        bodies = [request.body for request in since]
        return [request for request in since if bodies.count(request.body) > 1]

    socket.subscribe("wh-repeated")
    wait_until(lambda: len(repeated()) > 1, "a repetition")
    assert endpoint.failures <= 0
    first, again = repeated()[:2]
    assert client.webhook(first.headers, first.body) == client.webhook(again.headers, again.body)


def test_webhooks_of_another_app_are_refused(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """Another secret, an altered body; and a rotation that knows the server's pair takes them."""
    socket.subscribe("wh-rotation")
    wait_for(endpoint, client, "wh-rotation", "channel_occupied")
    request = endpoint.requests[-1]
    other = Sockudo("hooks", "hooks-key", "another-secret")
    with pytest.raises(InvalidWebhook, match="does not hold"):
        other.webhook(request.headers, request.body)
    with pytest.raises(InvalidWebhook, match="does not hold"):
        client.webhook(request.headers, request.body + b" ")
    rotating = Sockudo("hooks", "new-key", "new-secret")
    pairs = (("hooks-key", "hooks-secret"),)
    assert rotating.webhook(request.headers, request.body, credentials=pairs) == client.webhook(
        request.headers, request.body
    )


def test_pusher_s_call_takes_them(endpoint: Endpoint, client: Sockudo, socket: Subscriber) -> None:
    """With the header values and the body as text."""
    socket.subscribe("wh-pusher")
    wait_for(endpoint, client, "wh-pusher", "channel_occupied")
    request = endpoint.requests[-1]
    headers = dict(request.headers)
    body = client.validate_webhook(headers["x-pusher-key"], headers["x-pusher-signature"], request.body.decode())
    assert body == json.loads(request.body)
