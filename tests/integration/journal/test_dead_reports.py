"""Which dead letters are to be reported: the marks of the lanes, and the right of one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from sockudo_publisher.journal.dead_reports import PAGE, RIGHT_MS, DeadReports
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.redis.link import RedisLink

pytestmark = pytest.mark.integration

APP = "shop"
LANES = (0, 1, 2)
REPORTER = AppKeys.of(APP).dead_reporter


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def link(redis_url: str) -> RedisLink:
    return RedisLink(redis_url, timeout_s=5)


@pytest.fixture
def reports(link: RedisLink) -> DeadReports:
    return DeadReports(link, APP)


def bury(client: redis.Redis, lane: int, count: int = 1) -> list[str]:
    """Dead letters of a lane; their places."""
    letter = {"reason": "refused", "message": "", "attempts": 1, "channel": "c", "item": "{}"}
    return [client.xadd(lane_keys(APP, lane).dead, letter).decode() for _ in range(count)]


def test_letters_come_in_order_and_once(client: redis.Redis, reports: DeadReports) -> None:
    """Page by page; the mark moves with each, and what is buried later comes later."""
    places = bury(client, 1, PAGE + 5)
    assert reports.lanes_to_report(LANES) == [1]
    assert reports.take_right()
    got = []
    while letters := reports.letters_to_report(1):
        for letter in letters:
            got.append(letter.entry_id)
            assert reports.mark_and_renew(letter)
    reports.drop_right()
    assert got == places
    assert reports.lanes_to_report(LANES) == []
    more = bury(client, 1)
    assert reports.lanes_to_report(LANES) == [1]
    assert [letter.entry_id for letter in reports.letters_to_report(1)] == more


def test_one_process_reports_at_a_time(client: redis.Redis, link: RedisLink, reports: DeadReports) -> None:
    """The others do not even look, until it gives the right back, or is dead for a while."""
    bury(client, 0)
    other = DeadReports(link, APP)
    assert reports.take_right()
    assert not other.take_right()
    assert other.lanes_to_report(LANES) == []
    assert 0 < client.pttl(REPORTER) <= RIGHT_MS
    client.pexpire(REPORTER, 1)
    while client.exists(REPORTER):
        pass
    assert other.take_right()
    (letter,) = reports.letters_to_report(0)
    assert not reports.mark_and_renew(letter), "it lost the right: it ends, and its mark does no harm"
    other.drop_right()
    assert reports.lanes_to_report(LANES) == []


def test_mark_survives_a_purge_and_falls_with_the_last_letter(client: redis.Redis, reports: DeadReports) -> None:
    """An emptied lane begins anew: its next letters have higher ids."""
    keys = lane_keys(APP, 0)
    first, second = bury(client, 0, 2)
    for letter in reports.letters_to_report(0):
        reports.mark_and_renew(letter)
    client.xdel(keys.dead, second)
    assert reports.letters_to_report(0) == []
    client.xdel(keys.dead, first)
    client.delete(keys.dead_size)  # as remove_letter does
    (third,) = bury(client, 0)
    assert [letter.entry_id for letter in reports.letters_to_report(0)] == [third]


@pytest.mark.parametrize("mark", ["", "x", "1", "1-", "-1-1", "9" * 40, "1-2-3", b"\xff"])
def test_mark_that_cannot_be_read_begins_anew(client: redis.Redis, reports: DeadReports, mark: str | bytes) -> None:
    """A letter is rather reported again than never."""
    places = bury(client, 0, 2)
    client.hset(lane_keys(APP, 0).dead_size, "reported", mark)
    assert reports.lanes_to_report([0]) == [0]
    assert [letter.entry_id for letter in reports.letters_to_report(0)] == places


def test_key_of_another_type_stops_no_other_lane(client: redis.Redis, reports: DeadReports) -> None:
    for lane in LANES:
        bury(client, lane)
    client.delete(lane_keys(APP, 0).dead)
    client.set(lane_keys(APP, 0).dead, "x")
    client.rpush(lane_keys(APP, 1).dead_size, "x")
    assert reports.lanes_to_report(LANES) == [2]
    assert reports.letters_to_report(0) == []
    assert reports.letters_to_report(1) == []


def test_right_without_an_end_is_nobodys(client: redis.Redis, reports: DeadReports) -> None:
    """Of any type: it would stop all reports for ever."""
    bury(client, 0)
    for spoil in (lambda: client.set(REPORTER, "x"), lambda: client.rpush(REPORTER, "x")):
        client.delete(REPORTER)
        spoil()
        assert reports.lanes_to_report([0]) == [0]
        assert reports.take_right()
        reports.drop_right()


def test_letter_that_cannot_be_read_is_reported(client: redis.Redis, reports: DeadReports) -> None:
    client.xadd(lane_keys(APP, 0).dead, {"a": "b"})
    (letter,) = reports.letters_to_report(0)
    assert (letter.reason, letter.item) == ("unreadable", b"")


def test_full_redis_takes_the_mark(client: redis.Redis, reports: DeadReports) -> None:
    """Otherwise each letter would be reported again and again."""
    bury(client, 0)
    before = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", 1)
    try:
        assert reports.take_right()
        (letter,) = reports.letters_to_report(0)
        assert reports.mark_and_renew(letter)
        reports.drop_right()
    finally:
        client.config_set("maxmemory", before)
    assert reports.lanes_to_report([0]) == []
