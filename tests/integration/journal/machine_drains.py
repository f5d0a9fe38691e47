"""Drains of the machine: leases, takes and what follows, each compared with the model."""

from __future__ import annotations

import itertools
import json

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
)

from sockudo_publisher.errors import IdempotencyConflict
from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.dead_letters import DeadBounds, DeadLetters
from sockudo_publisher.journal.holder import DeadLetterFields, MarkerChanged, Taken
from sockudo_publisher.journal.pack import Item, KeyedItem
from tests.integration.journal.machine_model import APP, LANES, PAST, Model, Parts, Run, without
from tests.integration.journal.raw import Lane, Queue, Waiting, base, hold_base, read_lane


class Drains(RuleBasedStateMachine):
    """What the rules of the machine share: drains, and what is compared after each step."""

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

    # -- what the rules share -----------------------------------------------------------------------

    def item(self, given: tuple[str, int, int, str]) -> Item:
        channel, size, expires_ms, collapse = given
        return Item(channel, f"{next(self.numbers):05}".encode() + b"x" * size, expires_ms, collapse)

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
        """Runs that lost their lease, and may still act."""
        return [run for run in self.runs if not self.holds_lease(run)]

    def end(self, run: Run) -> None:
        run.journal.forget(run.holder)
        self.runs.remove(run)

    def schedule_once(self, channel: str, key: str, fingerprint: str) -> None:
        """A countdown under a key: remembered, and appended all the same when it falls due."""
        state, known = self.model.ledger.get((channel, key), ("", fingerprint))
        producer = self.parts.producers[0]
        try:
            to_send = bool(producer.remember_keys([KeyedItem(Item(channel, b"later"), key, fingerprint)]))
        except IdempotencyConflict:
            assert known != fingerprint
        else:
            assert known == fingerprint
            assert to_send == (state != "a")
            if to_send:
                self.model.ledger[(channel, key)] = ("s", fingerprint)

    def attempt(
        self, data: st.DataObject, who: int, lane: int, channel: str | None, limit: tuple[int, int], what: str
    ) -> None:
        """The lease if it is free, a batch if there is none, and what follows."""
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
        """Who drains this queue: the one that holds its lease, or a new one. A crashed one's lease runs out."""
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
        """A doorbell for a queue with a holder, or for a hold that is over, finds nothing and leaves nothing."""
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
            assert not before.entries, "no worker would drain it"
        assert not self.client.exists(self.key(run))
        if run.holder.channel is None and not before.entries:
            assert not self.lane(run.holder.keys.lane).armed, "the next append rings"
        self.runs.remove(run)

    # -- take ---------------------------------------------------------------------------------------

    def take(self, run: Run, limit: tuple[int, int]) -> None:
        before = self.lane(run.holder.keys.lane)
        taken = run.journal.take(run.holder, max_items=limit[0], max_bytes=limit[1])
        self.taken(run, before, taken, limit)

    def settled_bytes(self, run: Run, first: Waiting) -> int:
        """What is before an item in its entry."""
        [(_, fields)] = self.client.xrange(run.holder.keys.stream, first.entry, first.entry)
        return sum(length + 1 for length in json.loads(fields[b"m"])["n"][: first.index])

    def taken(self, run: Run, before: Lane, taken: Taken, limit: tuple[int, int]) -> None:
        """Compare a take with what was there before it."""
        max_items, max_bytes = limit
        lane, channel = run.place
        after = self.lane(lane)
        queue = before.queue if channel is None else before.holds.get(channel, None)
        kept = after.queue if channel is None else after.holds.get(channel)
        run.batch = taken.batch
        remaining = set(kept.bodies) if kept else set()
        for one in queue.items if queue else ():
            if one.body in remaining:
                continue
            if self.model.is_replaced(one.channel, one.body) and not one.marked:
                assert one.clock is None, "what may have been sent is not replaced"
                self.model.leave(one.channel, one.body, "collapsed")
            elif channel is None and one.channel in before.holds:
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
        assert batch.count <= max_items
        size = sum(map(len, bodies)) + len(bodies) - 1
        assert size <= max_bytes or len(bodies) == 1
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
            if not batch.resent:
                replaced = [item.body for item in batch.items() if self.model.is_replaced(item.channel, item.body)]
                assert not replaced, "a later one waits, and only that is sent"
            clocks = {item.clock for item in kept.items[: len(bodies)]}
            assert len(clocks) == 1, "one batch, one clock"
            (clock,) = clocks
            assert batch.resent == (clock is not None)
            if clock is not None:
                assert first_ms == int(clock)
        # It ends only at a limit, at the marker's end or where the clock differs.
        rest = kept.items[len(bodies) :]
        # An entry that goes unparsed is counted whole, with those of its items that are settled.
        size += self.settled_bytes(run, kept.items[0])
        if rest and len(bodies) < max_items and size + 1 + len(rest[0].body) < max_bytes:
            assert (rest[0].clock != kept.items[0].clock) or (batch.resent and not rest[0].marked)

    # -- what follows an attempt --------------------------------------------------------------------

    def settle(self, run: Run, batch: Batch, limit: tuple[int, int], *, and_take: bool) -> None:
        """The server accepted the batch, or the prefix of it that was asked."""
        queue, lane = self.queue(run), run.holder.keys.lane
        accepted = list(batch.items())
        current = queue.marker == batch.marker.decode()
        run.batch = None
        if and_take:
            before = without(self.lane(lane), run.holder.channel, {item.body for item in accepted})
            try:
                taken = run.journal.settle_and_take(run.holder, batch, max_items=limit[0], max_bytes=limit[1])
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
