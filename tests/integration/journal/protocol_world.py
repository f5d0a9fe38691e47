"""A lane that performs the operations of ``journal/protocol.py`` through the real scripts, and shows its state.

Each machine of the protocol has a world: how it begins, and how each of its operations is made. A world also has what a
caller of yesterday has (a token, a marker, a letter), so that an illegal operation is tried with something to lose.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis

from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.dead_letters import DeadBounds, Letter
from sockudo_publisher.journal.holder import DeadLetterFields, Holder, Journal, MarkerChanged
from sockudo_publisher.journal.layout.layout import Layout, Span
from sockudo_publisher.journal.lease import TTL_MS, LeaseLost
from sockudo_publisher.journal.protocol import Machine, Seen, script_of
from sockudo_publisher.journal.redis import link as link_module
from sockudo_publisher.journal.redis import scripts
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.one_lane import OneLane

CHANNEL = "c"
KEY = "k"

#: A wait that no test outlasts, in seconds; the sweep takes a later one for damage.
LONG_S = 1000.0


class StoppedError(Exception):
    """The loop of ``Journal.take`` wants to repair what it has met."""


class Recorder:
    """The answers of the scripts that this thread calls, not those of the thread that renews leases."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, Answer]] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        names = {key: one.name for one in scripts.all_scripts() for key in (one.sha1, one.text)}
        exchange = link_module._exchange

        def recorded(connection: Any, commands: Sequence[link_module.Command]) -> list[Any]:
            answers = exchange(connection, commands)
            if threading.current_thread() is threading.main_thread():
                for command, answer in zip(commands, answers, strict=True):
                    if command[0] in ("EVALSHA", "EVAL") and isinstance(answer, list):
                        self.answers.append((names[command[1]], Answer(answer[0])))
            return answers

        link_module._exchange = recorded
        try:
            yield
        finally:
            link_module._exchange = exchange


class World:
    """Lane 0 of an app. Subclasses have a method for each operation: ``settle (a part)`` is ``settle_a_part``."""

    def __init__(self, lane: OneLane) -> None:
        self.lane = lane
        self.journal = lane.journal
        self.link = lane.journal.link
        self.client: redis.Redis = lane.client
        self.keys = self.link.keyspace.lane(lane.app, 0)
        self.app_keys = self.link.keyspace.app(lane.app)
        self.hold_keys = self.keys.hold(CHANNEL)
        self.holder: Holder | None = None
        self.batch: Batch | None = None
        self.token = ""
        self.recorder = Recorder()
        self.journal.lanes()
        self.begin()

    def begin(self) -> None:
        """The first state of the machine."""

    def do(self, operation: str) -> set[Answer]:
        """Perform it; what its script has answered."""
        name = re.sub(r"\W+", "_", operation).strip("_").lower()
        method: Callable[[], Any] = getattr(self, name if not name[0].isdigit() else f"_{name}")
        self.recorder.answers.clear()
        with self.recorder.recording(), suppress(LeaseLost, MarkerChanged, StoppedError):
            method()
        return {answer for script, answer in self.recorder.answers if script == script_of(operation)}

    def walk(self, machine: Machine, state: str) -> None:
        """From the first state to this one, by the steps of the table."""
        for step in path(machine, state):
            self.do(step)

    # -- what callers have ------------------------------------------------------------------------------

    def own(self) -> Holder:
        assert self.holder is not None
        return self.holder

    def last_batch(self) -> Batch:
        assert self.batch is not None
        return self.batch

    @contextmanager
    def another_journal(self, **options: Any) -> Iterator[Journal]:
        other = Journal(self.lane.url, self.lane.app, lanes=1, **options)
        yield other
        for connection in other.link._free:
            connection.disconnect()

    def acquire(self) -> None:
        holder = self.journal.acquire(0)
        if holder is not None:
            self.lane._holders.append(holder)
            self.holder, self.token = holder, holder.lease.token

    def take_up_to(self, most_items: int) -> None:
        batch = self.lane.taken(self.own(), most_items).batch
        if batch is not None:
            self.batch = batch

    def drain(self) -> None:
        """Settle all that the lane has; the marker of the last batch stays known."""
        while (batch := self.lane.taken(self.own()).batch) is not None:
            self.batch = batch
            self.journal.settle(self.own(), batch)

    def expire(self) -> None:
        self.client.delete(self.keys.lease)

    # -- what Redis has ---------------------------------------------------------------------------------

    def state(self, machine: Machine) -> str:
        return machine.state_of(self.seen())

    def seen(self) -> Seen:
        text: Callable[[Any], str] = lambda raw: raw.decode() if raw else ""  # noqa: E731
        client = self.client
        seconds, micros = client.time()
        state = client.hgetall(self.keys.state)
        marker = text(state.get(b"marker"))
        layout = text(client.get(self.app_keys.lanes))
        until = client.hget(self.app_keys.pause, "until")
        ledger = self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY)
        return Seen(
            now_ms=seconds * 1000 + micros // 1000,
            token=self.token,
            marker=text(self.batch.marker) if self.batch else "",
            lease=text(client.get(self.keys.lease)),
            entries=client.xlen(self.keys.stream),
            state_marker=marker,
            is_readable=re.fullmatch(r"\d+ \d+-\d+ \d+( \d+)?", marker) is not None,
            is_armed=b"armed" in state,
            due_ms=client.zscore(self.keys.holds, CHANNEL),
            hold_lease=text(client.get(self.hold_keys.lease)),
            phase="steady" if "phase" not in layout else re.findall(r'"phase": "(\w+)"', layout)[0],
            old_lane=text(state.get(b"lane")),
            paused_until_ms=int(until) if until else None,
            prober=text(client.get(self.app_keys.probe)),
            ledger=text(client.get(ledger)),
            letters=client.xlen(self.keys.dead),
        )


