"""Producers, holders, crashes, zombies, flushes and replays in any order, against a plain model.

The model knows what was appended, and what left and how. After every step everything that is in Redis is read and
compared with it: nothing lost, nothing twice, every channel in order, depths true.

`JOURNAL_EXAMPLES=2000` runs more, and other, examples than the quick set that is the same every time.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
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
from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.dead_letters import DeadBounds, DeadLetters
from sockudo_publisher.journal.holder import DeadLetterFields, Holder, Journal, MarkerChanged, Taken
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.lease import LeaseLost
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.raw import Lane, Queue, Waiting, base, check_lane, hold_base, letters_size, read_lane

pytestmark = pytest.mark.integration

APP = "an app/with:{odd} names"
LANES = 2
#: Three in one lane, two in the other.
CHANNELS = ("a", "b", "d", "private-x=@,.;y", '#server-to-user-"q\\{é}:%')
PAST = 1
FUTURE = 4_000_000_000_000

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


@dataclass(frozen=True)
class Parts:
    """What lives longer than one example."""

    client: redis.Redis
    producers: tuple[Producer, ...]
    journals: tuple[Journal, ...]


class Run:
    """One drain: its process' journal, its holder, and the batch in its hands."""

    def __init__(self, journal: Journal, holder: Holder) -> None:
        self.journal = journal
        self.holder = holder
        self.crashed = False
        self.batch: Batch | None = None

    def __repr__(self) -> str:  # what a failing example prints
        return f"<Run {self.place} {self.holder.lease.token[:6]}>"

    @property
    def place(self) -> tuple[int, str | None]:
        return self.holder.keys.lane, self.holder.channel


@dataclass
class Model:
    """What has to be true. Bodies are unique, so they name the items."""

    order: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    left: dict[bytes, str] = field(default_factory=dict)
    expires_ms: dict[bytes, int] = field(default_factory=dict)
    ledger: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def append(self, item: Item) -> None:
        assert item.body not in self.expires_ms, "bodies are unique"
        self.order[item.channel].append(item.body)
        self.expires_ms[item.body] = item.expires_ms

    def waiting(self, channel: str) -> list[bytes]:
        return [body for body in self.order[channel] if body not in self.left]

    def leave(self, channel: str, body: bytes, how: str) -> None:
        assert body not in self.left, "an item leaves once"
        if how == "settled":
            assert self.waiting(channel)[0] == body, "a channel's items are settled in their order"
        self.left[body] = how

    def replayed(self, channel: str, body: bytes) -> None:
        del self.left[body]
        self.order[channel].remove(body)
        self.order[channel].append(body)
        self.expires_ms[body] = 0


items = st.tuples(
    st.sampled_from(CHANNELS),
    st.sampled_from([1, 3, 10, 60]),
    st.sampled_from([0, 0, 0, 0, FUTURE, PAST]),
)
limits = st.tuples(st.sampled_from([1, 2, 3, 5, 100]), st.sampled_from([1, 30, 90, 10_000]))
someone = st.integers(0, 1)
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


