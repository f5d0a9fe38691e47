"""What a person asks of a deployment, against a journal in which something happened."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from sockudo_publisher import operations
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.errors import JournalUnavailable, ValidationError
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.operations.app_status import RARE_COUNTERS
from tests.integration.journal.one_lane import OneLane
from tests.integration.operations.conftest import OTHER

pytestmark = pytest.mark.integration

Rung = Callable[[], list[list[object]]]


def event(message_id: str, name: str = "e", **more: object) -> bytes:
    """An item as the publisher makes it."""
    given = {"name": name, "channel": "c", "data": "payload", "message_id": message_id, **more}
    return json.dumps(given, separators=(",", ":"), ensure_ascii=False).encode()


def die(lane: OneLane, message_id: str, reason: str = "refused", **fields: object) -> str:
    """An event that ends as a dead letter; its id as people see it. The lane rests afterwards."""
    lane.append(event(message_id))
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields(reason, "the words", 2, **fields))
    assert lane.journal.release(holder)
    return f"0-{lane.dead.oldest(1000)[-1].entry_id}"


def said_by_operations(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Not by the doorbell, whose broker may be slow."""
    return [record for record in caplog.records if record.name == "sockudo_publisher.operations"]


def status_of(settings: Settings) -> tuple[operations.AppStatus, operations.AppStatus]:
    """The default app's, and the other's."""
    found = {app.app: app for app in operations.status(settings=settings)}
    return found["default"], found[OTHER]


