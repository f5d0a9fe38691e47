"""Scheduled events under any interleaving of callers, two workers and cancellations: none lost, none twice.

A machine of Hypothesis plays callers, workers that die or are frozen between any two steps, leases that end, and
operators. Planted bugs show that it finds what it is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.keys import bucket_of
from sockudo_publisher.journal.redis import scripts
from sockudo_publisher.journal.schedule.event import ScheduledItem
from sockudo_publisher.journal.schedule.outcomes import BucketReport, ClaimResult, outcome_of
from tests.integration.journal.one_schedule import FUTURE, PAST, OneSchedule
from tests.integration.journal.raw import read_lane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: Two channels of one bucket, and one of another.
CHANNELS = ("c", next(f"c{n}" for n in range(99) if bucket_of(f"c{n}") == bucket_of("c")), "d")
WORKERS = ("a", "b")

channels = st.sampled_from(CHANNELS)


class Hands:
    """What a worker has of one bucket: the claimed events, and the results that it has not reported.

    ``is_late``: the lease has ended since.
    """

    def __init__(self, events: list[ScheduledItem], channel: str) -> None:
        self.events = events
        self.channel = channel
        self.outcomes: list[tuple[ClaimResult, str]] = []
        self.is_late = False


class Machine(RuleBasedStateMachine):
    url = ""

    @initialize()
    def begin(self) -> None:
        self.one = OneSchedule(self.url)
        self.one.client.flushall()
        self.number = 0
        self.scheduled: dict[str, str] = {}  # id -> channel
        self.cancelled: set[str] = set()
        self.claimed: set[str] = set()  # ids; a worker that dies leaves them so
        self.hands: dict[str, Hands | None] = dict.fromkeys(WORKERS)

    def teardown(self) -> None:
        if not hasattr(self, "one"):
            return
        try:
            self._finish()
            self._check()
        finally:
            self.one.client.close()

    # -- callers and operators ---------------------------------------------------------------------------

    @rule(channel=channels, is_due=st.booleans())
    def schedule(self, channel: str, is_due: bool) -> None:
        self.number += 1
        id = str(self.number)
        self.one.add(id, PAST if is_due else FUTURE, channel)
        self.scheduled[id] = channel

    @precondition(lambda self: self.scheduled.keys() - self.cancelled)
    @rule(data=st.data())
    def schedule_again(self, data: st.DataObject) -> None:
        """The caller did not get the answer."""
        id = data.draw(st.sampled_from(sorted(self.scheduled.keys() - self.cancelled)))
        if self.one.book.is_scheduled(id):
            self.one.add(id, FUTURE, self.scheduled[id])

    @precondition(lambda self: self.scheduled)
    @rule(channel=channels)
    def time_passes(self, channel: str) -> None:
        times = self.one.keys(channel).times
        for name, score in self.one.client.zrange(times, 0, -1, withscores=True):
            if score == FUTURE:
                self.one.client.zadd(times, {name: PAST})

    @precondition(lambda self: self.scheduled.keys() - self.cancelled)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.scheduled.keys() - self.cancelled)))
        answer = self.one.book.cancel(id)
        assert not (answer.taken and id in self.claimed), "taken back while a worker has it"
        assert not answer.late or id in self.claimed, "too late, though no worker has it"
        if answer.taken:
            self.cancelled.add(id)

    # -- workers -----------------------------------------------------------------------------------------

    def _workers(self, *, claims: bool = False, appends: bool = False) -> list[str]:
        """The workers with nothing in their hands; with claimed events; with results."""
        if claims:
            return [name for name, hands in self.hands.items() if hands is None]
        return [name for name, hands in self.hands.items() if hands and bool(hands.outcomes) != appends]

    @precondition(lambda self: self.scheduled and self._workers(claims=True))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._workers(claims=True)))
        channel = data.draw(st.sampled_from(sorted(set(self.scheduled.values()))))
        if found := self.one.claim(worker, channel=channel):
            self.hands[worker] = Hands(found, channel)
            self.claimed |= {event.message_id for event in found}

    @precondition(lambda self: self._workers(appends=True))
    @rule(data=st.data(), is_full=st.booleans())
    def append(self, data: st.DataObject, is_full: bool) -> None:
        """All claimed events; ``is_full``: the lane takes none."""
        hands = self.hands[data.draw(st.sampled_from(self._workers(appends=True)))]
        assert hands is not None
        if is_full:
            hands.outcomes = [(ClaimResult.WAITS, event.name) for event in hands.events]
            return
        items = [event.keyed_item for event in hands.events]
        done = self.one.producer.append(items, on_refusal=OnRefusal.SKIP)
        for index, event in enumerate(hands.events):
            outcome = outcome_of(done.refused.get(index))
            assert outcome is not None
            hands.outcomes.append((outcome, event.name))

    @precondition(lambda self: self._workers())
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._workers()))
        hands = self.hands[worker]
        assert hands is not None
        before = self._content(hands.channel)
        self.one.due.claim(worker, {bucket_of(hands.channel): BucketReport(hands.outcomes, claims=False)})
        if not hands.is_late:
            self.claimed -= {event.message_id for event in hands.events}
        assert not hands.is_late or self._content(hands.channel) == before, "a report under a lost lease counts"
        self.hands[worker] = None

    def _content(self, channel: str) -> Any:
        keys, client = self.one.keys(channel), self.one.client
        return (
            client.zrange(keys.times, 0, -1, withscores=True),
            client.hgetall(keys.items),
            client.smembers(keys.claimed),
        )

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.hands[data.draw(st.sampled_from([name for name, hands in self.hands.items() if hands]))] = None

    @precondition(lambda self: any(self.hands.values()))
    @rule(channel=channels)
    def lease_ends(self, channel: str) -> None:
        """Its holder is slow, frozen or dead. It looks at its own clock before it appends, and leaves off then."""
        self.one.client.delete(self.one.keys(channel).lease)
        for worker, hands in self.hands.items():
            if hands is not None and bucket_of(hands.channel) == bucket_of(channel):
                hands.is_late = True
                if not hands.outcomes:
                    self.hands[worker] = None

    # -- at the end --------------------------------------------------------------------------------------

    def _finish(self) -> None:
        for channel in CHANNELS:
            self.time_passes(channel)
            self.lease_ends(channel)
            found: Any = self.one.claim("last", channel=channel)
            for _ in range(self.number + 1):
                if not found:
                    break
                items = [event.keyed_item for event in found]
                refused = self.one.producer.append(items, on_refusal=OnRefusal.SKIP).refused
                assert not refused, "no key was used for another event"
                stored = [(ClaimResult.STORED, event.name) for event in found]
                found = self.one.claim("last", *stored, channel=channel)
            assert not found, "what is stored is claimed again and again"

    def _check(self) -> None:
        stored = Counter(item.body.decode() for item in read_lane(self.one.client, "app", 0).queue.items)
        assert not [id for id, count in stored.items() if count > 1], "stored twice"
        assert not stored.keys() & self.cancelled, "cancelled, and stored"
        assert stored.keys() == self.scheduled.keys() - self.cancelled, "lost"
        assert self.one.stored_keys() <= {f"cancelled:{id}" for id in self.cancelled}, "something is left"


@pytest.fixture
def machine(redis_url: str) -> type[Machine]:
    return type("Playing", (Machine,), {"url": redis_url})


def play(machine: type[Machine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=30, database=None, deadline=None, phases=[Phase.generate]
        ),
    )


@pytest.mark.parametrize("examples", [20, pytest.param(600, marks=pytest.mark.long)])
def test_no_event_is_lost_or_stored_twice(machine: type[Machine], examples: int) -> None:
    play(machine, examples)


#: A planted bug: the script, its line, and what is there instead.
BUGS = {
    "cancel ignores claims": ("cancel", "if redis.call('SISMEMBER', claimed, name) == 1 then", "if false then"),
    "any worker reports": ("due", "if #ARGV > 5 then return {-1} end", ""),
    "a claim is not recorded": ("due", "redis.call('SADD', claimed, name)", ""),
    "a repeat makes a second event": ("schedule", "local k = channels[ARGV[i]]", "local k = nil"),
    "a stored event stays": ("due", "if outcome == 'stored' then", "if false then"),
    "the record of a stored event stays": (
        "due",
        "if #entries == 0 then redis.call('HDEL', items, id) else",
        "if true then",
    ),
    "claimed events stay marked": ("due", "    redis.call('SREM', claimed, name)\n  end\nend", "  end\nend"),
    "the record of a cancelled event stays": ("cancel", "if #left == 0 then", "if false then"),
}


@pytest.fixture
def plant() -> Iterator[Any]:
    """Change one script, until the test ends."""
    original = scripts._read

    def plant(name: str, line: str, instead: str) -> None:
        def changed(asked: str) -> str:
            text = original(asked)
            if asked == name:
                assert line in text
                return text.replace(line, instead, 1)
            return text

        scripts._read = changed
        scripts.script.cache_clear()

    yield plant
    scripts._read = original
    scripts.script.cache_clear()


@pytest.mark.long
@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(machine: type[Machine], plant: Any, bug: str) -> None:
    plant(*BUGS[bug])
    with pytest.raises(AssertionError):
        play(machine, 600)
