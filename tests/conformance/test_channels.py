"""Channels by their prefix: private, presence, encrypted, cache; and what subscribing answers."""

from __future__ import annotations

import json

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import SECOND, Node

pytestmark = pytest.mark.integration

SOURCE = "7-who-may-subscribe"
CODES = "12-codes-of-websockets"


@fact("channel.public", "A public channel needs no signature", promise=Promise.ACCESS, source=SOURCE, quick=True)
def test_public(plain: Node, name: str):
    with plain.socket() as socket:
        socket.send(":subscribe", {"channel": name})
        return socket.settle()


@fact(
    "channel.private",
    "A private channel is signed over `SOCKET:CHANNEL`",
    promise=Promise.ACCESS,
    source=SOURCE,
    quick=True,
)
def test_private(plain: Node, name: str):
    channel = f"private-{name}"
    with plain.socket() as socket, plain.socket() as other:
        socket.subscribe(channel)
        found = {
            "signed": socket.take(),
            "of another socket": other.subscribe(channel, auth=socket.sign(f"{socket.id}:{channel}")),
            "of another channel": other.subscribe(channel, auth=other.sign(f"{other.id}:{channel}x")),
            "with channel_data in the text": other.subscribe(channel, auth=other.sign(f"{other.id}:{channel}:x")),
        }
        plain.event(channel=channel, name="e", data="secret")
        return {**found, "delivered": socket.wait_for_texts(1)}


@fact(
    "channel.refused",
    "A refused subscription is an error 4009, and the connection stays",
    promise=Promise.ACCESS,
    source=SOURCE,
    quick=True,
)
def test_refused(plain: Node, name: str):
    channel = f"private-{name}"
    with plain.socket() as socket:
        answers = {}
        for case, auth in (
            ("absent", None),
            ("wrong", f"{plain.app.key}:{'0' * 64}"),
            ("not ASCII", f"{plain.app.key}:ä"),
            ("nonsense", "x"),
            ("empty", ""),
            ("unknown key", "unknown:" + "0" * 64),
        ):
            data = {"channel": channel} if auth is None else {"channel": channel, "auth": auth}
            socket.send(":subscribe", data)
            answers[case] = socket.errors()[0]
        plain.event(channel=channel, name="e", data="secret")
        socket.subscribe(name)
        plain.event(channel=name, name="e", data="public")
        return {**answers, "delivered": socket.wait_for_texts(1)}


@fact("channel.error_frame", "An error of a subscription as a frame", promise=Promise.CLIENT, source=CODES)
def test_error_frame(plain: Node, name: str):
    with plain.socket() as socket:
        socket.send(":subscribe", {"channel": f"private-{name}"})
        return socket.settle()


@fact("channel.other_app", "A signature with the key of another app", promise=Promise.ACCESS, source=SOURCE)
def test_signature_of_another_app(plain: Node, name: str):
    second = plain.of(SECOND)
    channel = f"private-{name}"
    with plain.socket() as mine, second.socket() as theirs:
        text = f"{mine.id}:{channel}"
        own_key = plain.app.key + ":" + theirs.sign(text).partition(":")[2]
        other_key = second.app.key + ":" + mine.sign(text).partition(":")[2]
        return {
            "its key and secret": mine.subscribe(channel, auth=theirs.sign(text)),
            "its secret": mine.subscribe(channel, auth=own_key),
            "its key": mine.subscribe(channel, auth=other_key),
        }


@fact("channel.bad_name", "A name against the rules is an error 4300", promise=Promise.CLIENT, source=CODES)
def test_bad_name(plain: Node):
    with plain.socket() as socket:
        found = {}
        for name in ("a b", "c" * 201, ""):
            socket.send(":subscribe", {"channel": name})
            frames = socket.take()
            found[name if len(name) < 10 else f"{len(name)} bytes"] = (
                socket.error_of(frames[0]) if frames[0]["event"].endswith("error") else frames[0]["event"]
            )
        return found


