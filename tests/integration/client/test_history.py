"""History of the real server: pages, bounds, cursors, and what ends them."""

import itertools
import time
import uuid

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import BadRequest, SockudoHTTPError

pytestmark = pytest.mark.integration

PAGE_SIZE = 10  # what the server gives at most (conftest.py)


def data(items):
    """The numbers published, in the order of the items."""
    return [int(item["message"]["data"]) for item in items]


def publish(client, channel, numbers):
    client.trigger_batch([(channel, "e", number) for number in numbers])


@pytest.fixture
def channel(full):
    """A channel with the events 0 to 34, which have the serials 1 to 35."""
    name = f"history-{uuid.uuid4().hex[:8]}"
    publish(full, name, range(35))
    return name


def test_page(full, channel):
    """Newest first; the limit lowered to the server's; each item with what was published."""
    page = full.channel_history(channel, limit=1000)
    assert data(page["items"]) == list(range(34, 24, -1))
    assert (page["direction"], page["limit"], page["has_more"]) == ("newest_first", PAGE_SIZE, True)
    assert page["continuity"]["retained_messages"] == 35
    first = page["items"][0]
    assert (first["serial"], first["event_name"], first["message"]["channel"]) == (35, "e", channel)
    assert isinstance(first["published_at_ms"], int)


def test_seeds_second_page_with_the_cursor_alone(full, channel):
    """The seed's own example: it holds for the default direction without bounds."""
    page = full.channel_history(channel, limit=5, direction="newest_first")
    again = full.channel_history(channel, cursor=page["next_cursor"])
    assert data(page["items"] + again["items"]) == list(range(34, 19, -1))


def test_message_id_of_a_publish_is_in_its_item(full):
    """What a search for it reads."""
    name = f"history-{uuid.uuid4().hex[:8]}"
    full.trigger(name, "e", "0", message_id=f"order-{name}", tags={"k": "v"})
    (item,) = full.iter_channel_history(name)
    assert item["message_id"] == f"order-{name}"


@pytest.mark.parametrize("direction", [None, "newest_first", "oldest_first", "backwards", "forwards"])
@pytest.mark.parametrize("limit", [None, 1, 7, 10, 35, 1000])
def test_iterator_gives_everything_once_in_order(full, channel, direction, limit):
    """Over as many pages as it takes, in both directions and under every name of them."""
    expected = list(range(35))
    if direction not in ("oldest_first", "forwards"):
        expected.reverse()
    assert data(full.iter_channel_history(channel, direction=direction, limit=limit)) == expected


@pytest.mark.parametrize("direction", ["newest_first", "oldest_first"])
def test_iterator_keeps_its_bounds(full, channel, direction):
    """Of serials, inclusive, over several pages: the server refuses a cursor with other bounds."""
    found = data(full.iter_channel_history(channel, direction=direction, limit=4, start_serial=6, end_serial="30"))
    assert sorted(found) == list(range(5, 30))
    assert found == sorted(found, reverse=direction == "newest_first")


def test_iterator_keeps_its_bounds_of_time(full, channel):
    """In milliseconds, inclusive; the times are the server's, as the items tell them."""
    before = max(item["published_at_ms"] for item in full.iter_channel_history(channel))
    while time.time() * 1000 <= before + 1:  # one host, one clock: a later batch gets a later time
        time.sleep(0.001)
    publish(full, channel, range(35, 60))
    items = list(full.iter_channel_history(channel, direction="oldest_first"))
    late = [item["published_at_ms"] for item in items[35:]]
    assert min(late) > before
    newer = full.iter_channel_history(channel, direction="oldest_first", start_time_ms=min(late), limit=4)
    assert data(newer) == list(range(35, 60))
    older = full.iter_channel_history(channel, direction="oldest_first", end_time_ms=before, limit=4)
    assert data(older) == list(range(35))
    between = full.iter_channel_history(channel, start_time_ms=min(late), end_time_ms=max(late), limit=4)
    assert data(between) == list(range(59, 34, -1))


def test_iterator_oldest_first_sees_what_is_published_meanwhile(full, channel):
    """It ends when it has caught up."""
    items = full.iter_channel_history(channel, direction="oldest_first", limit=10)
    found = data(itertools.islice(items, 12))
    publish(full, channel, range(35, 50))
    assert found + data(items) == list(range(50))


def test_newest_first_iterator_ignores_later_events(full, channel):
    """No item comes again, and none is left out."""
    items = full.iter_channel_history(channel, limit=10)
    found = data(itertools.islice(items, 12))
    publish(full, channel, range(35, 50))
    assert found + data(items) == list(range(34, -1, -1))