class JournalMachine(RuleBasedStateMachine):
    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.client = parts.client
        self.client.flushall()
        self.model = Model()
        self.runs: list[Run] = []
        self.numbers = itertools.count()
        self.dead = DeadLetters(parts.journals[0].link, APP, range(LANES))
        self.on_expired = "drop"
        self.bounds = DeadBounds()
        self.purged = 0

    @initialize(on_expired=st.sampled_from(["drop", "dead"]), bounds=bounds)
    def choose(self, on_expired: str, bounds: DeadBounds) -> None:
        self.on_expired = on_expired
        self.bounds = bounds
        for journal in self.parts.journals:
            journal._on_expired = on_expired
            journal._dead = bounds

    # -- what the rules share -----------------------------------------------------------------------

    def item(self, given: tuple[str, int, int]) -> Item:
        channel, size, expires_ms = given
        return Item(channel, f"{next(self.numbers):05}".encode() + b"x" * size, expires_ms)

    def lane(self, number: int) -> Lane:
        return read_lane(self.client, APP, number)

    def queue(self, run: Run) -> Queue:
        lane, channel = run.place
        empty = Queue((), 0, None, None, 0, frozenset())
        return self.lane(lane).queue if channel is None else self.lane(lane).holds.get(channel, empty)

    def key(self, run: Run) -> str:
        lane, channel = run.place
        return (base(APP, lane) if channel is None else hold_base(APP, lane, channel)) + ":lease"

    def holds_lease(self, run: Run) -> bool:
        return self.client.get(self.key(run)) == run.holder.lease.token.encode()

    def zombies(self) -> list[Run]:
        """Whoever lost its lease, and may still act."""
        return [run for run in self.runs if not self.holds_lease(run)]

    def end(self, run: Run) -> None:
        run.journal.forget(run.holder)
        self.runs.remove(run)

    # -- producers ----------------------------------------------------------------------------------

    @rule(
        given=st.lists(items, min_size=1, max_size=9),
        who=someone,
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
        who=someone,
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

    def schedule_once(self, channel: str, key: str, fingerprint: str) -> None:
        """A countdown under a key: remembered, and appended all the same when it falls due."""
        state, known = self.model.ledger.get((channel, key), ("", fingerprint))
        producer = self.parts.producers[0]
        try:
            to_send = producer.schedule_once([KeyedItem(Item(channel, b"later"), key, fingerprint)])
        except IdempotencyConflict:
            assert known != fingerprint
        else:
            assert known == fingerprint
            assert to_send == (state != "a")
            if to_send:
                self.model.ledger[(channel, key)] = ("s", fingerprint)

    # -- holders ------------------------------------------------------------------------------------

    @rule(data=st.data(), who=someone, lane=st.integers(0, LANES - 1), limit=limits, what=outcomes)
    def work(self, data, who, lane, limit, what) -> None:
        """An attempt of a lane."""
        self.attempt(data, who, lane, None, limit, what)

    @rule(data=st.data(), who=someone, lane=st.integers(0, LANES - 1), limit=limits)
    def stick(self, data, who, lane, limit) -> None:
        """An attempt of a lane that ends with an item stuck in the server."""
        self.attempt(data, who, lane, None, limit, "hold")

    @precondition(lambda self: any(self.lane(lane).holds for lane in range(LANES)))
    @rule(data=st.data(), who=someone, limit=limits, what=outcomes)
    def work_on_hold(self, data, who, limit, what) -> None:
        """An attempt of a held channel."""
        places = [(lane, name) for lane in range(LANES) for name in sorted(self.lane(lane).holds)]
        self.attempt(data, who, *data.draw(st.sampled_from(places)), limit, what)

    def attempt(
        self, data: st.DataObject, who: int, lane: int, channel: str | None, limit: tuple[int, int], what: str
    ) -> None:
        """The lease if nobody has it, a batch if there is none, and what follows."""
        run = self.leased(who, lane, channel)
        if run.batch is None:
            self.take(run, limit)
        match what:
            case "crash":  # the process is gone, its lease stays until it runs out
                run.journal.forget(run.holder)
                run.crashed = True
            case "freeze":  # its lease runs out, and it will wake up as a zombie
                self.client.delete(self.key(run))
            case "release" | "hand over":
                self.release(run, hand_over=what == "hand over")
            case "take again":
                self.take(run, limit)
            case _ if run.batch is None:
                return
            case "settle" | "settle some":
                count = run.batch.count if what == "settle" else data.draw(st.integers(1, run.batch.count))
                self.settle(run, run.batch.head(count), limit, and_take=data.draw(st.booleans()))
            case _:
                self.first_item_or_none(run, what)

    def leased(self, who: int, lane: int, channel: str | None) -> Run:
        """Who drains this queue: the one that holds its lease, or a new one. A crashed one's lease is ended here."""
        for run in self.runs:
            if run.place == (lane, channel) and self.holds_lease(run):
                if not run.crashed:
                    return run
                assert self.parts.journals[who].acquire(lane, channel) is None, "one holder at a time"
                self.client.delete(self.key(run))
        journal = self.parts.journals[who]
        holder = journal.acquire(lane, channel)
        assert holder is not None
        assert holder.held == (set(self.lane(lane).holds) if channel is None else set())
        self.runs.append(Run(journal, holder))
        return self.runs[-1]

    def acquire_in_vain(self, who: int, lane: int, channel: str | None) -> None:
        """A doorbell for a queue that somebody drains, or for a hold that is over, finds nothing and leaves nothing."""
        prefix = base(APP, lane) if channel is None else hold_base(APP, lane, channel)
        if self.client.exists(f"{prefix}:lease") or (channel is not None and channel not in self.lane(lane).holds):
            assert self.parts.journals[who].acquire(lane, channel) is None

    def release(self, run: Run, *, hand_over: bool) -> None:
        before = self.queue(run)
        run.batch = None
        if hand_over:
            run.journal.hand_over(run.holder)
        elif not run.journal.release(run.holder):
            assert before.entries, "kept because there is something"
            assert self.holds_lease(run)
            return
        else:
            assert not before.entries, "nobody would drain it"
        assert not self.client.exists(self.key(run))
        if run.holder.channel is None and not before.entries:
            assert not self.lane(run.holder.keys.lane).armed, "the next append rings"
        self.runs.remove(run)

    # -- take ---------------------------------------------------------------------------------------

    def take(self, run: Run, limit: tuple[int, int]) -> None:
        before = self.lane(run.holder.keys.lane)
        taken = run.journal.take(run.holder, most_items=limit[0], most_bytes=limit[1])
        self.taken(run, before, taken, limit)

    def settled_bytes(self, run: Run, first: Waiting) -> int:
        """What is before an item in its entry."""
        [(_, fields)] = self.client.xrange(run.holder.keys.stream, first.entry, first.entry)
        return sum(length + 1 for length in json.loads(fields[b"m"])["n"][: first.index])

    def taken(self, run: Run, before: Lane, taken: Taken, limit: tuple[int, int]) -> None:
        """Compare a take with what was there before it."""
        most_items, most_bytes = limit
        lane, channel = run.place
        after = self.lane(lane)
        queue = before.queue if channel is None else before.holds.get(channel, None)
        kept = after.queue if channel is None else after.holds.get(channel)
        run.batch = taken.batch
        remaining = set(kept.bodies) if kept else set()
        for one in queue.items if queue else ():
            if one.body in remaining:
                continue
            if channel is None and one.channel in before.holds:
                moved = next(item for item in after.holds[one.channel].items if item.body == one.body)
                assert moved.expires_ms == one.expires_ms
                assert (moved.clock is not None) == one.marked, "what may have been sent keeps its clock"
                if one.marked:
                    assert moved.clock == queue.marker.split()[0]
            else:
                assert one.expires_ms == PAST, "only what has expired leaves in a take"
                assert not one.marked, "what may have been sent does not expire"
                assert one.clock is None
                self.model.leave(one.channel, one.body, "expired")
        if taken.batch is None:
            assert kept is None or not kept.items, "there was something to take"
            assert kept is None or kept.marker is None
            return
        assert kept is not None
        batch, bodies = taken.batch, [item.body for item in taken.batch.items()]
        assert batch.count == len(bodies) > 0
        assert bodies == kept.bodies[: len(bodies)], "a batch is the head of its queue"
        assert batch.body == b'{"batch":[' + b",".join(bodies) + b"]}"
        assert batch.count <= most_items
        size = sum(map(len, bodies)) + len(bodies) - 1
        assert size <= most_bytes or len(bodies) == 1
        if channel is None:
            assert not {item.channel for item in batch.items()} & set(before.holds), "a held channel waits"
        assert kept.marker is not None
        assert batch.marker.decode() == kept.marker
        first_ms = int(kept.marker.split()[0])
        assert batch.first_ms == first_ms <= batch.now_ms
        if queue.marked and any(body in remaining for body in queue.marked):
            assert set(kept.marked) <= set(queue.marked), "a marked prefix never grows"
            assert set(bodies) <= set(queue.marked), "nothing new beside what may have been sent"
            assert queue.marker.split()[0] == kept.marker.split()[0], "and keeps its time"
            assert batch.resent
        else:
            assert kept.marked == bodies
            clocks = {item.clock for item in kept.items[: len(bodies)]}
            assert len(clocks) == 1, "one batch, one clock"
            (clock,) = clocks
            assert batch.resent == (clock is not None)
            if clock is not None:
                assert first_ms == int(clock)
        # It ends only where a limit, the marker or the clock says so.
        rest = kept.items[len(bodies) :]
        # An entry that goes unparsed is counted whole, with those of its items that are settled.
        size += self.settled_bytes(run, kept.items[0])
        if rest and len(bodies) < most_items and size + 1 + len(rest[0].body) < most_bytes:
            assert (rest[0].clock != kept.items[0].clock) or (batch.resent and not rest[0].marked)

    # -- what follows an attempt --------------------------------------------------------------------

    def settle(self, run: Run, batch: Batch, limit: tuple[int, int], *, and_take: bool) -> None:
        """The server accepted the batch, or the prefix of it that was asked."""
        queue, lane = self.queue(run), run.holder.keys.lane
        accepted = list(batch.items())
        current = queue.marker == batch.marker.decode()
        run.batch = None
        if and_take:
            before = _without(self.lane(lane), run.holder.channel, {item.body for item in accepted})
            try:
                taken = run.journal.settle_and_take(run.holder, batch, most_items=limit[0], most_bytes=limit[1])
            except MarkerChanged:
                assert not current
                return
        else:
            try:
                run.journal.settle(run.holder, batch)
            except MarkerChanged:
                assert not current
                return
        assert current
        for item in accepted:
            self.model.leave(item.channel, item.body, "settled")
        if and_take:
            self.taken(run, before, taken, limit)

    def first_item_or_none(self, run: Run, how: str) -> None:
        """Stuck, refused, expired while uncertain, or certainly not sent."""
        batch, run.batch = run.batch, None
        item = batch.first_item
        before = self.lane(run.holder.keys.lane)
        current = self.queue(run).marker == batch.marker.decode()
        try:
            if how == "hold":
                if run.holder.channel is not None:
                    run.batch = batch
                    return  # a held queue's item stays where it is
                run.journal.hold(run.holder, batch, retry_in_s=0)
            elif how == "unmark":
                run.journal.unmark(run.holder, batch)
            else:
                letter = DeadLetterFields("refused", "words", 3, batch.first_ms, maybe_delivered=True)
                run.journal.bury(run.holder, batch, letter, keep=how == "bury")
        except MarkerChanged:
            assert not current
            return
        assert current
        after = self.lane(run.holder.keys.lane)
        if how == "hold":
            moved = after.holds[item.channel].items[-1]
            assert (moved.body, moved.expires_ms) == (item.body, item.expires_ms)
            assert moved.clock == str(batch.first_ms)
            assert item.channel in run.holder.held
        elif how == "unmark":
            assert self.queue(run).marker is None
            assert after.queue.bodies == before.queue.bodies
        else:
            self.model.leave(item.channel, item.body, "dead" if how == "bury" else "counted")

    # -- zombies ------------------------------------------------------------------------------------

    @precondition(lambda self: self.zombies())
    @rule(data=st.data(), what=st.sampled_from(["settle", "hold", "bury", "unmark", "take", "release", "renew"]))
    def zombie(self, data, what) -> None:
        """Whoever lost the lease changes nothing, whatever it tries."""
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
                    run.journal.take(run.holder, most_items=10, most_bytes=1000)
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
        who=someone,
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
        assert sum(lane.counts.get("settled", 0) for lane in lanes) == list(self.model.left.values()).count("settled")

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
                    self.taken(run, before, journal.take(holder, most_items=7, most_bytes=500), (7, 500))
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


def _without(lane: Lane, channel: str | None, bodies: set[bytes]) -> Lane:
    """The lane after these items were settled, as the take that follows in the same round trip finds it."""
    holds = {name: _settled(queue, bodies if name == channel else set()) for name, queue in lane.holds.items()}
    holds = {name: queue for name, queue in holds.items() if queue.entries and (queue.items or name != channel)}
    queue = lane.queue if channel is not None else _settled(lane.queue, bodies)
    return Lane(queue, holds, lane.dead, lane.counts, lane.armed)


def _settled(queue: Queue, bodies: set[bytes]) -> Queue:
    items = tuple(item for item in queue.items if item.body not in bodies)
    return Queue(items, len(items), queue.marker, queue.lease, queue.entries, queue.gone)


@pytest.mark.parametrize("count", [examples] if examples else [15, pytest.param(60, marks=pytest.mark.long)])
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