@fact(
    "channel.twice",
    "A second subscription is confirmed, delivered once and counted once",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_subscribed_twice(plain: Node, name: str):
    with plain.socket() as socket:
        socket.send(":subscribe", {"channel": name})
        socket.send(":subscribe", {"channel": name})
        confirmed = len(socket.take())
        answer = plain.event(channel=name, name="e", data="d", info="subscription_count").json
        return {
            "confirmed": confirmed,
            "count": answer["channels"][name]["subscription_count"],
            "delivered": socket.wait_for_texts(1),
        }


@fact(
    "channel.data_as_text",
    "The data of a subscription may be text that holds JSON",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_subscription_as_text(plain: Node, name: str):
    with plain.socket() as socket:
        socket.send(":subscribe", json.dumps({"channel": name}))
        return socket.settle()


@fact(
    "channel.unsubscribe",
    "After `unsubscribe` nothing arrives; there is no answer to it",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_unsubscribe(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        socket.subscribe(f"{name}-2")
        socket.take()
        socket.send(":unsubscribe", {"channel": name})
        socket.send(":unsubscribe", {"channel": "never-subscribed"})
        answers = socket.take()
        plain.event(channel=name, name="e", data="too late")
        plain.event(channel=f"{name}-2", name="e", data="in time")
        return {"answers": answers, "delivered": socket.wait_for_texts(1)}


@fact(
    "encrypted.private",
    "An encrypted channel is a private channel: the same signature, data unchanged",
    promise=Promise.ACCESS,
    source="9-encrypted-channels",
)
def test_encrypted(plain: Node, name: str):
    channel = f"private-encrypted-{name}"
    sealed = '{"nonce":"bm9uY2U=","ciphertext":"Y2lwaGVy"}'
    with plain.socket() as socket:
        confirmed = socket.subscribe(channel)
        plain.event(channel=channel, name="e", data=sealed)
        return {
            "signed": confirmed,
            "unsigned": socket.subscribe(channel, auth="x"),
            "delivered": socket.wait_for_texts(1),
        }


@fact(
    "encrypted.several",
    "The server does not refuse several encrypted channels in one event",
    promise=Promise.CHECKED,
    source="9-encrypted-channels",
)
def test_several_encrypted_channels(plain: Node, name: str):
    channels = [f"private-encrypted-{name}-{n}" for n in range(2)]
    return plain.event(channels=channels, name="e", data="d").line


@fact(
    "encrypted.nonce",
    "Another nonce under the same id is a conflict",
    promise=Promise.ONCE,
    source="9-encrypted-channels",
)
def test_nonce_is_compared(plain: Node, name: str):
    channel = f"private-encrypted-{name}"
    found = []
    for nonce in ("bm9uY2U=", "b3RoZXI="):
        data = json.dumps({"nonce": nonce, "ciphertext": "Y2lwaGVy"})
        found.append(plain.event(channel=channel, name="e", data=data, message_id=name).code)
    return found


@fact(
    "cache.last_event",
    "A cache channel gives its last event to a new subscriber, behind the confirmation",
    promise=Promise.CLIENT,
    source="15-channels-and-who-is-there",
    quick=True,
)
def test_last_event(plain: Node, name: str):
    channel = f"cache-{name}"
    plain.event(channel=channel, name="e", data="first")
    plain.event(channel=channel, name="e", data="last")
    with plain.socket() as socket:
        socket.send(":subscribe", {"channel": channel})
        return socket.settle()


@fact(
    "cache.miss",
    "Without a last event it is `cache_miss`",
    promise=Promise.CLIENT,
    source="15-channels-and-who-is-there",
    quick=True,
)
def test_cache_miss(plain: Node, name: str):
    with plain.socket() as socket:
        socket.send(":subscribe", {"channel": f"cache-{name}"})
        return socket.settle()


@fact(
    "cache.private",
    "A private cache channel needs a signature and does not check it: any text lets a subscriber in",
    promise=Promise.ACCESS,
    source=SOURCE,
)
def test_private_cache_channel(plain: Node, name: str):
    found = {}
    for prefix in ("private-cache-", "private-encrypted-cache-"):
        with plain.socket() as socket:
            channel = f"{prefix}{name}"
            found[f"{prefix} without one"] = subscription_answer(socket, {"channel": channel})
            found[f"{prefix} a wrong one"] = subscription_answer(
                socket, {"channel": channel, "auth": f"{plain.app.key}:{'0' * 64}"}
            )
            plain.event(channel=channel, name="e", data="secret")
            found[f"{prefix} then delivered"] = socket.texts()
    return found


@fact(
    "cache.presence",
    "A presence cache channel cannot be joined: its member data are not read",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_presence_cache_channel(plain: Node, name: str):
    with plain.socket() as socket:
        answer = socket.subscribe(f"presence-cache-{name}", member={"user_id": "1"})
        return answer if isinstance(answer, str) else "confirmed"


def subscription_answer(socket, data) -> str:
    socket.send(":subscribe", data)
    return (socket.errors() or ["confirmed"])[0]


@fact(
    "cache.replay",
    "A replay of an older event makes it the last event again",
    promise=Promise.ORDER,
    source="35-message_id",
)
def test_replay_becomes_the_last_event(plain: Node, name: str):
    channel = f"cache-{name}"
    for data in ("first", "second", "first"):
        plain.event(channel=channel, name="e", data=data, message_id=f"{name}-{data}")
    with plain.socket() as socket:
        socket.subscribe(channel)
        return socket.wait_for_texts(1)


@fact(
    "cache.query",
    "A query of the channel has the last event and its time to live",
    promise=Promise.CLIENT,
    source="15-channels-and-who-is-there",
)
def test_query_of_a_cache_channel(plain: Node, name: str):
    channel = f"cache-{name}"
    plain.event(channel=channel, name="e", data="last")
    found = plain.get(f"/channels/{channel}", info="cache").json
    found["cache"]["data"] = json.loads(found["cache"]["data"])
    return {**found, "cache": {**found["cache"], "ttl": "positive" if found["cache"]["ttl"] > 0 else "not positive"}}