class TestStatus:
    def test_every_app_of_the_settings_is_shown(self, settings: Settings) -> None:
        """With its lanes, and with the counters that an alert may watch."""
        first, second = status_of(settings)
        for app in (first, second):
            [lane] = app.lanes
            assert (lane.lane, lane.depth, lane.held, lane.dead) == (0, 0, 0, 0)
            assert (lane.oldest_age_s, lane.leased, lane.armed) == (None, False, False)
            assert (app.pause, app.flip, app.limits) == (None, None, Limits())
            assert app.configured
            assert set(app.counters) == set(RARE_COUNTERS)
            assert set(app.counters.values()) == {0}

    def test_what_waits_is_held_or_died_is_counted(self, settings: Settings, lane: OneLane, other: OneLane) -> None:
        """App by app."""
        die(lane, "dead")
        lane.append_to(("a", b"1"), ("a", b"2"), ("b", b"3"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.take(holder)
        lane.append(b"4")
        other.append(b"5")
        first, second = status_of(settings)
        [shown] = first.lanes
        assert (shown.depth, shown.held, shown.dead, shown.leased, shown.armed) == (2, 2, 1, True, True)
        assert shown.oldest_age_s is not None
        assert 0 <= shown.oldest_age_s < 60
        assert (first.counters["stuck"], first.counters["refused"]) == (1, 1)
        [shown] = second.lanes
        assert (shown.depth, shown.held, shown.dead, shown.leased, shown.armed) == (1, 0, 0, False, True)

    def test_the_age_of_a_held_event_is_that_of_its_first_attempt(self, settings: Settings, lane: OneLane) -> None:
        """However often it was moved or tried since."""
        lane.append_to(("a", b"1"))
        holder = lane.acquire()
        lane.take(holder)
        marker = lane.state("marker")
        first_ms, rest = marker.split(b" ", 1)
        lane.client.hset(f"{lane.base}:state", "marker", b"%d %s" % (int(first_ms) - 5_000_000, rest))
        lane.hold_first(holder)
        [shown] = status_of(settings)[0].lanes
        assert 5000 <= shown.oldest_age_s < 5100

    def test_a_pause_and_what_was_learned_are_shown(self, settings: Settings, other: OneLane) -> None:
        """Of the app that has them."""
        other.journal.shared.pause("misconfigured", 100.0, "who are you?")
        other.journal.shared.learn(Limits(events=10))
        first, second = status_of(settings)
        assert first.pause is None
        assert (second.pause.reason, second.pause.message) == ("misconfigured", "who are you?")
        assert second.pause.until_ms == second.pause.since_ms + 100_000
        assert second.limits == Limits(events=10)

    def test_app_in_no_setting_is_shown_while_it_has_events(self, settings: Settings, other: OneLane) -> None:
        """No worker delivers its events any more: an operator has to know."""
        other.append(b"1")
        without = replace(settings, apps={})
        [_, forgotten] = operations.status(settings=without)
        assert (forgotten.app, forgotten.configured, forgotten.lanes[0].depth) == (OTHER, False, 1)
        other.drain()
        assert [app.app for app in operations.status(settings=without)] == ["default"]

    def test_looking_changes_nothing(self, settings: Settings, lane: OneLane) -> None:
        """Not even for an app that was never used."""
        lane.append(b"1")
        before = lane.everything()
        operations.status(settings=settings)
        assert lane.everything() == before


class TestList:
    def test_a_letter_is_shown_with_what_its_item_says(self, settings: Settings, lane: OneLane) -> None:
        """Name and message id are the event's; the payload is in no repr."""
        id = die(lane, "m-1", "uncertain", first_ms=17, maybe_delivered=True)
        [letter] = operations.dead_list(settings, "default", 10)
        assert letter == operations.dead_show(settings, "default", id)
        assert (letter.id, letter.app, letter.channel, letter.name) == (id, "default", "c", "e")
        assert (letter.message_id, letter.reason, letter.message) == ("m-1", "uncertain", "the words")
        assert (letter.attempts, letter.first_ms, letter.maybe_delivered) == (2, 17, True)
        assert (letter.size, letter.item) == (len(event("m-1")), event("m-1"))
        assert "payload" not in repr(letter)

    def test_oldest_first_and_no_more_than_asked(self, settings: Settings, lane: OneLane, other: OneLane) -> None:
        """Of one app."""
        ids = [die(lane, f"m-{n}") for n in range(3)]
        die(other, "m-x")
        assert [letter.id for letter in operations.dead_list(settings, "default", 2)] == ids[:2]
        assert [letter.message_id for letter in operations.dead_list(settings, OTHER, 9)] == ["m-x"]

    @pytest.mark.parametrize(
        "id", ["", "x", "1-2", "0-1-1-1", "0-1-x", "0-" + "1" * 21 + "-1", "0-99999999999999999999-1", "-1-1-1"]
    )
    def test_what_is_no_id_is_said_to_be_none(self, settings: Settings, id: str) -> None:
        """Before Redis is asked."""
        for call in (operations.dead_show, lambda *args: operations.dead_replay(*args[:2], [args[2]])):
            with pytest.raises(ValidationError, match="id: not the id of a dead letter"):
                call(settings, "default", id)

    def test_one_that_is_not_there_is_said_to_be_missing(self, settings: Settings) -> None:
        """By its id and app."""
        with pytest.raises(ValidationError, match="no dead letter 0-1-1 of app default"):
            operations.dead_show(settings, "default", "0-1-1")


class TestReplay:
    def test_letters_go_back_in_the_order_of_the_ids(self, settings: Settings, lane: OneLane, rung: Rung) -> None:
        """Unchanged; the lane is rung once; what is not there, or there twice, counts as it is."""
        ids = [die(lane, f"m-{n}") for n in range(3)]
        done = operations.dead_replay(settings, "default", [ids[2], ids[0], ids[2], "0-1-1"])
        assert done == operations.Replayed(2, absent=("0-1-1",))
        assert lane.bodies == [event("m-2"), event("m-0")]
        assert [letter.id for letter in operations.dead_list(settings, "default", 9)] == [ids[1]]
        assert rung() == [["default", 0, None]]
        assert operations.dead_replay(settings, "default", [ids[2]]) == operations.Replayed(0, absent=(ids[2],))
        assert rung() == []

    def test_new_ids_are_new_and_nothing_else_changes(self, settings: Settings, lane: OneLane) -> None:
        """The server takes each for another event."""
        lane.append(event("m-1", "né", extras={"b": 1, "a": [2]}))
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("conflict"))
        lane.journal.release(holder)
        ids = [letter.id for letter in operations.dead_list(settings, "default", 9)] + [die(lane, "m-2", "conflict")]
        assert operations.dead_replay(settings, "default", ids, new_id=True) == operations.Replayed(2)
        first, second = map(json.loads, lane.bodies)
        assert len({first["message_id"], second["message_id"], "m-1", "m-2"}) == 4
        assert 0 < len(first["message_id"]) <= 128
        assert list(first) == list(json.loads(event("m-1", "né", extras={})))
        assert {**first, "message_id": "m-1"} == json.loads(event("m-1", "né", extras={"b": 1, "a": [2]}))

    def test_a_conflict_is_refused_without_a_new_id(self, settings: Settings, lane: OneLane, rung: Rung) -> None:
        """It stays and is named; the others go."""
        ids = [die(lane, "m-1"), die(lane, "m-2", "conflict"), die(lane, "m-3")]
        for chosen, moved in ((ids[:2], 1), (None, 1), ([ids[1]], 0)):
            done = operations.dead_replay(settings, "default", chosen)
            assert (done.replayed, done.absent) == (moved, ())
            [refused] = done.refused
            assert (refused.id, refused.reason) == (ids[1], "conflict")
            assert "--new-id" in refused.why
        assert lane.bodies == [event("m-1"), event("m-3")]
        assert [letter.id for letter in operations.dead_list(settings, "default", 9)] == [ids[1]]
        assert rung() == [["default", 0, None]]

    def test_into_a_held_channel(self, settings: Settings, lane: OneLane, rung: Rung) -> None:
        """It waits behind what is stuck there."""
        id = die(lane, "m-1")
        lane.append(b"stuck", channel="c")
        lane.hold_first(lane.acquire())
        lane.journal.hand_over(lane._holders[-1])
        rung()
        assert operations.dead_replay(settings, "default", [id]).replayed == 1
        holder = lane.acquire()
        assert lane.taken(holder).batch is None
        assert lane.now.holds["c"].bodies == [b"stuck", event("m-1")]

    @pytest.mark.parametrize(
        ("age_ms", "new_id", "said"),
        [
            (0, False, "the server may still remember its message id"),
            (121_000, False, "subscribers may see it twice"),
            (0, True, "subscribers may see it twice"),
        ],
        ids=["within the window", "after the window", "with a new id"],
    )
    def test_what_may_have_been_delivered_is_told(
        self,
        settings: Settings,
        lane: OneLane,
        caplog: pytest.LogCaptureFixture,
        age_ms: int,
        new_id: bool,
        said: str,
    ) -> None:
        """Whether the server can still tell the replay from a new event."""
        first_ms = lane.journal.now_ms() - age_ms
        id = die(lane, "m-1", "uncertain", first_ms=first_ms, maybe_delivered=True)
        with caplog.at_level(logging.WARNING, "sockudo_publisher.operations"):
            operations.dead_replay(settings, "default", [id], new_id=new_id)
        [record] = said_by_operations(caplog)
        assert record.getMessage().endswith(said)
        assert id in record.getMessage()
        assert "channel=c event=" in record.getMessage()
        assert "message_id=m-1" in record.getMessage()

    def test_what_was_certainly_not_delivered_needs_no_word(
        self, settings: Settings, lane: OneLane, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A warning that is always there is not read."""
        id = die(lane, "m-1")
        with caplog.at_level(logging.WARNING, "sockudo_publisher.operations"):
            operations.dead_replay(settings, "default", [id])
        assert not said_by_operations(caplog)


class TestPurge:
    def test_some_or_all(self, settings: Settings, lane: OneLane, other: OneLane) -> None:
        """Of one app, and as many as there were."""
        ids = [die(lane, f"m-{n}") for n in range(4)]
        die(other, "m-x")
        done = operations.dead_purge(settings, "default", [ids[1], ids[1], "0-1-1", "99-1-1"])
        assert done == operations.Purged(1, absent=("0-1-1", "99-1-1"))
        assert [letter.id for letter in operations.dead_list(settings, "default", 9)] == [ids[0], ids[2], ids[3]]
        assert operations.dead_purge(settings, "default", []) == operations.Purged(0)
        assert operations.dead_purge(settings, "default", None) == operations.Purged(3)
        assert operations.dead_list(settings, "default", 9) == []
        assert len(operations.dead_list(settings, OTHER, 9)) == 1


class TestResume:
    def test_a_pause_ends_and_lanes_that_wait_are_rung(self, settings: Settings, lane: OneLane, rung: Rung) -> None:
        """The right to probe too; there is nothing to do a second time."""
        lane.append(b"1")
        lane.journal.shared.pause("misconfigured", 1000.0)
        lane.journal.shared.try_probe("me")
        assert operations.resume(settings=settings)
        assert lane.journal.shared.view().pause is None
        assert lane.journal.shared.try_probe("another")
        assert rung() == [["default", 0, None]]
        assert not operations.resume(settings=settings)
        assert rung() == []

    def test_an_empty_lane_is_not_rung(self, settings: Settings, lane: OneLane, other: OneLane, rung: Rung) -> None:
        """Nor another app's."""
        other.append(b"1")
        lane.journal.shared.pause("away", 1000.0)
        assert operations.resume(settings=settings)
        assert rung() == []


@pytest.mark.parametrize("what", ["status", "list", "show", "replay", "purge", "resume"])
def test_a_journal_that_is_away_is_told(settings: Settings, what: str) -> None:
    """Not taken for an empty one."""
    away = replace(settings, redis_url="redis://127.0.0.1:1/0")
    calls: dict[str, Callable[[], object]] = {
        "status": lambda: operations.status(settings=away),
        "list": lambda: operations.dead_list(away, "default", 9),
        "show": lambda: operations.dead_show(away, "default", "0-1-1"),
        "replay": lambda: operations.dead_replay(away, "default", ["0-1-1"]),
        "purge": lambda: operations.dead_purge(away, "default", None),
        "resume": lambda: operations.resume(settings=away),
    }
    with pytest.raises(JournalUnavailable):
        calls[what]()
