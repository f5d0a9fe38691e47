"""Sockudo's own features through the queue: a real worker, the real server, subscribers of its protocol 2."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sockudo_publisher import (
    Event,
    Extras,
    IdempotencyConflict,
    Sockudo,
    apublish_many,
    operations,
    publish,
    publish_many,
)
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.conformance.socket import Socket
from tests.integration.features.conftest import Native
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


def joined(native: Native, channel: str, **more: Any) -> Socket:
    """A subscriber whose state is complete."""
    socket = native()
    socket.subscribe(channel, **more)
    socket.settle()
    return socket


def signed_in(native: Native, user_id: str, protocol: int = 7) -> Socket:
    socket = native(f"protocol={protocol}")
    assert socket.sign_in({"id": user_id}).endswith(":signin_success")
    socket.take()
    return socket


def numbers(texts: list[Any]) -> list[int]:
    return [json.loads(text) for text in texts]


# -- to one user ---------------------------------------------------------------------------------------


def test_event_for_a_user_reaches_all_their_connections(stack: Stack, native: Native) -> None:
    """And no other user's: in the order of the calls, by every way to publish."""
    user, other = f"u-{stack.unique}", f"v-{stack.unique}"
    phone, laptop, stranger = signed_in(native, user), signed_in(native, user), signed_in(native, other)
    native_one = signed_in(native, user, protocol=2)
    stack.worker()
    for n in range(3):
        publish.delay(None, "n", n, user_id=user)
    asyncio.run(publish.adelay(None, "n", 3, user_id=user))
    publish.apply_async((), {"event": "n", "data": 4, "user_id": user})
    publish.apply_async((None, "n", 5), {"user_id": user}, expires=60)
    publish_many([Event(None, "n", 6, user_id=user), {"name": "n", "data": 7, "user_id": user}])
    asyncio.run(apublish_many([{"name": "n", "data": 8, "user_id": user}]))
    publish.delay(f"#server-to-user-{user}", "n", 9)
    for socket in (phone, laptop):
        assert numbers(socket.wait_for_texts(10)) == list(range(10))
    publish.delay(None, "n", 1, user_id=other)
    assert numbers(stranger.wait_for_texts(1)) == [1]
    assert phone.texts() == []
    assert native_one.texts() == [], "Sockudo 5.2.0 gives them to connections of protocol 7 alone (docs/features.md)"


def test_keys_and_countdowns_hold_for_a_user(stack: Stack, native: Native) -> None:
    user = f"u-{stack.unique}"
    socket = signed_in(native, user)
    stack.worker()
    publish.apply_async((None, "n", 2), {"user_id": user, "key": "later"}, countdown=1)
    for _ in range(3):
        assert publish.delay(None, "n", 1, user_id=user, key="once").id == "once"
    with pytest.raises(IdempotencyConflict):
        publish.delay(None, "n", 99, user_id=user, key="once")
    publish.delay(None, "n", 1, user_id=f"another-{user}", key="once")  # a key belongs to its channel
    assert numbers(socket.wait_for_texts(2)) == [1, 2]


def test_user_has_no_connection_or_a_refused_event(stack: Stack, native: Native) -> None:
    """Without a connection the event is done; refused, it is a dead letter of the user's channel."""
    user = f"u-{stack.unique}"
    stack.worker()
    publish.delay(None, "n", 1, user_id=user)
    refused = publish.delay(None, "ai-output", "x", user_id=user)
    assert wait_for(lambda: bool(operations.dead_list(get_settings(), "default", 10)), 30)
    [letter] = operations.dead_list(get_settings(), "default", 10)
    assert (letter.channel, letter.message_id) == (f"#server-to-user-{user}", refused.id)
    socket = signed_in(native, user)
    publish.delay(None, "n", 2, user_id=user)
    assert numbers(socket.wait_for_texts(1)) == [2]


def test_direct_calls_take_a_user_too(stack: Stack, native: Native) -> None:
    user = f"u-{stack.unique}"
    socket = signed_in(native, user)
    receipt = publish(None, "n", 1, user_id=user)
    assert list(receipt.acknowledgement_ids) == [f"#server-to-user-{user}"]
    client = Sockudo.from_env()
    client.send_to_user(user, "n", 2, delta=False)
    client.trigger_batch([Event(None, "n", 3, user_id=user, key=stack.unique)])
    assert numbers(socket.wait_for_texts(3)) == [1, 2, 3]


