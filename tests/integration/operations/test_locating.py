"""`find`: an event at each place where it can be; and the wait for an empty journal."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from click.testing import CliRunner

from sockudo_publisher import ValidationError, operations, publish
from sockudo_publisher.cli import main
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.operations import locating
from sockudo_publisher.operations.locating import EventPlace
from tests.integration.journal.one_lane import OneLane

pytestmark = pytest.mark.integration


def body(message_id: str, channel: str = "c") -> bytes:
    event = {"channel": channel, "name": "n", "data": f"not {message_id}x", "message_id": message_id}
    return json.dumps(event, ensure_ascii=False).encode()


def append(lane: OneLane, *ids: str, channel: str = "c") -> None:
    """As one entry."""
    lane.append_to(*((channel, body(one, channel)) for one in ids))


def state(message_id: str) -> str:
    return operations.find(message_id).state


def test_event_is_found_at_every_place(settings: Settings, lane: OneLane) -> None:
    """Waiting, in delivery, held, dead, and gone when it is delivered."""
    append(lane, "m1", "m2", "m3", "m4")
    assert {state(f"m{n}") for n in range(1, 5)} == {"waiting"}
    holder = lane.acquire()
    batch = lane.take(holder, max_items=2)
    assert [state(f"m{n}") for n in range(1, 5)] == ["in delivery", "in delivery", "waiting", "waiting"]
    found = operations.find("m2").places[0]
    assert (found.since_ms, found.channel, found.name, found.lane) == (batch.first_ms, "c", "n", 0)
    lane.journal.settle(holder, batch.head(1))
    assert [state("m1"), state("m2")] == ["not here", "in delivery"]
    lane.journal.hold(holder, lane.take(holder), retry_in_s=1000)
    assert state("m2") == "held"
    lane.journal.take(holder, max_items=9, max_bytes=999)  # moves what waits behind it
    assert [state(f"m{n}") for n in range(1, 5)] == ["not here", "held", "held", "held"]
    append(lane, "m5", channel="d")
    batch = lane.take(holder)
    lane.journal.bury(holder, batch, DeadLetterFields("refused", "words", 1, 17))
    found = operations.find("m5").places[0]
    assert (found.state, found.detail, found.channel) == ("dead", "refused: words", "d")
    assert operations.dead_letters()[0].id == found.id
    assert operations.find("m9") == operations.FoundEvent("m9")


def test_several_channels_are_several_places(settings: Settings, lane: OneLane) -> None:
    """One call with several channels has one id."""
    lane.append_to(("a", body("m", "a")), ("b", body("m", "b")), ("b", body("mm", "b")))
    assert [place.channel for place in operations.find("m").places] == ["a", "b"]


@pytest.mark.parametrize("message_id", ["é", "a b", 'q"\\', "a\u2028", "x" * 500])
def test_odd_ids_are_found(settings: Settings, lane: OneLane, message_id: str) -> None:
    """In whatever way JSON writes them."""
    append(lane, "other", message_id)
    lane.append_to(("c", json.dumps({"channel": "c", "name": "n", "message_id": message_id}).encode()))
    assert len(operations.find(message_id).places) == 2


def test_many_entries_and_odd_ones_are_read(settings: Settings, lane: OneLane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page after page; what cannot be read hides no other event."""
    monkeypatch.setattr(locating, "PAGE", 3)
    for n in range(10):
        append(lane, f"m{n}")
    stream = lane.journal.link.keyspace.lane("default", 0).stream
    lane.client.xadd(stream, {"v": "1", "n": "many", "b": body("m11")})
    lane.client.xadd(stream, {"v": "1", "n": "2", "m": "{}", "b": body("m11")})
    lane.client.xadd(stream, {"spoilt": "m11"})
    append(lane, "m12")
    assert [state(f"m{n}") for n in (0, 9, 11, 12)] == ["waiting", "waiting", "not here", "waiting"]


