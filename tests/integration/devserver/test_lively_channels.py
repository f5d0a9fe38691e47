"""Presence, users, client events and cache channels. On both servers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.devserver.lively import Client, error, succeeded
from tests.support.http_api import HttpApi

pytestmark = pytest.mark.integration

NewClient = Callable[[], Client]


def added(channel: str, user_id: str, info: object) -> dict[str, object]:
    data = {"user_id": user_id, "user_info": info}
    return {"event": "pusher_internal:member_added", "channel": channel, "data": data}


def removed(channel: str, user_id: str) -> dict[str, object]:
    return {"event": "pusher_internal:member_removed", "channel": channel, "data": {"user_id": user_id}}


def test_a_user_is_a_member_once(client: NewClient, calls: HttpApi, name: str) -> None:
    """Only the first connection is announced, and only the end of the last."""
    channel, ada, bob, ada_again = f"presence-{name}", client(), client(), client()
    (own,) = ada.join(channel, {"user_id": "ada", "user_info": {"n": 1}})
    assert own == succeeded(channel, {"presence": {"ids": ["ada"], "hash": {"ada": {"n": 1}}, "count": 1}})
    (there,) = bob.join(channel, {"user_id": "bob"})
    assert there["data"]["presence"]["hash"] == {"ada": {"n": 1}, "bob": {}}
    assert ada.news() == [added(channel, "bob", {})]
    (again,) = ada_again.join(channel, {"user_id": "ada", "user_info": {"n": 2}})
    presence = again["data"]["presence"]
    assert (sorted(presence["ids"]), presence["count"]) == (["ada", "bob"], 2)
    assert (ada.news(), bob.news()) == ([], [])
    about = calls.request(
        "GET", f"/apps/lively/channels/{channel}", parameters={"info": "user_count,subscription_count"}
    )
    assert about.json == {"occupied": True, "user_count": 2, "subscription_count": 3}
    users = calls.request("GET", f"/apps/lively/channels/{channel}/users").json["users"]
    assert sorted(user["id"] for user in users) == ["ada", "bob"]
    ada_again.say({"event": "pusher:unsubscribe", "data": {"channel": channel}})
    assert bob.news() == []
    ada.close()
    assert bob.wait_for_frame("pusher_internal:member_removed") == removed(channel, "ada")


PRESENCE_ERRORS = {
    "no text": ("nonsense", error(4000, "Invalid message format: Invalid channel_data JSON for presence")),
    "no user": ({"x": 1}, error(4300, "Channel error: Missing user_id in channel_data")),
    "a number": ({"user_id": 3}, error(4300, "Channel error: Missing user_id in channel_data")),
    "a list": ([], error(4300, "Channel error: Missing user_id in channel_data")),
    "too large": (
        {"user_id": "a", "user_info": {"x": "y" * 2100}},
        error(4300, "Channel error: Presence member data size (2KB) exceeds limit (1KB)"),
    ),
}


@pytest.mark.parametrize(("member", "answer"), PRESENCE_ERRORS.values(), ids=PRESENCE_ERRORS)
def test_a_member_against_the_rules_is_refused(
    client: NewClient, name: str, member: object, answer: dict[str, object]
) -> None:
    """With the connection as it was."""
    one = client()
    assert one.join(f"presence-{name}", member) == [answer]
    assert one.join(f"presence-{name}", {"user_id": "a"})[0]["event"] == "pusher_internal:subscription_succeeded"


def test_a_full_channel_takes_no_member(client: NewClient, name: str) -> None:
    """Not even another connection of a user who is there."""
    channel = f"presence-{name}"
    for user_id in "abc":
        client().join(channel, {"user_id": user_id})
    assert client().join(channel, {"user_id": "d"}) == [error(4100, "Over capacity")]
    assert client().join(channel, {"user_id": "a"}) == [error(4100, "Over capacity")]


def test_the_signature_covers_the_member(client: NewClient, name: str) -> None:
    """A signature of one user does not admit another."""
    one, channel = client(), f"presence-{name}"
    auth = one.signed(f"{one.socket_id}:{channel}:{json.dumps({'user_id': 'a'})}")
    answer = one.join(channel, {"user_id": "b"}, auth=auth)
    assert answer == [error(4009, "Authentication error: Channel requires authentication")]


def test_client_events_reach_the_others(client: NewClient, name: str) -> None:
    """Their data stays what it is: an object, a text, nothing."""
    channel, sender, other = f"private-{name}", client(), client()
    for one in (sender, other):
        one.join(channel)
    for data in ({"data": {"a": 1}}, {"data": '{"a": 1}'}, {}):
        assert sender.say({"event": "client-e", "channel": channel, **data}) == []
    other.wait_for_count(3)
    received = [json.loads(frame) for _, frame in other.raw()]
    assert received == [
        {"event": "client-e", "channel": channel, "data": data} for data in ({"a": 1}, '{"a": 1}', None)
    ]
    assert sender.count == 0


def test_client_events_are_limited_by_time(client: NewClient, name: str) -> None:
    """Four in a minute, here; the connection stays."""
    one, channel = client(), f"private-{name}"
    one.join(channel)
    answers = [one.say({"event": "client-e", "channel": channel, "data": 1}) for _ in range(6)]
    assert answers == [[]] * 4 + [[error(4301, "Client event rejected due to rate limit")]] * 2


CLIENT_EVENTS = {
    "no channel": ({}, error(4301, "Client event error: Channel required for client event")),
    "a public channel": (
        {"channel": "public"},
        error(4301, "Client event error: Client events can only be sent to private or presence channels"),
    ),
    "a cache channel": (
        {"channel": "private-cache-x"},
        error(4301, "Client event error: Client events can only be sent to private or presence channels"),
    ),
    "too large": (
        {"channel": "private-x", "data": "x" * 2100},
        error(4301, "Client event error: Event payload size (2102 bytes) exceeds limit (2KB)"),
    ),
    "too long a name": (
        {"event": "client-" + "e" * 200, "channel": "private-x"},
        error(4000, "Invalid event name: Event name exceeds maximum length of 200"),
    ),
}


@pytest.mark.parametrize(("fields", "answer"), CLIENT_EVENTS.values(), ids=CLIENT_EVENTS)
def test_a_client_event_against_the_rules(client: NewClient, fields: dict[str, object], answer: object) -> None:
    """Is answered with an error."""
    assert client().say({"event": "client-e", "data": 1, **fields}) == [answer]


def test_a_client_event_needs_a_subscription(client: NewClient, name: str) -> None:
    """To the channel that it is for."""
    one, channel = client(), f"private-{name}"
    text = f"Client event error: Socket {one.socket_id} is not subscribed to channel {channel}"
    assert one.say({"event": "client-e", "channel": channel, "data": 1}) == [error(4301, text)]


def test_a_cache_channel_gives_its_last_event(client: NewClient, calls: HttpApi, name: str) -> None:
    """Or says that it has none."""
    channel = f"cache-{name}"
    miss = {"event": "pusher:cache_miss", "channel": channel, "data": {}}
    assert client().join(channel) == [succeeded(channel), miss]
    for number in (1, 2):
        calls.event(channel=channel, name="e", data={"n": number})
    late = client()
    assert late.join(channel) == [succeeded(channel)]
    assert late.take(1) == ['{"n":2}']
    cache = calls.request("GET", f"/apps/lively/channels/{channel}", parameters={"info": "cache"}).json["cache"]
    assert json.loads(cache["data"]) == {"event": "e", "channel": channel, "data": '{"n":2}'}
    assert 0 < cache["ttl"] <= 3600


def test_users_sign_in_and_are_sent_to(client: NewClient, calls: HttpApi, name: str) -> None:
    """All their connections, and no connection that only subscribes to that channel."""
    one, two, stranger = client(), client(), client()
    for socket in (one, two):
        assert socket.sign_in({"id": name}) == [
            {"event": "pusher:signin_success", "data": {"user_data": json.dumps({"id": name})}}
        ]
    channel = f"#server-to-user-{name}"
    stranger.join(channel)
    calls.event(channel=channel, name="to-you", data="d")
    for socket in (one, two):
        assert socket.take(1) == ["d"]
    assert stranger.news() == []
    assert stranger.count == 0
    one.sign_in({"id": f"{name}-2"})
    calls.event(channel=channel, name="to-you", data="again")
    assert two.take(2) == ["d", "again"]
    one.ping()
    assert one.count == 1


SIGN_INS = {
    "no id": ({"x": 1}, "Missing 'id' field in user_data"),
    "a number": ({"id": 5}, "Missing 'id' field in user_data"),
    "a list": ([], "Missing 'id' field in user_data"),
}


@pytest.mark.parametrize(("user", "text"), SIGN_INS.values(), ids=SIGN_INS)
def test_a_sign_in_without_a_user_is_refused(client: NewClient, user: object, text: str) -> None:
    """Signed or not."""
    assert client().sign_in(user) == [error(4009, f"Authentication error: {text}")]


RAW_SIGN_INS = {
    "a wrong signature": ({"auth": "k:00", "user_data": '{"id":"u"}'}, 4009, "Connection not authorized for signin."),
    "no signature": ({"user_data": '{"id":"u"}'}, 4009, "Missing 'auth' field in signin data"),
    "no data": ({"auth": "x"}, 4009, "Missing 'user_data' field in signin data"),
}


@pytest.mark.parametrize(("data", "code", "text"), RAW_SIGN_INS.values(), ids=RAW_SIGN_INS)
def test_an_unsigned_sign_in_is_refused(client: NewClient, data: object, code: int, text: str) -> None:
    """The connection has no user."""
    answer = client().say({"event": "pusher:signin", "data": data})
    assert answer == [error(code, f"Authentication error: {text}")]


@pytest.mark.parametrize(
    ("call", "code", "text"),
    [
        ("terminate_connections", 4009, "You got disconnected by the app."),
        ("force_reconnect", 4200, "Force reconnect requested by the app."),
    ],
)
def test_a_user_is_disconnected(client: NewClient, calls: HttpApi, name: str, call: str, code: int, text: str) -> None:
    """Also a member of a presence channel who did not sign in; others stay."""
    signed, member, other = client(), client(), client()
    signed.sign_in({"id": name})
    member.join(f"presence-{name}", {"user_id": name})
    for _ in range(2):  # no connection is left at the second time
        answer = calls.post(f"/users/{name}/{call}", b"")
        assert (answer.status, answer.json) == (200, {"ok": True})
    for socket in (signed, member):
        assert socket.wait_closed() == code
        assert socket.errors() == [{"code": code, "message": text}]
    assert other.news() == []


def test_watchers_hear_of_users(client: NewClient, name: str) -> None:
    """Who signed in with a list of users."""
    ada, bob = client(), client()
    frames = ada.sign_in({"id": f"{name}-a", "watchlist": [f"{name}-b"]})
    assert frames[0] == {"event": "offline", "data": {"user_ids": [f"{name}-b"]}} or ada.count == 1
    bob.sign_in({"id": f"{name}-b", "watchlist": [f"{name}-a"]})
    online = json.dumps({"event": "online", "data": {"user_ids": [f"{name}-b"]}}, separators=(",", ":")).encode()
    ada.next(lambda: online in [frame for _, frame in ada.raw()], "online")
