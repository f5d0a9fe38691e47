"""The state of channels, asked of the real server with real subscribers on it."""

import time

import pytest

from sockudo_publisher.errors import BadRequest
from tests.support.signed_in import join

pytestmark = pytest.mark.integration


@pytest.fixture
def room(full_sockudo, subscriber):
    """A presence channel with two members, one of them twice."""
    app = full_sockudo.apps[0]
    for user in ("13", "90", "90"):
        join(subscriber(full_sockudo), app, "presence-room", user)
    return "presence-room"


def test_pusher_queries_work_on_sockudo(full, room):
    """The three that fail with pusher 3.3.4 itself (401): signed without a digest of the body that is not there."""
    assert full.channels_info("presence-room", ["user_count"]) == {"channels": {room: {"user_count": 2}}}
    assert full.channel_info(room, ["user_count", "subscription_count"]) == {
        "occupied": True,
        "user_count": 2,
        "subscription_count": 3,
    }
    users = full.users_info(room)
    assert sorted(user["id"] for user in users["users"]) == ["13", "90"]
    assert list(users) == ["users"]


def test_names_of_the_seed(full, room):
    """The same answers."""
    assert full.channel(room, info="user_count") == full.get_channel(room, info=["user_count"])
    assert sorted(user["id"] for user in full.get_channel_users(room)["users"]) == ["13", "90"]
    assert room in full.channels(filter_by_prefix="presence-room", info="user_count")["channels"]


def test_listing_follows_the_subscribers(full, full_sockudo, subscriber):
    """Within the two seconds that the server repeats a listing; without attributes, each is an empty object."""
    seen = subscriber(full_sockudo, "listed-1", "listed-2", "other")
    assert full.channels_info("listed-") == {"channels": {"listed-1": {}, "listed-2": {}}}
    seen.unsubscribe("listed-2")
    deadline = time.monotonic() + 60
    while (listing := full.channels_info("listed-", "subscription_count")) != {
        "channels": {"listed-1": {"subscription_count": 1}}
    }:
        assert time.monotonic() < deadline, listing
        time.sleep(0.2)


def test_prefix_that_needs_escaping(full):
    """Signed decoded, sent encoded: what the Go SDK sends unescaped (docs/sdks.md, G8) comes back 401 or 400 there."""
    assert full.channels_info("a b+c&d=é%41", ["subscription_count"]) == {"channels": {}}


def test_g8_query_values_are_escaped(full, full_sockudo, subscriber):
    """Each character that a channel may have, as a prefix that finds it."""
    name = "g8-A_z=@,.;0"
    subscriber(full_sockudo, name)
    assert full.channels_info(name, ["subscription_count"]) == {"channels": {name: {"subscription_count": 1}}}
    assert full.channel_info(name) == {"occupied": True}


def test_channel_without_subscribers(full):
    """Not an error."""
    assert full.channel_info("empty", "subscription_count") == {"occupied": False, "subscription_count": 0}
    assert full.users_info("presence-empty") == {"users": []}


def test_cache_channel(full):
    """Its last event, as the JSON text that a subscriber would get."""
    full.trigger("cache-c", "e", "the last")
    cache = full.channel_info("cache-c", ["cache"])["cache"]
    assert '"data":"the last"' in cache["data"]
    assert cache["ttl"] > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.channels_info(attributes="user_count"), "user_count is only available for presence"),
        (lambda client: client.channel_info("room", ["user_count"]), "user_count is only available for presence"),
        (lambda client: client.users_info("room"), "Only presence channels"),
    ],
)
def test_only_presence_channels_have_users(full, full_sockudo, subscriber, call, message):
    """The server's refusal, as pusher's users know it."""
    subscriber(full_sockudo, "room")
    with pytest.raises(BadRequest, match=message) as caught:
        call(full)
    assert caught.value.code == "invalid_input"