@pytest.mark.parametrize("key", ["stream", "state", "gone", "holds", "dead"])
def test_key_of_another_type_hides_no_other_lane(settings: Settings, lane: OneLane, key: str) -> None:
    """The rest is read."""
    append(lane, "m")
    name = getattr(lane.journal.link.keyspace.lane("default", 0), key)
    lane.client.delete(name)
    lane.client.sadd(name, "x")
    assert state("m") == ("not here" if key == "stream" else "waiting")


def test_another_room_adds_a_place(settings: Settings, lane: OneLane, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked in its place."""

    def scheduled(_opened: Any, _lanes: Any, message_id: str) -> Any:
        yield EventPlace("scheduled", "default", "c", "n", 0, message_id)

    monkeypatch.setattr(locating, "FINDERS", [scheduled, *locating.FINDERS])
    append(lane, "m")
    assert [place.state for place in operations.find("m").places] == ["scheduled", "waiting"]


def test_a_cancelled_event_is_called_cancelled(settings: Settings) -> None:
    """On all channels, on one of two, and scheduled again under its key; the command says it too, and no lane of -1."""
    event = (("a", "b"), "n", 1)
    publish.apply_async(event, {"key": "m"}, countdown=600)
    assert [(place.state, place.lane) for place in operations.find("m").places] == [("scheduled", None)] * 2
    shown = CliRunner().invoke(main, ["find", "m", "--json"])
    assert [place["lane"] for place in json.loads(shown.output)["places"]] == [None, None]
    operations.cancel("m")
    assert (state("m"), operations.find("m").was_cancelled) == ("cancelled", True)
    shown = CliRunner().invoke(main, ["find", "m"])
    assert (shown.exit_code, shown.output.partition(":")[0]) == (1, "Cancelled")
    shown = CliRunner().invoke(main, ["find", "m", "--json"])
    told = json.loads(shown.output)
    assert (shown.exit_code, told["ok"], told["state"], told["places"]) == (1, False, "cancelled", [])
    publish.apply_async(event, {"key": "m"}, countdown=600)
    assert state("m") == "scheduled"
    assert state("never") == "not here"


@pytest.mark.parametrize("message_id", ["", " ", 7, None, "x" * 501, "\ud800"])
def test_malformed_id_is_refused(settings: Settings, message_id: Any) -> None:
    """Before Redis is asked."""
    with pytest.raises(ValidationError, match=r"^message_id: "):
        operations.find(message_id)


def test_wait_ends_when_the_last_event_has_left(settings: Settings, lane: OneLane) -> None:
    """Waiting, in delivery and held events count; dead letters do not."""
    append(lane, "m1", "m2")
    assert not operations.wait_until_empty(0)
    holder = lane.acquire()

    def deliver() -> None:
        time.sleep(0.3)
        lane.journal.bury(holder, lane.take(holder, max_items=1), DeadLetterFields("refused"))
        time.sleep(0.3)
        lane.journal.settle(holder, lane.take(holder))

    thread = threading.Thread(target=deliver)
    begun_at = time.monotonic()
    thread.start()
    assert operations.wait_until_empty(30)
    assert time.monotonic() - begun_at >= 0.6
    thread.join()
    assert operations.wait_until_empty(0, app="default")


def test_held_event_is_waited_for(settings: Settings, lane: OneLane) -> None:
    """It is not delivered yet."""
    append(lane, "m1")
    holder = lane.acquire()
    lane.journal.hold(holder, lane.take(holder), retry_in_s=1000)
    begun_at = time.monotonic()
    assert not operations.wait_until_empty(0.4)
    assert time.monotonic() - begun_at >= 0.4


@pytest.mark.parametrize("timeout_s", [-1, float("nan"), float("inf"), 86_401, "5", None, True])
def test_malformed_timeout_is_refused(settings: Settings, timeout_s: Any) -> None:
    """No wait without an end."""
    with pytest.raises(ValidationError, match=r"^timeout_s: "):
        operations.wait_until_empty(timeout_s)