def test_cursor_goes_on_where_a_page_ended(full, channel):
    """In another process, if need be."""
    page = full.channel_history(channel, direction="oldest_first", start_serial=3)
    rest = full.iter_channel_history(
        channel, direction="oldest_first", start_serial=3, cursor=page["next_cursor"], limit=3
    )
    assert data(page["items"]) + data(rest) == list(range(2, 35))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"direction": "newest_first"}, "direction does not match"),
        ({}, "direction does not match"),
        ({"direction": "oldest_first", "end_serial": 9}, "bounds do not match"),
        ({"direction": "oldest_first", "start_time_ms": 0}, "bounds do not match"),
    ],
)
def test_cursor_of_another_query_is_refused(full, channel, other, message):
    """As BadRequest, with the server's text."""
    cursor = full.channel_history(channel, direction="oldest_first")["next_cursor"]
    with pytest.raises(BadRequest, match=message):
        full.channel_history(channel, cursor=cursor, **other)


def test_foreign_cursor_is_refused(full, channel):
    """Of another channel, or of none."""
    cursor = full.channel_history(channel)["next_cursor"]
    with pytest.raises(BadRequest, match="channel does not match"):
        full.channel_history("another", cursor=cursor)
    with pytest.raises(BadRequest, match="Invalid history cursor"):
        full.channel_history(channel, cursor="bm90LWEtY3Vyc29y")


@pytest.mark.parametrize(
    "end",
    [
        lambda client, channel: client.purge_history(channel, "before_serial", "a test", before_serial=25),
        lambda client, channel: client.reset_history(channel, "a test"),
    ],
    ids=["purged", "reset"],
)
def test_iteration_whose_events_are_gone_says_so(full, channel, end):
    """An expired cursor is BadRequest, never a history that seems to end."""
    items = full.iter_channel_history(channel, direction="oldest_first", limit=10)
    assert data(itertools.islice(items, 10)) == list(range(10))
    end(full, channel)
    publish(full, channel, [99])
    with pytest.raises(BadRequest, match="Expired history cursor"):
        next(items)


def test_serials_at_the_end_of_64_bits(full, channel):
    """Read and answered whole."""
    page = full.channel_history(channel, start_serial=2**64 - 2, end_serial=str(2**64 - 1))
    assert page["items"] == []
    assert page["bounds"] == {
        "start_serial": 2**64 - 2, "end_serial": 2**64 - 1, "start_time_ms": None, "end_time_ms": None,
    }  # fmt: skip


def test_empty_history(full):
    """Of a channel that never was."""
    assert list(full.iter_channel_history("never-published")) == []
    assert full.history_state("never-published")["stream"]["retained"]["retained_messages"] == 0


def test_state_purge_and_reset(full, channel):
    """What is kept, and what is left of it."""
    state = full.history_state(channel)
    assert state["channel"] == channel
    assert state["stream"]["next_serial"] == 36
    assert state["stream"]["state"]["durable_state"] == "healthy"

    purged = full.purge_history(channel, "before_serial", "a test", "me", before_serial="11")
    assert (purged["purged_messages"], purged["mode"], purged["requested_by"]) == (10, "before_serial", "me")
    assert full.history_state(channel)["stream"]["retained"]["oldest_available_serial"] == 11
    assert full.purge_history(channel, "before_time_ms", "a test", before_time_ms=1)["purged_messages"] == 0
    assert full.purge_history(channel, "all", "a test")["purged_messages"] == 25
    publish(full, channel, [7])
    assert [item["serial"] for item in full.iter_channel_history(channel)] == [36]

    reset = full.reset_history(channel, "a test")
    assert (reset["operation"], reset["purged_messages"]) == ("reset", 1)
    assert reset["previous_stream_id"] == state["stream"]["stream_id"] != reset["new_stream_id"]
    publish(full, channel, [8])
    assert [item["serial"] for item in full.iter_channel_history(channel)] == [1]


def test_server_without_history_says_so(sockudo):
    """422: no class of its own, as it is no mistake of the request."""
    client = Sockudo.from_url(sockudo.url)
    for call in (
        lambda: client.channel_history("c"),
        lambda: next(client.iter_channel_history("c")),
        lambda: client.history_state("c"),
        lambda: client.reset_history("c", "a test"),
        lambda: client.purge_history("c", "all", "a test"),
    ):
        with pytest.raises(SockudoHTTPError, match="history is disabled") as caught:
            call()
        assert (caught.value.status, caught.value.code) == (422, "feature_disabled")