def path(machine: Machine, state: str) -> list[str]:
    """The fewest operations that lead from the first state to this one."""
    ways = {machine.states[0].name: []}
    while state not in ways:
        found = {
            step.after: [*ways[step.before], step.operation]
            for step in reversed(machine.steps)
            if step.before in ways and step.after not in ways
        }
        assert found, f"no step leads to {state}"
        ways.update(found)
    return ways[state]


class LeaseWorld(World):
    """Free, after our lease has run out: we still have its token and a marked batch."""

    def begin(self) -> None:
        self.lane.append(b"1", b"2", b"3")
        self.acquire()
        self.take_up_to(2)
        self.expire()

    def acquire_by_another_worker(self) -> None:
        with self.another_journal() as other:
            holder = other.acquire(0)
            if holder is not None:
                other.forget(holder)

    def _mark(self) -> None:
        with suppress(LeaseLost):
            self.take_up_to(2)

    def renew(self) -> None:
        self.own().lease.renew()

    def take(self) -> None:
        self.take_up_to(2)

    def settle(self) -> None:
        self._mark()
        self.journal.settle(self.own(), self.last_batch())

    def unmark(self) -> None:
        self._mark()
        self.journal.unmark(self.own(), self.last_batch())

    def hold(self) -> None:
        self._mark()
        self.journal.hold(self.own(), self.last_batch(), retry_in_s=LONG_S)

    def bury(self) -> None:
        self._mark()
        self.journal.bury(self.own(), self.last_batch(), DeadLetterFields("refused"))

    def mend(self) -> None:
        keys = (self.keys.stream, self.keys.state, self.keys.lease, self.keys.counts)
        self.link.script("mend", keys, (self.token, TTL_MS, 2))

    def quarantine(self) -> None:
        self.journal.quarantine(self.own(), self.client.xrange(self.keys.stream)[0][0])

    def release_queue_with_entries(self) -> None:
        self.journal.release(self.own())

    def release_empty_queue(self) -> None:
        with suppress(LeaseLost):
            self.drain()
        self.journal.release(self.own())

    def release_hand_over(self) -> None:
        self.journal.hand_over(self.own())

    def _6_s_without_renew(self) -> None:
        self.expire()


class MarkerWorld(LeaseWorld):
    """Empty, under our lease: we still have the batch that we have settled."""

    def begin(self) -> None:
        self.lane.append(b"0")
        self.acquire()
        self.drain()
        self.journal._repair = self._stop  # type: ignore[method-assign]

    def _stop(self, *_args: object) -> None:
        raise StoppedError

    def append(self) -> None:
        self.lane.append(b"1", b"2", b"3")

    def take_unreadable_marker(self) -> None:
        self.take_up_to(2)

    def unmark(self) -> None:
        self.journal.unmark(self.own(), self.last_batch())

    def settle_a_part(self) -> None:
        self.journal.settle(self.own(), self.last_batch().head(1))

    def settle_all_that_is_marked(self) -> None:
        self.journal.settle(self.own(), self.last_batch())

    def settle_all_that_the_queue_has(self) -> None:
        if self.seen().state_marker == self.last_batch().marker.decode():
            self.unmark()
            self.take_up_to(100)
        self.journal.settle(self.own(), self.last_batch())

    def hold(self) -> None:
        self.journal.hold(self.own(), self.last_batch(), retry_in_s=LONG_S)

    def bury(self) -> None:
        self.journal.bury(self.own(), self.last_batch(), DeadLetterFields("refused"))

    def damage(self) -> None:
        self.client.hset(self.keys.state, "marker", "no marker")


