"""Presence channels: members, their joining and leaving, their limits."""

from __future__ import annotations

import json

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

SOURCE = "7-who-may-subscribe"


@fact(
    "presence.join",
    "A new member gets all members, itself among them",
    promise=Promise.CLIENT,
    source=SOURCE,
    quick=True,
)
def test_join(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as one, plain.socket() as two:
        first = one.subscribe(channel, member={"user_id": "1", "user_info": {"name": "Ann"}})
        second = two.subscribe(channel, member={"user_id": "2"})
        second["presence"]["ids"].sort()
        return {"first": first, "second": second}


@fact(
    "presence.added",
    "The others are informed of a member that joins and of one that leaves",
    promise=Promise.CLIENT,
    source=SOURCE,
    quick=True,
)
def test_added_and_removed(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as one:
        one.subscribe(channel, member={"user_id": "1"})
        one.take()
        with plain.socket() as two:
            two.subscribe(channel, member={"user_id": "2", "user_info": {"name": "Bob"}})
            added = one.until("pusher_internal:member_added")
            two.send(":unsubscribe", {"channel": channel})
            removed = one.until("pusher_internal:member_removed")
        return {"added": _read(added), "removed": _read(removed)}


def _read(frame):
    return {**frame, "data": json.loads(frame["data"])}


@fact("presence.closed", "A connection that closes leaves, too", promise=Promise.CLIENT, source=SOURCE)
def test_closed_connection_leaves(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as one:
        one.subscribe(channel, member={"user_id": "1"})
        with plain.socket() as two:
            two.subscribe(channel, member={"user_id": "2"})
            one.until("pusher_internal:member_added")
        return _read(one.until("pusher_internal:member_removed"))


@fact(
    "presence.same_user",
    "A user on two connections is one member: it joins once and leaves with the last",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_same_user_twice(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as one:
        one.subscribe(channel, member={"user_id": "1"})
        one.take()
        with plain.socket() as two:
            two.subscribe(channel, member={"user_id": "2"})
            with plain.socket() as three:
                count = three.subscribe(channel, member={"user_id": "2"})["presence"]["count"]
                three.send(":unsubscribe", {"channel": channel})
                three.settle()
            two.send(":unsubscribe", {"channel": channel})
            two.settle()
            one.until("pusher_internal:member_removed")
        return {"count": count, "seen": [frame["event"] for frame in one.settle()]}


@fact(
    "presence.signature",
    "The signature is over `SOCKET:CHANNEL:CHANNEL_DATA`, the text as it is sent",
    promise=Promise.ACCESS,
    source=SOURCE,
)
def test_signature(plain: Node, name: str):
    channel, member = f"presence-{name}", '{"user_id": "1"}'
    with plain.socket() as socket:
        return {
            "without the data": socket.subscribe(channel, member=member, auth=socket.sign(f"{socket.id}:{channel}")),
            "other data": socket.subscribe(
                channel, member='{"user_id":"1"}', auth=socket.sign(f"{socket.id}:{channel}:{member}")
            ),
            "the data": socket.subscribe(channel, member=member)["presence"]["count"],
        }


@fact("presence.bad_member", "A member needs a `user_id` that is text", promise=Promise.CHECKED, source=SOURCE)
def test_bad_member(plain: Node, name: str):
    members = {
        "no user_id": "{}",
        "number": '{"user_id":1}',
        "null": '{"user_id":null}',
        "empty": '{"user_id":""}',
        "no object": '"x"',
        "no JSON": "x",
    }
    found = {}
    for number, (case, member) in enumerate(members.items()):
        with plain.socket() as socket:
            answer = socket.subscribe(f"presence-{name}-{number}", member=member)
            found[case] = answer if isinstance(answer, str) else answer["presence"]["ids"]
    return found


@fact(
    "presence.limits",
    "Members and their data are limited by the app",
    promise=Promise.CLIENT,
    source="42-rules-of-an-event-in-their-order",
)
def test_limits(limited: Node, name: str):
    channel = f"presence-{name}"
    with limited.socket() as one, limited.socket() as two:
        large = one.subscribe(channel, member={"user_id": "1", "user_info": {"text": "x" * 3000}})
        one.subscribe(channel, member={"user_id": "1"})
        return {"data of 3 KB": large, "a second member": two.subscribe(channel, member={"user_id": "2"})}


@fact("presence.event", "An event on a presence channel reaches its members", promise=Promise.CLIENT, source=SOURCE)
def test_event(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as socket:
        socket.subscribe(channel, member={"user_id": "1"})
        plain.event(channel=channel, name="e", data="d")
        return socket.wait_for_texts(1)
