"""Producers, holders, crashes, zombies, flushes and replays in any order, against a plain model.

The model knows what was appended, and what left and how. After every step everything that is in Redis is read and
compared with it: nothing lost, nothing twice, every channel in order, depths true.

`JOURNAL_EXAMPLES=2000` runs more, and other, examples than the quick set that is the same every time.
"""

from __future__ import annotations

import os
import time

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict
from sockudo_publisher.journal import holder as holder_module
from sockudo_publisher.journal import lease as lease_module
from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.dead_letters import DeadBounds
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.lease import LeaseLost
from sockudo_publisher.journal.pack import KeyedItem
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.machine_drains import Drains
from tests.integration.journal.machine_model import APP, CHANNELS, FUTURE, LANES, PAST, Parts, Run
from tests.integration.journal.raw import check_lane, letters_size

pytestmark = pytest.mark.integration

examples = int(os.environ.get("JOURNAL_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=60,
    stateful_step_count=60,
    derandomize=not examples,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Shrinking an example of sixty steps takes longer than reading it.
    phases=(Phase.explicit, Phase.generate, Phase.shrink) if examples else (Phase.explicit, Phase.generate),
    print_blob=True,
)


items = st.tuples(
    st.sampled_from(CHANNELS),
    st.sampled_from([1, 3, 10, 60]),
    st.sampled_from([0, 0, 0, 0, FUTURE, PAST]),
    st.sampled_from(["", "", "", "k", "l"]),
)
limits = st.tuples(st.sampled_from([1, 2, 3, 5, 100]), st.sampled_from([1, 30, 90, 10_000]))
workers = st.integers(0, 1)
#: Events that a lane may hold; 0 = any number.
backlogs = st.sampled_from([0, 0, 0, 2, 5])
outcomes = st.sampled_from(
    [
        "settle",
        "settle",
        "settle some",
        "settle some",
        "hold",
        "bury",
        "count",
        "unmark",
        "take again",
        "crash",
        "freeze",
        "release",
        "hand over",
    ]
)


bounds = st.builds(DeadBounds, letters=st.sampled_from([0, 0, 1, 3]), bytes=st.sampled_from([0, 0, 200, 600]))


class JournalMachine(Drains):
    """The rules, and what is true after each."""

    @initialize(on_expired=st.sampled_from(["drop", "dead"]), bounds=bounds)
    def choose(self, on_expired: str, bounds: DeadBounds) -> None:
        self.on_expired = on_expired
        self.bounds = bounds
        for journal in self.parts.journals:
            journal._on_expired = on_expired
            journal._dead = bounds

    # -- producers ----------------------------------------------------------------------------------

    @rule(
        given=st.lists(items, min_size=1, max_size=9),
        who=workers,
        on_refusal=st.sampled_from(OnRefusal),
        limit=backlogs,
    )
    def append(self, given, who, on_refusal, limit) -> None:
        """Several items, cut by lane. A lane with a limit takes all of its items or, with `skip`, those that fit."""
        items = [self.item(one) for one in given]
        before = [self.lane(lane) for lane in range(LANES)]
        rested = {number for number, lane in enumerate(before) if not lane.armed}
        producer = self.parts.producers[who]
        producer._max_backlog = limit
        appended = producer.append(items, on_refusal=on_refusal)
        producer._max_backlog = 0
        expected = []
        for lane in range(LANES):
            of_lane = [index for index, item in enumerate(items) if lane_of(item.channel, LANES) == lane]
            room = max(0, limit - before[lane].queue.depth) if limit else len(of_lane)
            if on_refusal is OnRefusal.STOP and room < len(of_lane):
                room = 0
            expected += of_lane[:room]
        assert sorted(appended.refused) == [index for index in range(len(items)) if index not in expected]
        assert all(isinstance(error, BacklogFull) for error in appended.refused.values())
        assert appended.count == len(expected)
        assert set(appended.ring) == rested & {lane_of(items[index].channel, LANES) for index in expected}
        for index in sorted(expected):
            self.model.append(items[index])

    @rule(
        given=st.lists(st.tuples(items, st.sampled_from("kl"), st.sampled_from("12")), min_size=1, max_size=5),
        who=workers,
        on_refusal=st.sampled_from(OnRefusal),
        limit=backlogs,
    )
    def append_once(self, given, who, on_refusal, limit) -> None:
        """Keys again and again, also twice in one call, sometimes with another payload or in a lane that is full."""
        items = [KeyedItem(self.item(one), key, fingerprint) for one, key, fingerprint in given]
        depths = [self.lane(lane).queue.depth for lane in range(LANES)]
        ledger = dict(self.model.ledger)
        fresh, known, conflicts, full = [], [], [], []
        room = [max(0, limit - depth) if limit else len(items) for depth in depths]
        for index, one in enumerate(items):
            lane = lane_of(one.channel, LANES)
            state, fingerprint = ledger.get((one.channel, one.key), ("", one.fingerprint))
            if fingerprint != one.fingerprint:
                conflicts.append(index)
            elif state == "a":
                known.append(index)
            elif on_refusal is OnRefusal.SKIP and room[lane] == 0:
                full.append(index)
            else:
                room[lane] -= 1
                fresh.append(index)
                ledger[(one.channel, one.key)] = ("a", one.fingerprint)
        producer = self.parts.producers[who]
        producer._max_backlog = limit
        appended = producer.append(items, on_refusal=on_refusal)
        producer._max_backlog = 0
        if on_refusal is OnRefusal.STOP and (conflicts or min(room) < 0):
            assert sorted(appended.refused) == list(range(len(items)))
            assert (appended.count, appended.ring, list(appended.already_stored)) == (0, (), [])
            if isinstance(appended.failure, IdempotencyConflict):
                assert appended.failure.index in conflicts
            else:
                assert isinstance(appended.failure, BacklogFull)
                assert min(room) < 0
            return
        assert sorted(appended.already_stored) == known
        assert appended.count == len(fresh)
        assert {index: type(error) for index, error in appended.refused.items()} == {
            **dict.fromkeys(conflicts, IdempotencyConflict),
            **dict.fromkeys(full, BacklogFull),
        }
        self.model.ledger = ledger
        for index in fresh:
            self.model.append(items[index].item)

    # -- holders ------------------------------------------------------------------------------------

    @rule(data=st.data(), who=workers, lane=st.integers(0, LANES - 1), limit=limits, what=outcomes)
    def work(self, data, who, lane, limit, what) -> None:
        """An attempt of a lane."""
        self.attempt(data, who, lane, None, limit, what)

    @rule(data=st.data(), who=workers, lane=st.integers(0, LANES - 1), limit=limits)
    def stick(self, data, who, lane, limit) -> None:
        """An attempt of a lane that ends with an item stuck in the server."""
        self.attempt(data, who, lane, None, limit, "hold")

    @precondition(lambda self: any(self.lane(lane).holds for lane in range(LANES)))
    @rule(data=st.data(), who=workers, limit=limits, what=outcomes)
    def work_on_hold(self, data, who, limit, what) -> None:
        """An attempt of a held channel."""
        places = [(lane, name) for lane in range(LANES) for name in sorted(self.lane(lane).holds)]
        self.attempt(data, who, *data.draw(st.sampled_from(places)), limit, what)

    # -- zombies ------------------------------------------------------------------------------------

    @precondition(lambda self: self.zombies())
    @rule(data=st.data(), what=st.sampled_from(["settle", "hold", "bury", "unmark", "take", "release", "renew"]))
    def zombie(self, data, what) -> None:
        """A run that lost its lease changes nothing, whatever it tries."""
        run = data.draw(st.sampled_from(self.zombies()))
        if run.batch is None and what in ("settle", "hold", "bury", "unmark"):
            what = "take"
        before = [self.lane(lane) for lane in range(LANES)]
        with pytest.raises(LeaseLost):  # noqa: PT012 -- one of them is called
            match what:
                case "settle":
                    run.journal.settle(run.holder, run.batch)
                case "hold":
                    run.journal.hold(run.holder, run.batch, retry_in_s=1)
                case "bury":
                    run.journal.bury(run.holder, run.batch, DeadLetterFields("refused"))
                case "unmark":
                    run.journal.unmark(run.holder, run.batch)
                case "take":
                    run.journal.take(run.holder, max_items=10, max_bytes=1000)
                case "release":
                    run.journal.release(run.holder)
                case "renew":
                    run.holder.lease.renew()
        assert [self.lane(lane) for lane in range(LANES)] == before
        if run.batch is None or what == "release":
            self.end(run)

    @precondition(lambda self: [run for run in self.zombies() if not run.crashed and run.batch])
    @rule(data=st.data(), limit=limits)
    def take_lost_lease_again(self, data, limit) -> None:
        """With a 200 in hand the lease may be taken again, and settles if the marker has not moved."""
        run = data.draw(st.sampled_from([run for run in self.zombies() if not run.crashed and run.batch]))
        free = not self.client.exists(self.key(run))
        over = run.holder.channel is not None and run.holder.channel not in self.lane(run.holder.keys.lane).holds
        again = run.journal.acquire(run.holder.keys.lane, run.holder.channel)
        assert (again is not None) == (free and not over)
        if again is None:
            return
        if again.channel is None:
            assert again.held >= set(self.lane(again.keys.lane).holds), "it knows what others have held"
        lost, run.holder = run.holder, again
        run.journal.forget(lost)
        self.settle(run, run.batch, limit, and_take=False)

    # -- the rest -----------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(["flush", "sweep", "schedule", "acquire lane", "acquire hold"]),
        who=workers,
        channel=st.sampled_from(CHANNELS),
        key=st.sampled_from("kl"),
        fingerprint=st.sampled_from("12"),
    )
    def meanwhile(self, what, who, channel, key, fingerprint) -> None:
        """What happens beside the work."""
        match what:
            case "flush":
                self.client.script_flush()
            case "sweep":
                self.sweep(lane_of(channel, LANES))
            case "schedule":
                self.schedule_once(channel, key, fingerprint)
            case "acquire lane":
                self.acquire_in_vain(who, lane_of(channel, LANES), None)
            case "acquire hold":
                self.acquire_in_vain(who, lane_of(channel, LANES), channel)

    def sweep(self, lane: int) -> None:
        """Finds a lane without a holder, and every hold that is due; changes nothing else."""
        before = self.lane(lane)
        ring, due = self.parts.journals[0].sweep([lane])
        if ring:
            assert before.queue.entries
            assert before.queue.lease is None
        assert {name for _, name in due} <= set(before.holds)

    @precondition(lambda self: self.dead.oldest(1))
    @rule(data=st.data(), twice=st.booleans())
    def replay(self, data, twice) -> None:
        letter = data.draw(st.sampled_from(self.dead.oldest(5)))
        assert self.dead.replay(letter, letter.item) in (Answer.DONE, Answer.RING)
        if twice:
            assert self.dead.replay(letter, letter.item) is Answer.EMPTY
        self.model.replayed(letter.channel, letter.item)

    @precondition(lambda self: self.dead.oldest(1))
    @rule(data=st.data())
    def purge(self, data) -> None:
        letter = data.draw(st.sampled_from(self.dead.oldest(5)))
        assert self.dead.purge([(letter.lane, letter.entry_id)] * 2) == 1
        self.purged += 1

    @rule(old=st.booleans())
    def trim(self, old: bool) -> None:
        """Nothing leaves but what is over a bound; all of it does, if the bound is an age that each has."""
        journal = self.parts.journals[0]
        before = len(self.dead.oldest(1000))
        if not old:
            assert journal.trim_dead(range(LANES))
            assert len(self.dead.oldest(1000)) == before, "it was bounded where it was written"
            return
        time.sleep(0.003)  # all of them are older than a millisecond
        journal._dead = DeadBounds(age_ms=1)
        assert journal.trim_dead(range(LANES))
        journal._dead = self.bounds
        assert self.dead.oldest(1) == []

    # -- what is always true ------------------------------------------------------------------------

    @invariant()
    def nothing_lost_nothing_twice_all_in_order(self) -> None:
        lanes = [check_lane(self.client, APP, lane) for lane in range(LANES)]
        for channel in CHANNELS:
            found = lanes[lane_of(channel, LANES)].waiting(channel)
            assert found == self.model.waiting(channel), channel
        assert sum(len(lane.all_waiting) for lane in lanes) == sum(
            len(self.model.waiting(channel)) for channel in CHANNELS
        )
        dead = sorted(body for lane in lanes for _, body in lane.dead)
        kept = ("dead", "expired") if self.on_expired == "dead" else ("dead",)
        died = [body for body, how in self.model.left.items() if how in kept]
        dropped = sum(n for lane in lanes for name, n in lane.counts.items() if name.startswith("dead_dropped_"))
        assert set(dead) <= set(died)
        assert len(dead) + dropped + self.purged == len(died), "each letter is there, purged, or counted as dropped"
        for lane in range(LANES):
            size = letters_size(self.client, APP, lane)
            count = len(lanes[lane].dead)
            assert not self.bounds.letters or count <= self.bounds.letters
            assert not self.bounds.bytes or size <= self.bounds.bytes or count == 1
        for way in ("settled", "collapsed"):
            assert sum(lane.counts.get(way, 0) for lane in lanes) == list(self.model.left.values()).count(way)

    def teardown(self) -> None:
        """Whatever state it was left in, fresh workers drain it to the last item."""
        for run in list(self.runs):
            self.client.delete(self.key(run))
            self.end(run)
        journal = self.parts.journals[0]
        for lane in range(LANES):
            for channel in [None, *sorted(self.lane(lane).holds)]:
                holder = journal.acquire(lane, channel)
                assert holder is not None
                run = Run(journal, holder)
                while not journal.release(holder):
                    before = self.lane(lane)
                    self.taken(run, before, journal.take(holder, max_items=7, max_bytes=500), (7, 500))
                    if run.batch is not None:
                        journal.settle(holder, run.batch)
                        for item in run.batch.items():
                            self.model.leave(item.channel, item.body, "settled")
                    self.nothing_lost_nothing_twice_all_in_order()
                assert not self.client.exists(self.key(run))
        # Items that the lane's own drain has moved behind held ones since the holds were listed.
        assert all(len(self.model.waiting(channel)) == 0 for channel in CHANNELS)
        assert all(not self.lane(lane).holds for lane in range(LANES))
        assert not list(self.client.scan_iter("*:hold:*")), "nothing is left of a hold"
        assert not list(self.client.scan_iter("*:gone")), "nothing is left of what has left"


@pytest.mark.parametrize("count", [examples] if examples else [5, pytest.param(60, marks=pytest.mark.long)])
def test_nothing_is_lost_repeated_or_reordered_whatever_happens(redis_url, count, monkeypatch):
    """Any order of appends, takes, settles, holds, burials, crashes, expiries, zombies, flushes and replays."""
    # A lease ends where the machine ends it, never between two steps of a busy machine.
    for module in (holder_module, lease_module):
        monkeypatch.setattr(module, "TTL_MS", 600_000)
    with redis.Redis.from_url(redis_url) as client:
        parts = Parts(
            client,
            tuple(Producer(redis_url, APP, lanes=LANES, max_backlog=0, key_ttl_ms=600_000) for _ in range(2)),
            tuple(Journal(redis_url, APP, lanes=LANES) for _ in range(2)),
        )
        assert {lane_of(channel, LANES) for channel in CHANNELS} == set(range(LANES))
        run_state_machine_as_test(lambda: JournalMachine(parts), settings=settings(PROFILE, max_examples=count))
