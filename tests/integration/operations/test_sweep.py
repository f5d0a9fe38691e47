"""The sweep: of a paused app one queue is rung to probe, and a lane that no ring reaches is drained here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import redis

from sockudo_publisher import configure, operations, publish_many
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.wiring.private_celery import SPARE_SLOTS
from sockudo_publisher.workerapp import quiet_lanes, slots
from sockudo_publisher.workerapp.steps import sweep
from sockudo_publisher.workerapp.steps.sweep import UNHEARD, sweep_once, trim_once

pytestmark = pytest.mark.integration

NAME = "default"
LANES = 4


class Bell:
    """In the doorbell's place: no broker is needed to see who is rung."""

    def __init__(self) -> None:
        self.rung: list[tuple[int, ...]] = []

    def ring(self, app: str, lanes: Sequence[int], *, channel: str | None = None, after_s: float = 0.0) -> bool:
        self.rung.append(tuple(lanes))
        return True


@pytest.fixture
def bell(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bell]:
    """Four lanes with events; no worker hears."""
    for name, value in {
        "SOCKUDO_URL": "http://key:secret@127.0.0.1:9/apps/app-id",
        "SOCKUDO_REDIS_URL": redis_url,
        "SOCKUDO_LANES": str(LANES),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slots, "count", LANES + SPARE_SLOTS)
    configure()
    bell = Bell()
    for module in ("publishing.store", "workerapp.steps.sweep"):
        monkeypatch.setattr(f"sockudo_publisher.{module}.doorbell", bell)
    publish_many((f"c-{n}", "n", {}) for n in range(64))
    yield bell
    quiet_lanes.forget(NAME)
    monkeypatch.undo()
    configure()


def test_lane_that_probes_is_any(bell: Bell, redis_url: str) -> None:
    """The head of one may be what only a newer release can send: rung alone each time, it would keep the app paused."""
    app_named().journal.shared.pause("unknown", 0.0)
    bell.rung.clear()
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(40):
            for lane in range(LANES):
                client.hdel(lane_keys(NAME, lane).state, "rung")
            assert sweep_once(NAME) == []
    assert {len(lanes) for lanes in bell.rung} == {1}
    assert len(set(bell.rung)) >= 2, "forty draws of four lanes"


def test_pause_in_the_far_future_stops_no_sweep(bell: Bell, redis_url: str) -> None:
    """It lasts longer than any: a clock was set back. One lane asks, as when it has run out."""
    shared = app_named().journal.shared
    shared.pause("busy", 600.0)
    bell.rung.clear()
    assert sweep_once(NAME) == []
    assert bell.rung == []
    with redis.Redis.from_url(redis_url) as client:
        client.hset(AppKeys.of(NAME).pause, "until", 4_000_000_000_000)
    assert sweep_once(NAME) == []
    assert [len(lanes) for lanes in bell.rung] == [1]
    shared.pause("busy", 1.0)
    pause, now_ms = shared.view().pause, app_named().journal.now_ms()
    assert pause is not None
    assert 0 < pause.until_ms - now_ms <= 1000, "a pause of today is not as long as that one"


def test_without_a_pause_all_are_rung(bell: Bell) -> None:
    """At once."""
    bell.rung.clear()
    assert sweep_once(NAME) == []
    assert bell.rung == [tuple(range(LANES))]


