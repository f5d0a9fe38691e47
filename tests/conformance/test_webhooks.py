"""Webhooks: what is sent, how it is signed, when it comes again."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.receiver import Receiver
from tests.conformance.setups import with_webhooks
from tests.conformance.targets import Node, Target

pytestmark = pytest.mark.integration

SOURCE = "8-webhooks"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture(scope="module")
def node(target: Target, receiver: Receiver) -> Node:
    return target.node(with_webhooks(receiver.url))


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline, "the webhook did not come"
        time.sleep(0.05)
    return value


def of_channel(receiver: Receiver, channel: str, *names: str) -> list[dict[str, Any]]:
    return [event for event in receiver.events() if event.get("channel") == channel and event["name"] in names]


def by_text(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In a fixed order: those of one webhook have none."""
    return sorted(events, key=lambda event: json.dumps(event, sort_keys=True))


@fact(
    "webhook.request",
    "A webhook is a POST of JSON, signed by hex HMAC-SHA256 over its body, with the app's key",
    promise=Promise.WEBHOOK,
    source=SOURCE,
)
def test_request(node: Node, receiver: Receiver, name: str):
    with node.socket() as socket:
        socket.subscribe(name)
        request = wait_for(lambda: receiver.request_of(name))
    signature = hmac.new(node.app.secret.encode(), request.body, hashlib.sha256).hexdigest()
    body = json.loads(request.body)
    return {
        "Content-Type": request.headers.get("content-type"),
        "X-Pusher-Key is the app's": request.headers.get("x-pusher-key") == node.app.key,
        "X-Pusher-Signature is over the body": request.headers.get("x-pusher-signature") == signature,
        "fields": sorted(body),
        "time_ms": "a time in milliseconds" if body["time_ms"] > 1e12 else body["time_ms"],
    }


@fact(
    "webhook.channels",
    "`channel_occupied` for the first subscription, `channel_vacated` after the last",
    promise=Promise.WEBHOOK,
    source=SOURCE,
)
def test_channels(node: Node, receiver: Receiver, name: str):
    with node.socket() as one, node.socket() as two:
        for socket in (one, two):
            socket.subscribe(name)
        # One after the other: of two that leave at the same time both may be the last.
        for socket in (one, two):
            socket.send(":unsubscribe", {"channel": name})
            socket.settle()
    wait_for(lambda: of_channel(receiver, name, "channel_vacated"))
    return by_text(of_channel(receiver, name, "channel_occupied", "channel_vacated"))


@fact("webhook.members", "`member_added` and `member_removed`", promise=Promise.WEBHOOK, source=SOURCE)
def test_members(node: Node, receiver: Receiver, name: str):
    channel = f"presence-{name}"
    with node.socket() as one:
        one.subscribe(channel, member={"user_id": "1", "user_info": {"a": 1}})
    wait_for(lambda: of_channel(receiver, channel, "member_removed"))
    return by_text(of_channel(receiver, channel, "member_added", "member_removed"))


@fact(
    "webhook.client_event",
    "`client_event` has the event, its data as they were sent, and its socket; not its user",
    promise=Promise.WEBHOOK,
    source=SOURCE,
)
def test_client_event(node: Node, receiver: Receiver, name: str):
    channel = f"presence-{name}"
    with node.socket() as one:
        one.subscribe(channel, member={"user_id": "1"})
        for data in ({"a": 1}, "text", '{"b":2}'):
            one.send("client-x", data, channel)
        wait_for(lambda: len(of_channel(receiver, channel, "client_event")) == 3)
        text = json.dumps(by_text(of_channel(receiver, channel, "client_event")))
        return json.loads(text.replace(one.id, "SOCKET"))


@fact("webhook.cache_miss", "`cache_miss` of a cache channel without an event", promise=Promise.WEBHOOK, source=SOURCE)
def test_cache_miss(node: Node, receiver: Receiver, name: str):
    channel = f"cache-{name}"
    with node.socket() as one:
        one.subscribe(channel)
        return wait_for(lambda: of_channel(receiver, channel, "cache_miss"))


@fact("webhook.subscription_count", "`subscription_count` follows each change", promise=Promise.WEBHOOK, source=SOURCE)
def test_subscription_count(node: Node, receiver: Receiver, name: str):
    with node.socket() as one, node.socket() as two:
        one.subscribe(name)
        two.subscribe(name)
        wait_for(lambda: len(of_channel(receiver, name, "subscription_count")) >= 2)
    return by_text(of_channel(receiver, name, "subscription_count"))[:2]


@fact(
    "webhook.published",
    "There is no webhook for events that are published over HTTP",
    promise=Promise.WEBHOOK,
    source=SOURCE,
)
def test_published_events(node: Node, receiver: Receiver, name: str):
    with node.socket() as one:
        one.subscribe(name)
        node.event(channel=name, name="e", data="d")
    wait_for(lambda: of_channel(receiver, name, "channel_vacated"))
    return sorted({event["name"] for event in receiver.events() if event.get("channel") == name})


@fact(
    "webhook.repeated",
    "It is repeated on 5xx, 408, 409, 425 and 429, with the same bytes; any other status is final",
    promise=Promise.WEBHOOK,
    source=SOURCE,
)
def test_repeated(node: Node, receiver: Receiver, name: str):
    found = {}
    for status in (500, 503, 408, 409, 425, 429, 400, 401, 404, 302):
        channel = f"{name}-{status}"
        receiver.refuse(channel, status)
        with node.socket() as one:
            one.subscribe(channel)
            wait_for(lambda channel=channel: receiver.requests_of(channel))
            if status in (302, 400, 401, 404):
                time.sleep(1.5)
            else:
                wait_for(lambda channel=channel: len(receiver.requests_of(channel)) > 1)
            bodies = [request.body for request in receiver.requests_of(channel)]
            found[str(status)] = (
                "final" if len(bodies) == 1 else f"repeated, {'the same bytes' if len(set(bodies)) == 1 else 'others'}"
            )
    return found
