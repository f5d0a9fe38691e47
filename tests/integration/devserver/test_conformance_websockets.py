"""What a Sockudo answers to a subscriber. On both servers."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest

from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused
from tests.integration.devserver.conformance import APP
from tests.support.http_api import HttpApi
from tests.support.stack import Server

pytestmark = pytest.mark.integration


def test_a_connection_is_greeted_with_its_socket_id(server: Server) -> None:
    """Data is text that holds JSON."""
    with Subscriber(server.ws_url()) as subscriber:
        greeting = subscriber.protocol_frames[0]
        assert set(greeting) == {"event", "data"}
        assert json.loads(greeting["data"]) == {"socket_id": subscriber.socket_id, "activity_timeout": 120}
        whole, _, fraction = subscriber.socket_id.partition(".")
        assert whole.isdigit()
        assert fraction.isdigit()


@pytest.mark.parametrize("query", ["", "?protocol=7", "?protocol=5&client=js&version=8", "?client=js"])
def test_any_protocol_number_is_taken_for_7(server: Server, query: str) -> None:
    """But 2, which is Sockudo's own."""
    with Subscriber(server.ws_url().partition("?")[0] + query) as subscriber:
        assert subscriber.protocol_frames[0]["event"] == "pusher:connection_established"


@pytest.mark.parametrize("protocol", ["x", "300", "-1", ""])
def test_a_protocol_that_is_no_number_is_400(server: Server, protocol: str) -> None:
    """Before the connection is made."""
    with pytest.raises(SubscriptionRefused, match=r"HTTP/1\.1 400"):
        Subscriber(server.ws_url().replace("protocol=7", f"protocol={protocol}"))


def test_an_unknown_key_is_not_greeted(server: Server) -> None:
    """The connection ends."""
    with pytest.raises(SubscriptionRefused, match="connection lost"):
        Subscriber(server.ws_url("unknown"))


def test_public_and_private_channels_are_subscribed(server: Server, api: HttpApi, name: str) -> None:
    """A private one with the signature of socket and channel."""
    private = f"private-{name}"
    with Subscriber(server.ws_url(), name, private, secret=APP.secret) as subscriber:
        assert subscriber.protocol_frames[1:] == [
            {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"}
            for channel in (name, private)
        ]
        api.event(channel=private, name="e", data="secret")
        assert subscriber.take(1) == ["secret"]


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (None, "Authentication error: Authentication signature required for this channel"),
        ("conformance-key:" + "0" * 64, "Authentication error: Channel requires authentication"),
        ("unknown:" + "0" * 64, "Authentication error: Channel requires authentication"),
        ("conformance-key:ä", "Authentication error: Channel requires authentication"),
        ("", "Authentication error: Channel requires authentication"),
        ("nonsense", "Authentication error: Channel requires authentication"),
    ],
)
def test_a_private_channel_is_refused_without_its_signature(
    server: Server, api: HttpApi, name: str, auth: str | None, message: str
) -> None:
    """And its events do not arrive; the connection stays."""
    private = f"private-{name}"
    with Subscriber(server.ws_url(), name) as subscriber:
        with pytest.raises(SubscriptionRefused):
            subscriber.subscribe(private, auth=auth)
        assert subscriber.errors() == [{"code": 4009, "message": message}]
        api.event(channel=private, name="e", data="secret")
        api.event(channel=name, name="e", data="public")
        assert subscriber.take(1) == ["public"]


def test_the_signature_of_another_socket_does_not_do(server: Server, name: str) -> None:
    """It is made for one socket."""
    private = f"private-{name}"
    with Subscriber(server.ws_url(), secret=APP.secret) as one, Subscriber(server.ws_url()) as other:
        with pytest.raises(SubscriptionRefused):
            other.subscribe(private, auth=one.sign(private))
        one.subscribe(private)


FRAMES: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "no JSON": ("nonsense", [(4000, "Invalid message format: Decode failed: ")]),
    "no object": ("[]", [(4000, "Invalid message format: Decode failed: ")]),
    "no event": ('{"x":1}', [(4000, "Invalid event name: Event name is required")]),
    "no channel": ('{"event":"pusher:subscribe","data":{}}', [(4000, "Invalid message format: Missing channel field")]),
    "no data": ('{"event":"pusher:subscribe"}', [(4000, "Invalid message format: ")]),
    "data that is no JSON": ('{"event":"pusher:subscribe","data":"x"}', [(4000, "Invalid message format: ")]),
    "a bad channel": (
        '{"event":"pusher:subscribe","data":{"channel":"a b"}}',
        [(4300, "Channel error: Channel name contains invalid characters: 'a b' (invalid chars: [' '])")],
    ),
    "a client event": (
        '{"event":"client-x","channel":"c","data":{}}',
        [(4301, "Client event error: Client events are not enabled for this app")],
    ),
    "an unknown event": ('{"event":"pusher:whatever","data":{}}', []),
    "a pong": ('{"event":"pusher:pong","data":{}}', []),
    "unsubscribe of nothing": ('{"event":"pusher:unsubscribe","data":{"channel":"nothing"}}', []),
}


@pytest.mark.parametrize(("frame", "errors"), FRAMES.values(), ids=FRAMES)
def test_a_bad_frame_is_answered_and_the_connection_stays(
    server: Server, frame: str, errors: list[tuple[int, str]]
) -> None:
    """With a code and a message, or not at all."""
    with Subscriber(server.ws_url()) as subscriber:
        subscriber.send_text(frame)
        subscriber.ping()
        answered = subscriber.errors()
        assert [error["code"] for error in answered] == [code for code, _ in errors]
        for error, (_, start) in zip(answered, errors, strict=True):
            assert error["message"].startswith(start)


def test_a_subscription_may_be_sent_as_text_and_twice(server: Server, api: HttpApi, name: str) -> None:
    """Confirmed each time, delivered once."""
    with Subscriber(server.ws_url()) as subscriber:
        for data in ({"channel": name}, json.dumps({"channel": name})):
            subscriber.send({"event": "pusher:subscribe", "data": data})
            subscriber.ping()
        confirmed = [frame["channel"] for frame in subscriber.protocol_frames if "channel" in frame]
        assert confirmed == [name, name]
        assert (
            api.event(channel=name, name="e", data="d", info="subscription_count").json["channels"][name][
                "subscription_count"
            ]
            == 1
        )
        subscriber.wait_for_count(1)
        subscriber.ping()
        assert subscriber.count == 1


def test_after_unsubscribe_nothing_arrives(server: Server, api: HttpApi, name: str) -> None:
    """There is no answer to it."""
    with Subscriber(server.ws_url(), name, f"{name}-2") as subscriber:
        subscriber.unsubscribe(name)
        api.event(channel=name, name="e", data="too late")
        api.event(channel=f"{name}-2", name="e", data="in time")
        assert subscriber.take(1) == ["in time"]


def test_a_closed_connection_is_counted_no_more(server: Server, api: HttpApi, name: str) -> None:
    """Its channels are given up."""

    def count() -> int:
        answer = api.event(channel=name, name="e", data="d", info="subscription_count")
        return int(answer.json["channels"][name]["subscription_count"])

    with closing(Subscriber(server.ws_url(), name)):
        assert count() == 1
    deadline = time.monotonic() + 5
    while count():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ping_is_answered_with_pong_that_has_no_data(server: Server) -> None:
    """Whether the ping has some or not."""
    with Subscriber(server.ws_url()) as subscriber:
        subscriber.ping()
        assert subscriber.protocol_frames[-1] == {"event": "pusher:pong"}