# -- cache channels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["cache-", "private-cache-"])
def test_first_subscriber_gets_the_last_event(stack: Stack, native: Native, prefix: str) -> None:
    """Of those in the queue the last one; then what comes, in order; by both protocols."""
    channel = prefix + stack.unique
    watching = joined(native, channel)
    stack.worker()
    publish_many((channel, "n", n) for n in range(50))
    assert numbers(watching.wait_for_texts(50)) == list(range(50))
    late = joined(native, channel)
    assert numbers(late.texts()) == [49]
    with Subscriber(stack.server.ws_url(), channel, secret=stack.server.apps[0].secret) as older:
        older.wait_for_count(1)
        publish.delay(channel, "n", 50)
        older.wait_for_count(2)
        assert numbers(older.data(channel)) == [49, 50]
    assert numbers(late.wait_for_texts(1)) == [50]


def test_encrypted_cache_channel_keeps_the_ciphertext(
    stack: Stack, native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sockudo_publisher import configure

    monkeypatch.setenv("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    configure()
    channel = f"private-encrypted-cache-{stack.unique}"
    watching = joined(native, channel)
    stack.worker()
    publish.delay(channel, "n", {"secret": 1})
    (text,) = watching.wait_for_texts(1)
    assert sorted(json.loads(text)) == ["ciphertext", "nonce"]
    assert joined(native, channel).texts() == [text]


# -- extras --------------------------------------------------------------------------------------------


def test_extras_reach_subscribers_of_protocol_2(stack: Stack, native: Native) -> None:
    """The server's names and the application's own, in both kinds of requests."""
    channel = stack.channel()
    socket = joined(native, channel)
    stack.worker()
    extras: Extras = {"headers": {"priority": "high"}, "echo": True}
    publish.delay(channel, "e", 1, extras=extras)
    publish_many([Event(channel, "e", 2, extras={**extras, "mine": {"a": [1, None]}})])
    frames = [socket.until("e") for _ in range(2)]
    assert frames[0]["extras"] == {"headers": {"priority": "high"}, "echo": True}
    assert frames[1]["extras"] == {"headers": {"priority": "high"}, "echo": True, "mine": {"a": [1, None]}}


def test_ephemeral_event_is_delivered_and_not_kept(stack: Stack, native: Native) -> None:
    channel = stack.channel()
    socket = joined(native, channel)
    stack.worker()
    publish.delay(channel, "e", 1)
    publish.delay(channel, "e", 2, extras={"ephemeral": True})
    publish.delay(channel, "e", 3)
    assert numbers(socket.wait_for_texts(3)) == [1, 2, 3]
    kept = Sockudo.from_env().channel_history(channel, direction="oldest_first")["items"]
    assert [json.loads(item["message"]["data"]) for item in kept] == [1, 3]


def test_socket_id_leaves_a_connection_out(stack: Stack, native: Native) -> None:
    """Whatever `echo` says."""
    channel = stack.channel()
    sender, other = joined(native, channel), joined(native, channel)
    stack.worker()
    for n, echo in enumerate((True, False)):
        publish.delay(channel, "e", n, socket_id=sender.id, extras={"echo": echo})
    publish.delay(channel, "e", 2)
    assert numbers(other.wait_for_texts(3)) == [0, 1, 2]
    assert numbers(sender.wait_for_texts(1)) == [2]


# -- delta ---------------------------------------------------------------------------------------------


def test_delta_false_sends_all_of_an_event(stack: Stack, native: Native) -> None:
    """To a subscriber that gets differences; `None` and `True` leave the choice to the server."""
    channel = stack.channel()
    socket = joined(native, channel, delta={"enabled": True, "algorithm": "fossil"})
    stack.worker()
    text = "much of the same " * 20
    given: list[bool | None] = [None, None, None, False, True, None, False]
    for n, delta in enumerate(given):
        publish.delay(channel, "e", {"n": n, "text": text}, delta=delta)
    publish_many([{"channel": channel, "name": "e", "data": {"n": 7, "text": text}, "delta": False}])
    publish.delay(channel, "end", "short")
    socket.until("end")
    events = [frame["event"] for frame in socket.frames if frame["event"] in ("e", "sockudo:delta")]
    # The first two are the base of the differences.
    difference = "sockudo:delta"
    assert events == ["e", "e", difference, "e", difference, difference, "e", "e"]


def test_delta_is_no_part_of_what_a_key_compares(stack: Stack, native: Native) -> None:
    """Nor of what the server compares: the repeat is the same event."""
    channel = stack.channel()
    socket = joined(native, channel)
    stack.worker()
    publish.delay(channel, "e", 1, key="k", delta=False)
    assert publish.delay(channel, "e", 1, key="k").stored
    client = Sockudo.from_env()
    assert numbers(socket.wait_for_texts(1)) == [1]
    client.trigger(channel, "e", 1, message_id="k", delta=True)
    publish.delay(channel, "e", 2)
    assert numbers(socket.wait_for_texts(1)) == [2]