class WakeUpWorld(LeaseWorld):
    """Idle, after we have given a lease back whose token we still have."""

    def begin(self) -> None:
        self.acquire()
        self.journal.hand_over(self.own())

    def append(self) -> None:
        self.lane.append(b"1")

    def sweep(self) -> None:
        self.journal.sweep([0])

    def release_hand_over_with_entries(self) -> None:
        self.journal.hand_over(self.own())

    def _6_s_without_renew_entries(self) -> None:
        self.expire()

    def _6_s_without_renew_no_entry(self) -> None:
        self.drain()
        self.expire()


class HoldWorld(World):
    """Flowing, after a hold that is over, whose token and batch we still have. The lane is ours."""

    def begin(self) -> None:
        self.acquire()
        self.hold_holder: Holder | None = None
        self.hold()
        self.acquire_hold()
        self.settle_all_that_the_hold_has()
        self.journal.release(self.own_hold())
        self.lane.append(b"1", b"2", b"3", channel=CHANNEL)

    def own_hold(self) -> Holder:
        assert self.hold_holder is not None
        return self.hold_holder

    def acquire_hold(self) -> None:
        holder = self.journal.acquire(0, CHANNEL)
        if holder is not None:
            self.lane._holders.append(holder)
            self.hold_holder = holder

    def do(self, operation: str) -> set[Answer]:
        if operation != "acquire":
            return super().do(operation)
        self.recorder.answers.clear()
        with self.recorder.recording():
            self.acquire_hold()
        return {answer for _, answer in self.recorder.answers}

    def hold(self) -> None:
        if not self.client.xlen(self.keys.stream):
            self.lane.append(b"0", channel=CHANNEL)
        self.journal.hold(self.own(), self.lane.take(self.own(), 1), retry_in_s=LONG_S)

    def take_of_the_lane(self) -> None:
        assert self.lane.taken(self.own()).batch is None, "all later items of the channel go to its hold"

    def time_passes(self) -> None:
        self.client.zadd(self.keys.holds, {CHANNEL: 1})

    def sweep(self) -> None:
        self.journal.sweep([0])

    def postpone(self) -> None:
        self.journal.retry_hold_in(self.own_hold(), LONG_S / 2)

    def settle_a_part(self) -> None:
        with suppress(LeaseLost):
            taken = self.lane.taken(self.own_hold())
            if taken.batch is not None:
                self.take_of_the_lane()
                self.batch = taken.batch
        self.journal.settle(self.own_hold(), self.last_batch())

    def settle_all_that_the_hold_has(self) -> None:
        with suppress(LeaseLost):
            while (batch := self.lane.taken(self.own_hold()).batch) is not None:
                self.batch = batch
                self.journal.settle(self.own_hold(), batch)
            return
        self.journal.settle(self.own_hold(), self.last_batch())

    def release_hand_over(self) -> None:
        self.journal.hand_over(self.own_hold())

    def _6_s_without_renew(self) -> None:
        self.client.delete(self.hold_keys.lease)

    def fail(self) -> None:
        self.journal.record_failure(0, CHANNEL, ValueError())