def test_sweep_bounds_dead_letters(bell: Bell, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bounds of the settings, in every lane; a paused app is no exception."""
    monkeypatch.setenv("SOCKUDO_DEAD_MAX", "2")
    monkeypatch.setenv("SOCKUDO_DEAD_TTL", "3600")
    configure()
    app_named().journal.shared.pause("unknown", 60.0)
    with redis.Redis.from_url(redis_url) as client:
        seconds, _ = client.time()
        for lane in range(LANES):
            for at_s, reason in [(1, "uncertain"), (2, "refused"), *((seconds, "refused"),) * 2]:
                fields = {"reason": reason, "channel": "c", "item": b"{}"}
                client.xadd(lane_keys(NAME, lane).dead, fields, id=f"{at_s}000-*")
        assert trim_once(NAME)
        for lane in range(LANES):
            keys = lane_keys(NAME, lane)
            assert client.xlen(keys.dead) == 2
            assert client.hgetall(keys.counts) == {b"dead_dropped_uncertain": b"1", b"dead_dropped_refused": b"1"}


def test_lane_whose_letters_are_no_stream_stops_no_other(
    bell: Bell, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are bounded, and there is nothing more to do: the sweep goes on to ring."""
    monkeypatch.setenv("SOCKUDO_DEAD_MAX", "1")
    configure()
    with redis.Redis.from_url(redis_url) as client:
        client.set(lane_keys(NAME, 1).dead, "x")
        for lane in (0, 2, 3):
            for _ in range(2):
                client.xadd(lane_keys(NAME, lane).dead, {"reason": "refused", "channel": "c", "item": b"{}"})
        assert trim_once(NAME)
        assert [client.xlen(lane_keys(NAME, lane).dead) for lane in (0, 2, 3)] == [1, 1, 1]


def test_empty_lane_of_a_dead_holder_is_disarmed(bell: Bell, redis_url: str) -> None:
    """Else its next event would ring nothing, and wait for a sweep. Not under a lease, and not with an event."""
    with redis.Redis.from_url(redis_url) as client:
        for lane in (0, 1):
            client.delete(lane_keys(NAME, lane).stream)
        client.set(lane_keys(NAME, 1).lease, "1-x", px=60_000)
        sweep_once(NAME)
        armed = [client.hexists(lane_keys(NAME, lane).state, "armed") for lane in range(LANES)]
    assert armed == [False, True, True, True]


@pytest.mark.parametrize(
    ("place", "kept"), [((0, 1), {0, 1, 2, 3}), ((1, 3), {1}), ((4, 5), set()), (None, set())], ids=str
)
def test_worker_watches_its_part_of_the_lanes(bell: Bell, place: tuple[int, int] | None, kept: set[int]) -> None:
    sweep_once(NAME, place=place)
    assert {lane for lane in range(LANES) if quiet_lanes.is_kept(NAME, lane)} == kept


@pytest.mark.parametrize(("slots_here", "kept"), [(LANES + SPARE_SLOTS - 1, 3), (SPARE_SLOTS, 0), (1000, LANES)])
def test_spare_slots_are_kept_free(bell: Bell, monkeypatch: pytest.MonkeyPatch, slots_here: int, kept: int) -> None:
    """For held channels and messages."""
    monkeypatch.setattr(slots, "count", slots_here)
    sweep_once(NAME, place=(0, 1))
    assert sum(quiet_lanes.is_kept(NAME, lane) for lane in range(LANES)) == kept


def test_lanes_of_earlier_layouts_are_not_watched(bell: Bell, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event is appended to them any more."""
    monkeypatch.setenv("SOCKUDO_LANES", "2")
    configure()
    assert app_named().journal.ask_for_lanes()
    sweep_once(NAME, place=(0, 1))
    assert not any(quiet_lanes.is_kept(NAME, lane) for lane in range(LANES + 2)), "the old lanes are drained first"
    with redis.Redis.from_url(redis_url) as client:
        for lane in range(LANES):
            client.delete(lane_keys(NAME, lane).stream)
    sweep_once(NAME, place=(0, 1))
    sweep_once(NAME, place=(0, 1))
    assert {lane for lane in range(LANES + 2) if quiet_lanes.is_kept(NAME, lane)} == {LANES, LANES + 1}


def test_quiet_lanes_are_left_in_a_pause_and_without_free_slots(bell: Bell) -> None:
    def keeps(*, has_free_slot: bool = True) -> bool:
        sweep_once(NAME, has_free_slot=has_free_slot, place=(0, 1))
        return quiet_lanes.is_kept(NAME, 0)

    assert keeps()
    assert not keeps(has_free_slot=False), "something may wait for the slot"
    assert keeps()
    operations.pause(reason="maintenance")
    assert not keeps()
    operations.resume()
    assert keeps()
    app_named().journal.shared.pause("busy", 60.0)
    assert not keeps()


def sweep_again(redis_url: str, *, has_free_slot: bool = True) -> list[tuple[int, str | None, str]]:
    """As if the last sweep were long ago."""
    with redis.Redis.from_url(redis_url) as client:
        for lane in range(LANES):
            client.hdel(lane_keys(NAME, lane).state, "rung")
    return sweep_once(NAME, has_free_slot=has_free_slot)


def test_lanes_that_no_ring_reaches_are_drained_here(bell: Bell, redis_url: str) -> None:
    """From the third sweep on, and again and again; a lease that a worker takes begins the count anew."""
    assert [sweep_again(redis_url) for _ in range(2)] == [[], []]
    bell.rung.clear()
    for _ in range(2):
        assert sweep_again(redis_url) == [(lane, None, UNHEARD) for lane in range(LANES)]
    assert bell.rung == []
    holder = app_named().journal.acquire(1)
    assert holder is not None
    app_named().journal.hand_over(holder)
    assert [lane for lane, _, _ in sweep_again(redis_url)] == [0, 2, 3]
    assert bell.rung == [(1,)]


def test_full_slots_are_no_lost_doorbells(bell: Bell, redis_url: str) -> None:
    """A worker whose slots are all taken answers no ring until one is free: it drains no more than it has slots for."""
    for _ in range(5):
        assert sweep_again(redis_url, has_free_slot=False) == []
    assert len(bell.rung) >= 5


def test_free_slots_are_those_without_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pool runs and what waits for it both count."""
    monkeypatch.setattr(slots, "count", 2)
    tasks: set[object] = set()
    monkeypatch.setattr(sweep.worker_state, "reserved_requests", tasks)
    assert sweep.has_free_slot()
    tasks.update({1, 2})
    assert not sweep.has_free_slot()
