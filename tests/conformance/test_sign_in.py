"""User sign-in and client events."""

from __future__ import annotations

import json

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import CLOSED, Node

pytestmark = pytest.mark.integration

SOURCE = "7-who-may-subscribe"
CODES = "12-codes-of-websockets"


@fact("signin.success", "A signed-in user gets their data back", promise=Promise.ACCESS, source=SOURCE, quick=True)
def test_success(plain: Node, name: str):
    with plain.socket() as socket:
        socket.sign_in(json.dumps({"id": name, "user_info": {"name": "Ann"}}))
        return socket.frames[-1]


@fact(
    "signin.refused",
    "A wrong signature, or data without an id that is text, is an error 4009; the connection stays",
    promise=Promise.ACCESS,
    source=SOURCE,
)
def test_refused(plain: Node, name: str):
    cases = {
        "wrong": ({"id": name}, f"{plain.app.key}:{'0' * 64}"),
        "no id": ({"name": name}, None),
        "id is a number": ({"id": 1}, None),
        "id is empty": ({"id": ""}, None),
        "no JSON": ("x", None),
    }
    found = {}
    for case, (user, auth) in cases.items():
        with plain.socket() as socket:
            # Of the parser's text, which may change with its library, the beginning.
            answer = ": ".join(socket.sign_in(user, auth).split(": ")[:2])
            socket.settle()  # the connection stays
            found[case] = answer
    return found


@fact("signin.other_socket", "The signature is for one socket", promise=Promise.ACCESS, source=SOURCE)
def test_other_socket(plain: Node, name: str):
    user = json.dumps({"id": name})
    with plain.socket() as one, plain.socket() as other:
        return other.sign_in(user, one.sign(f"{one.id}::user::{user}"))


@fact("signin.off", "An app without sign-in refuses it", promise=Promise.ACCESS, source=SOURCE)
def test_switched_off(plain: Node, name: str):
    with plain.of(CLOSED).socket() as socket:
        user = json.dumps({"id": name})
        socket.send(":signin", {"auth": socket.sign(f"{socket.id}::user::{user}"), "user_data": user})
        return [
            socket.error_of(frame) if frame["event"].endswith(":error") else frame["event"] for frame in socket.take()
        ]


@fact("signin.twice", "Signing in again as another user", promise=Promise.ACCESS, source=SOURCE)
def test_twice(plain: Node, name: str):
    with plain.socket() as socket:
        answers = [socket.sign_in({"id": f"{name}-{n}"}) for n in range(2)]
        for n in range(2):
            plain.event(channel=f"#server-to-user-{name}-{n}", name="e", data=str(n))
        return {"answers": answers, "delivered": socket.texts()}


@fact(
    "client_event.private",
    "A client event reaches the others on a private channel, not its sender",
    promise=Promise.CLIENT,
    source=CODES,
    quick=True,
)
def test_private(plain: Node, name: str):
    channel = f"private-{name}"
    with plain.socket() as one, plain.socket() as other:
        one.subscribe(channel)
        other.subscribe(channel)
        other.take()
        one.send("client-typing", {"b": 1, "a": 2}, channel)
        return {"others": other.until("client-typing"), "sender": one.texts()}


@fact(
    "client_event.presence",
    "On a presence channel the frame does not name its sender, as Pusher's does",
    promise=Promise.CLIENT,
    source=CODES,
)
def test_presence(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as one, plain.socket() as other:
        one.subscribe(channel, member={"user_id": "1"})
        other.subscribe(channel, member={"user_id": "2"})
        one.send("client-typing", "text", channel)
        return other.until("client-typing")


@fact(
    "client_event.refused",
    "Where client events are refused, or have no effect",
    promise=Promise.ACCESS,
    source=CODES,
)
def test_refused_client_events(plain: Node, name: str):
    private, presence = f"private-{name}", f"presence-{name}"

    def ask(event: str, channel: str, subscribed: bool = True) -> str:
        with plain.socket() as socket, plain.socket() as other:
            other.subscribe(channel, member={"user_id": "2"} if channel == presence else None)
            if subscribed:
                socket.subscribe(channel)
            socket.send(event, {}, channel)
            errors = socket.errors()
            frames = [frame["event"] for frame in other.settle() if frame["event"] == event]
            return (errors or ["no answer"])[0] + (", delivered" if frames else "")

    return {
        "public channel": ask("client-x", name),
        "without a subscription": ask("client-x", private, subscribed=False),
        "presence, without a subscription": ask("client-x", presence, subscribed=False),
        "another prefix": ask("x", private),
        "reserved": ask("pusher:x", private),
        "long name": ask("client-" + "x" * 200, private),
    }


@fact("client_event.off", "An app without client events answers 4301", promise=Promise.ACCESS, source=CODES, quick=True)
def test_client_events_switched_off(plain: Node, name: str):
    channel = f"private-{name}"
    with plain.of(CLOSED).socket() as socket:
        socket.send("client-x", {}, name)
        not_subscribed = socket.errors()
        socket.subscribe(channel)
        socket.send("client-x", {}, channel)
        return {"subscribed": socket.errors(), "a public channel, not subscribed": not_subscribed}


@fact(
    "client_event.encrypted",
    "A client event on an encrypted channel is accepted, where Pusher refuses it",
    promise=Promise.ACCESS,
    source="9-encrypted-channels",
)
def test_encrypted(plain: Node, name: str):
    channel = f"private-encrypted-{name}"
    with plain.socket() as one:
        one.subscribe(channel)
        one.send("client-x", {}, channel)
        return one.errors() or ["accepted"]


@fact("client_event.large", "A client event has the app's limit of data", promise=Promise.CLIENT, source=CODES)
def test_large(limited: Node, name: str):
    channel = f"private-{name}"
    with limited.socket() as one:
        one.subscribe(channel)
        one.send("client-x", "x" * 2000, channel)
        return one.errors()
