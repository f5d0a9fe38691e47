"""Who came and who left, as the real server remembers it."""

import time
import uuid

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import BadRequest, SockudoHTTPError
from tests.support.signed_in import join

pytestmark = pytest.mark.integration


def until(condition):
    """Wait for what the server does behind a closed connection."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def room(full, full_sockudo, subscriber):
    """A channel that 13 and 90 came to, and 90 left."""
    name = f"presence-{uuid.uuid4().hex[:8]}"
    first, second = subscriber(full_sockudo), subscriber(full_sockudo)
    join(first, full_sockudo.apps[0], name, "13")
    join(second, full_sockudo.apps[0], name, "90")
    second.close()
    until(lambda: len(full.channel_presence_history(name)["items"]) == 3)
    return name


HAPPENED = [("member_added", "13"), ("member_added", "90"), ("member_removed", "90")]


def events(items):
    return [(item["event"], item["user_id"]) for item in items]


def test_page_and_iterator(full, room):
    """Newest first by default; over several pages, direction and bounds kept."""
    assert events(full.channel_presence_history(room)["items"]) == HAPPENED[::-1]
    assert events(full.iter_channel_presence_history(room, limit=1)) == HAPPENED[::-1]
    oldest = full.iter_channel_presence_history(room, direction="oldest_first", limit=1)
    assert events(oldest) == HAPPENED
    bounded = full.iter_channel_presence_history(
        room, direction="oldest_first", limit=1, start_serial=2, end_serial="3"
    )
    assert events(bounded) == HAPPENED[1:]


def test_item(full, room):
    """With its cause, its connection, and what the member said of themselves."""
    first = next(full.iter_channel_presence_history(room, direction="oldest_first"))
    assert (first["serial"], first["cause"]) == (1, "join")
    assert first["presence_event"]["user_info"] == {"name": "13"}


def test_cursor_of_another_query_is_refused(full, room):
    """As in channel history."""
    cursor = full.channel_presence_history(room, limit=1)["next_cursor"]
    with pytest.raises(BadRequest):
        full.channel_presence_history(room, cursor=cursor, direction="oldest_first")


def test_snapshot_now_and_then(full, room):
    """After everything, and after a serial."""

    def members(snapshot):
        return sorted(member["user_id"] for member in snapshot["members"])

    now = full.channel_presence_snapshot(room)
    assert (members(now), now["member_count"], now["continuity"]["complete"]) == (["13"], 1, True)
    assert members(full.channel_presence_snapshot(room, at_serial="2")) == ["13", "90"]
    assert members(full.channel_presence_snapshot(room, at_serial=1)) == ["13"]
    assert members(full.channel_presence_snapshot(room, at_time_ms=now["snapshot_time_ms"])) == ["13"]


def test_state_and_reset(full, room):
    """What is kept goes; who is there stays."""
    assert full.presence_history_state(room)["stream"]["retained"]["retained_events"] == 3
    reset = full.reset_presence_history(room, "a test", "me")
    assert (reset["purged_events"], reset["requested_by"]) == (3, "me")
    assert list(full.iter_channel_presence_history(room)) == []
    assert full.users_info(room) == {"users": [{"id": "13"}]}


def test_server_without_presence_history_says_so(sockudo):
    """422, as every feature that is off."""
    client = Sockudo.from_url(sockudo.url)
    for call in (client.channel_presence_history, client.channel_presence_snapshot, client.presence_history_state):
        with pytest.raises(SockudoHTTPError, match="Presence history is disabled") as caught:
            call("presence-room")
        assert (caught.value.status, caught.value.code) == (422, "feature_disabled")