class LanesWorld(World):
    """One lane is to become two."""

    def begin(self) -> None:
        self.steady = Layout(Span(0, 1))
        self.closing = self.steady.flipped(2)
        self.draining = self.closing.closed(self.journal.now_ms())

    def _relayout(self, before: Layout, after: Layout) -> None:
        self.link.script("relayout", (self.app_keys.lanes,), (before.text(), after.text()))

    def relayout_begin(self) -> None:
        self._relayout(self.steady, self.closing)

    def relayout_old_lanes_closed(self) -> None:
        self._relayout(self.closing, self.draining)

    def relayout_old_lanes_empty(self) -> None:
        self._relayout(self.draining, self.draining.drained())

    def _mark(self, lane: int, mark: str) -> None:
        self.link.script("mark", (self.link.keyspace.lane(self.lane.app, lane).state,), (mark,))

    def mark_old_lanes_closed_new_lanes_open(self) -> None:
        self._mark(0, "closed")
        self._mark(1, "open")
        self._mark(2, "open")

    def mark_old_lanes_open(self) -> None:
        self._mark(0, "open")

    def _schedule(self, lane: int, needs_mark: str) -> None:
        space = self.link.keyspace
        keys = (space.ledger(self.lane.app, lane, CHANNEL, KEY), space.lane(self.lane.app, lane).state)
        self.link.script("schedule_once", keys, ("f", 60_000, "0", needs_mark, ""))

    def schedule_once_old_lane(self) -> None:
        self._schedule(0, "0")

    def schedule_once_new_lane(self) -> None:
        self._schedule(1, "1")


class PauseWorld(World):
    """An app without a pause; our token is ``me``."""

    def begin(self) -> None:
        self.token = "me"
        self.count = 0

    def pause(self) -> None:
        self.journal.shared.pause("away", LONG_S / 2)

    def time_passes(self) -> None:
        self.client.hset(self.app_keys.pause, "until", 1)

    def take_right(self) -> None:
        pause = self.journal.shared.view().pause
        self.count = pause.count if pause else 0
        self.journal.shared.try_probe("me")

    def take_right_by_another_worker(self) -> None:
        self.journal.shared.try_probe("another")

    def drop_right(self) -> None:
        self.journal.shared.end_probe("me")

    def _6_s_without_renew(self) -> None:
        self.client.delete(self.app_keys.probe)

    def resume(self) -> None:
        self.journal.shared.resume("me", self.count)

    def resume_by_hand(self) -> None:
        self.journal.shared.resume()


class DeadWorld(World):
    """An event in its lane, which is ours; it was dead before and replayed, and we still have that letter."""

    def begin(self) -> None:
        self.lane.append(b"1")
        self.acquire()
        self.letter: Letter | None = None
        self.entry = b""
        self.bury()
        self.replay()

    def _look(self) -> None:
        self.letter = next(iter(self.lane.dead.oldest(1)), self.letter)
        self.entry = next((entry for entry, _ in self.client.xrange(self.keys.stream)), self.entry)

    def bury(self) -> None:
        if self.client.xlen(self.keys.stream):
            self.take_up_to(1)
        self.journal.bury(self.own(), self.last_batch(), DeadLetterFields("refused"))

    def quarantine(self) -> None:
        self._look()
        self.journal.quarantine(self.own(), self.entry)

    def replay(self) -> None:
        self._look()
        assert self.letter is not None
        self.lane.dead.replay(self.letter, self.letter.item)
        self._look()

    def purge(self) -> None:
        self._look()
        assert self.letter is not None
        self.lane.dead.purge([(0, self.letter.entry_id)])

    def trim_beyond_a_limit(self) -> None:
        if self.client.xlen(self.keys.dead):
            while self.journal.now_ms() <= self.lane.dead.oldest(1)[0].dead_ms + 1:  # its age is more than 1 ms
                pass
        with self.another_journal(dead=DeadBounds(age_ms=1)) as other:
            other.trim_dead([0])


class KeyWorld(World):
    """A key that was never used."""

    def _schedule(self, fingerprint: str) -> None:
        keys = (self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY), self.keys.state)
        self.link.script("schedule_once", keys, (fingerprint, 60_000, "0", "0", ""))

    def schedule_once(self) -> None:
        self._schedule("f")

    def schedule_once_another_payload(self) -> None:
        self._schedule("g")

    def append_once(self) -> None:
        self.lane.append_once((KEY, b"1"), channel=CHANNEL)

    def append_once_another_payload(self) -> None:
        self.lane.append_once((KEY, b"2"), channel=CHANNEL, fingerprint="g")

    def sockudo_key_ttl_passes(self) -> None:
        self.client.delete(self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY))


WORLDS: dict[str, type[World]] = {
    "lease": LeaseWorld,
    "marker": MarkerWorld,
    "wake-up": WakeUpWorld,
    "hold": HoldWorld,
    "lanes": LanesWorld,
    "pause": PauseWorld,
    "dead": DeadWorld,
    "key": KeyWorld,
}
