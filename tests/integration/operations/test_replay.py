"""Replay and purge where some letters or lanes are blocked: the others go, and the rest is named."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
import redis

from sockudo_publisher import operations
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.errors import ValidationError
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.redis.scripts import Answer
from sockudo_publisher.operations.letters import open_letters

pytestmark = pytest.mark.integration

APP = "default"


@pytest.fixture
def two_lanes(settings: Settings) -> Settings:
    """The same Redis with two lanes."""
    return replace(settings, lanes=2)


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client


def bury(client: redis.Redis, lane: int, message_id: str, reason: str = "refused", item: bytes | None = None) -> str:
    """A dead letter as the scripts write it; its id."""
    body = json.dumps({"name": "e", "channel": "c", "data": "payload", "message_id": message_id}).encode()
    fields = {"channel": "c", "reason": reason, "message": "words", "attempts": 1, "first_ms": 0, "expiry": 0}
    entry_id = client.xadd(lane_keys(APP, lane).dead, {**fields, "item": item or body})
    return f"{lane}-{entry_id.decode()}"


def waiting(client: redis.Redis, lane: int) -> int:
    return int(client.xlen(lane_keys(APP, lane).stream))


def test_lane_that_fails_holds_up_no_other(two_lanes: Settings, client: redis.Redis) -> None:
    """Its letters stay and are named, with a letter that is no event; a second try changes nothing."""
    bad = bury(client, 0, "m-0")
    bury(client, 1, "m-1")
    torn = bury(client, 1, "m-2", item=b"no event")
    conflict = bury(client, 1, "m-3", "conflict")
    bury(client, 1, "m-4")
    client.set(lane_keys(APP, 0).stream, "another type")
    done = operations.dead_replay(two_lanes, APP, None)
    assert done.replayed == 2
    assert waiting(client, 1) == 2
    assert {one.id: one.reason for one in done.refused} == {bad: "refused", torn: "refused", conflict: "conflict"}
    assert all(one.why for one in done.refused)
    assert {letter.id for letter in operations.dead_list(two_lanes, APP, 9)} == {bad, torn, conflict}
    again = operations.dead_replay(two_lanes, APP, None)
    assert (again.replayed, again.refused, again.absent) == (0, done.refused, ())


def test_unknown_ids_hold_up_no_other(two_lanes: Settings, client: redis.Redis) -> None:
    """A malformed one is an error before anything is moved."""
    ids = [bury(client, 0, "m-0"), "0-1-1", "77-1-1", bury(client, 1, "m-1")]
    with pytest.raises(ValidationError, match="id: not the id of a dead letter"):
        operations.dead_replay(two_lanes, APP, [*ids, "nonsense"])
    done = operations.dead_replay(two_lanes, APP, ids)
    assert done == operations.Replayed(2, absent=("0-1-1", "77-1-1"))


def test_letters_that_die_meanwhile_are_left_alone(two_lanes: Settings, client: redis.Redis) -> None:
    """All means those of the start: an event that is refused again would be replayed for ever."""
    for number in range(3):
        bury(client, number % 2, f"m-{number}")
    letters = open_letters(two_lanes, APP)
    seen = []
    for letter in islice(letters.each(page=1), letters.count()):
        seen.append(letter.id)
        assert letters.replay(letter, letter.item) is not Answer.EMPTY
        bury(client, 0, f"new-{len(seen)}")
    assert len(seen) == 3
    assert len(operations.dead_list(two_lanes, APP, 9)) == 3


def test_copy_that_may_come_is_named_in_full(
    two_lanes: Settings, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """App, channel, event, message id and reason are in the line, and on the record."""
    id = bury(client, 0, "m-0", "uncertain")
    entry_id = id.partition("-")[2]
    fields = client.xrange(lane_keys(APP, 0).dead, entry_id, entry_id)[0][1]
    client.xdel(lane_keys(APP, 0).dead, entry_id)
    client.xadd(lane_keys(APP, 0).dead, {**fields, b"maybe_delivered": "1"}, id=f"{int(entry_id[:13]) + 1}-0")
    with caplog.at_level(logging.WARNING, "sockudo_publisher.operations"):
        assert operations.dead_replay(two_lanes, APP, None).replayed == 1
    [record] = [one for one in caplog.records if one.name == "sockudo_publisher.operations"]
    known = {"app": APP, "reason": "uncertain", "channel": "c", "event": "e", "message_id": "m-0"}
    assert {name: getattr(record, name) for name in known} == known
    assert all(f"{name}={value}" in record.getMessage() for name, value in known.items())


def test_purge_names_a_lane_that_fails(two_lanes: Settings, client: redis.Redis) -> None:
    """And deletes the letters of the others."""
    client.set(lane_keys(APP, 0).dead, "another type")
    ids = [bury(client, 1, "m-1"), bury(client, 1, "m-2"), "1-1-1"]
    done = operations.dead_purge(two_lanes, APP, ids[1:])
    assert done == operations.Purged(1, absent=("1-1-1",))
    done = operations.dead_purge(two_lanes, APP, None)
    assert done.purged == 1
    [why] = done.failed
    assert lane_keys(APP, 0).dead in why
