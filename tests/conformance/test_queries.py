"""Channels, who is there, and the calls on users."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

SOURCE = "15-channels-and-who-is-there"
USERS = "16-users-revoked-tokens"


@fact(
    "query.channel",
    "One channel: occupied, and the counts that `info` asks for",
    promise=Promise.CLIENT,
    source=SOURCE,
    quick=True,
)
def test_one_channel(plain: Node, name: str):
    with plain.socket() as one, plain.socket() as two:
        one.subscribe(name)
        two.subscribe(name)
        return {
            "plain": plain.get(f"/channels/{name}").line,
            "with info": plain.get(f"/channels/{name}", info="subscription_count").line,
        }


@fact(
    "query.empty_channel",
    "A channel without subscribers is not occupied, and no error",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_empty_channel(plain: Node, name: str):
    return {
        "plain": plain.get(f"/channels/{name}").line,
        "with info": plain.get(f"/channels/{name}", info="subscription_count").line,
        "presence": plain.get(f"/channels/presence-{name}", info="user_count").line,
        "users": plain.get(f"/channels/presence-{name}/users").line,
    }


@fact(
    "query.presence",
    "A presence channel counts users and subscriptions",
    promise=Promise.CLIENT,
    source=SOURCE,
    quick=True,
)
def test_presence_channel(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as one, plain.socket() as two, plain.socket() as three:
        for socket, user in ((one, "1"), (two, "2"), (three, "2")):
            socket.subscribe(channel, member={"user_id": user})
        users = plain.get(f"/channels/{channel}/users").json
        users["users"].sort(key=lambda user: user["id"])
        return {"channel": plain.get(f"/channels/{channel}", info="user_count,subscription_count").line, "users": users}


@fact(
    "query.users_of_others",
    "Users and `user_count` are for presence channels alone",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_users_of_other_channels(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        return {
            "users": plain.get(f"/channels/{name}/users").line,
            "user_count": plain.get(f"/channels/{name}", info="user_count").line,
            "listing": plain.get("/channels", filter_by_prefix=name, info="user_count").line,
        }


@fact("query.listing", "A listing by prefix", promise=Promise.CLIENT, source=SOURCE)
def test_listing(plain: Node, name: str):
    channel = f"presence-{name}"
    with plain.socket() as socket:
        socket.subscribe(f"{name}-1")
        socket.subscribe(f"{name}-2")
        socket.subscribe(channel, member={"user_id": "1"})
        return {
            "prefix": plain.get("/channels", filter_by_prefix=name).line,
            "subscription_count": plain.get("/channels", filter_by_prefix=f"{name}-1", info="subscription_count").line,
            "user_count": plain.get("/channels", filter_by_prefix=channel, info="user_count").line,
            "no such": plain.get("/channels", filter_by_prefix=f"none-{name}").line,
        }


@fact(
    "query.listing_repeated",
    "A listing is repeated for two seconds; one channel is counted at once",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_listing_is_repeated(plain: Node, name: str):
    def listed() -> int:
        return len(plain.get("/channels", filter_by_prefix=name).json["channels"])

    with plain.socket() as socket:
        start = time.monotonic()
        before = listed()
        socket.subscribe(name)
        at_once, one, took = listed(), plain.get(f"/channels/{name}").json["occupied"], time.monotonic() - start
        deadline = time.monotonic() + 60
        while not listed():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # A machine that needed longer for these calls than the listing lives has seen nothing.
        assert took < 2.0, f"these calls took {took:.1f} s"
        return {"before": before, "at once": at_once, "one channel at once": one, "later": 1}


@fact("query.bad_name", "A query of a name against the rules", promise=Promise.CLIENT, source=SOURCE)
def test_bad_name(plain: Node):
    return {name: plain.get(f"/channels/{quote(name, safe='')}").line for name in ("a b", "a/b", "a:b")}


@fact("query.escaped", "Characters of a name that are escaped in the path", promise=Promise.CLIENT, source=SOURCE)
def test_escaped_name(plain: Node, name: str):
    channel = f"{name}=@,.;"
    with plain.socket() as socket:
        socket.subscribe(channel)
        return plain.get(f"/channels/{quote(channel, safe='')}").line


@fact("query.unsubscribed", "A closed connection is counted no more", promise=Promise.CLIENT, source=SOURCE)
def test_closed_connection(plain: Node, name: str):
    def counts() -> dict[str, int]:
        answer = plain.event(channel=name, name="e", data="d", info="subscription_count").json["channels"][name]
        return {
            "a query": plain.get(f"/channels/{name}", info="subscription_count").json["subscription_count"],
            "the answer to an event": answer["subscription_count"],
        }

    with plain.socket() as socket:
        socket.subscribe(name)
        before = counts()
    deadline = time.monotonic() + 60
    while any((after := counts()).values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return {"before": before, "after": after}


@fact(
    "query.stats",
    "`/stats` counts the node's connections and channels by app",
    promise=Promise.DOCTOR,
    source="19-without-a-signature",
)
def test_stats(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        return sorted(plain.plain("GET", "/stats").json)


@fact(
    "user.send",
    "An event to a user reaches each of their signed-in connections, and no other",
    promise=Promise.CLIENT,
    source=USERS,
    quick=True,
)
def test_send_to_user(plain: Node, name: str):
    with plain.socket() as phone, plain.socket() as laptop, plain.socket() as other:
        phone.sign_in({"id": name})
        laptop.sign_in({"id": name})
        other.sign_in({"id": f"{name}-2"})
        answer = plain.event(channel=f"#server-to-user-{name}", name="e", data="d", message_id=name)
        plain.event(channel=f"#server-to-user-{name}-2", name="e", data="other")
        frame = phone.until("e")
        return {
            "answer": answer.line,
            "frame": frame,
            "laptop": laptop.wait_for_texts(1),
            "other": other.wait_for_texts(1),
        }


@fact("user.longest", "184 bytes are left for a user's id", promise=Promise.CHECKED, source=USERS)
def test_longest_user(plain: Node):
    return {
        str(count): plain.event(channel=f"#server-to-user-{'u' * count}", name="e", data="d").code
        for count in (184, 185)
    }


@fact(
    "user.terminate",
    "`terminate_connections` closes a user's connections with 4009",
    promise=Promise.CLIENT,
    source=USERS,
    quick=True,
)
def test_terminate(plain: Node, name: str):
    with plain.socket() as one, plain.socket() as other:
        one.sign_in({"id": name})
        other.sign_in({"id": f"{name}-2"})
        answer = plain.post(f"/users/{name}/terminate_connections", b"")
        closed = one.closed()
        return {
            "answer": answer.line,
            "closed": closed,
            "error": _error(one),
            "another user": other.settle() and "stays",
        }


def _error(socket) -> list[str]:
    return [socket.error_of(frame) for frame in socket.frames if frame["event"].endswith(":error")]


@fact(
    "user.terminate_member",
    "It closes members of presence channels too, which never signed in",
    promise=Promise.CLIENT,
    source=USERS,
)
def test_terminate_a_member(plain: Node, name: str):
    with plain.socket() as one:
        one.subscribe(f"presence-{name}", member={"user_id": name})
        answer = plain.post(f"/users/{name}/terminate_connections", b"{}")
        try:
            closed = one.closed(3.0)
        except TimeoutError:
            closed = "not closed"
        return {"answer": answer.line, "closed": closed}


@fact("user.unknown", "A user who is not there is no error", promise=Promise.CLIENT, source=USERS)
def test_unknown_user(plain: Node, name: str):
    return {
        call: plain.post(f"/users/{name}/{call}", b"{}").line for call in ("terminate_connections", "force_reconnect")
    }


@fact("user.reconnect", "`force_reconnect` closes them with 4200", promise=Promise.CLIENT, source=USERS)
def test_reconnect(plain: Node, name: str):
    with plain.socket() as one:
        one.sign_in({"id": name})
        answer = plain.post(f"/users/{name}/force_reconnect", b"{}")
        return {"answer": answer.line, "closed": one.closed(), "error": _error(one)}


@fact("user.escaped", "A user's id is decoded from the path", promise=Promise.CLIENT, source=USERS)
def test_escaped_user(plain: Node, name: str):
    user = f"{name} b/ü?#%2F"
    with plain.socket() as one:
        one.sign_in({"id": user})
        plain.post(f"/users/{quote(user, safe='')}/terminate_connections", b"{}")
        return one.closed()


@fact("user.revocations", "Revoking a token answers what it closed", promise=Promise.CLIENT, source=USERS)
def test_revocations(plain: Node, name: str):
    return {
        "jti": plain.post("/revocations", {"jti": name, "ttl_seconds": 1}).line,
        "nothing": plain.post("/revocations", {}).line,
    }
