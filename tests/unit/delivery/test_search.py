"""The decisions in a loop against the server model: each event once, culprits alone, few requests.

The queue here is the journal's in memory: a mark over what was taken, which may shrink and never grow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from sockudo_publisher.delivery.decide import (
    STUCK_WAIT_S,
    Attempt,
    Bury,
    Hold,
    Learn,
    Pause,
    Progress,
    RetryHold,
    Settle,
    Step,
    TryAgain,
    decide,
)
from sockudo_publisher.delivery.outcome import Outcome, classify
from tests.unit.delivery import model
from tests.unit.delivery.model import (
    AnswerLost,
    Answers,
    Cut,
    Fault,
    NotSent,
    RequestLost,
    ServerModel,
    body_of,
    item,
)

pytestmark = pytest.mark.unit

#: Requests after which a loop that does not end is given up.
MAX_REQUESTS = 5000


@dataclass(frozen=True)
class Item:
    id: str
    channel: str

    @property
    def body(self) -> bytes:
        return item(self.id, self.channel)


@dataclass
class Queue:
    """A lane or a held channel: items, how many of them are marked, since when."""

    items: list[Item]
    channel: str | None = None
    marked: int = 0
    first: float = 0.0


@dataclass
class Loop:
    """`drain.py`'s loop without Redis: take, post, classify, decide, do. The clock is the model's."""

    server: ServerModel
    lane: Queue
    clock: list[float]
    batch_max: int = 500
    #: Requests after which this process dies, before its answer is acted on.
    deaths: set[int] = field(default_factory=set)
    limit: int = 10**9
    bytes_limit: int = 10**9
    holds: dict[str, Queue] = field(default_factory=dict)
    buried: list[tuple[str, str]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    steps: list[tuple[Outcome, int, Step]] = field(default_factory=list)
    requests: int = 0

    def run(self) -> None:
        """Until everything has left."""
        self.drain(self.lane)
        while self.holds:
            for channel in list(self.holds):
                self.drain(self.holds[channel])
                if not self.holds[channel].items:
                    del self.holds[channel]

    def drain(self, queue: Queue) -> None:
        start = Progress(max_items=1 if queue.channel else None)
        progress = start
        while batch := self.take(queue, progress.max_items):
            self.requests += 1
            assert self.requests < MAX_REQUESTS, "no end in sight"
            resent = queue.marked > 0
            if not resent:
                queue.marked, queue.first = len(batch), self.clock[0]
            body = body_of([one.body for one in batch])
            result = self.server.post(body)
            if self.requests in self.deaths:
                progress = start  # a successor knows the mark, nothing else
                continue
            finding = classify(result, len(batch))
            age_s = self.clock[0] - queue.first
            step, progress = decide(
                finding, Attempt(len(batch), len(body), resent, queue.channel is not None, age_s), progress
            )
            self.steps.append((finding.outcome, len(batch), step))
            if self.do(queue, batch, step, finding.outcome):
                return

    def take(self, queue: Queue, most: int | None) -> list[Item]:
        """The marked prefix, cut, else new items; items of a held channel move to its queue."""
        if queue.channel is None:
            for number, one in reversed(list(enumerate(queue.items))):
                hold = self.holds.get(one.channel)
                if hold is not None:
                    hold.items.insert(1, queue.items.pop(number))
                    if number < queue.marked:
                        queue.marked -= 1
                        hold.marked += hold.marked == len(hold.items) - 1  # its attempts count too
        bound = min(most or self.batch_max, self.batch_max, self.limit, queue.marked or 10**9)
        batch: list[Item] = []
        size = 0
        for one in queue.items[:bound]:
            size += len(one.body) + 1
            if batch and size > self.bytes_limit:
                break
            batch.append(one)
        return batch

    def do(self, queue: Queue, batch: list[Item], step: Step, outcome: Outcome) -> bool:
        """Act; whether the run of this queue is over."""
        count = len(batch)
        match step:
            case Settle():
                self.leave(queue, count)
            case TryAgain(wait_s):
                self.clock[0] += wait_s
            case Hold():
                assert outcome is Outcome.STUCK
                assert count == 1
                self.held.append(batch[0].id)
                self.leave(queue, 1)
                self.holds[batch[0].channel] = Queue([batch[0]], batch[0].channel, marked=1, first=queue.first)
            case RetryHold(wait_s):
                self.clock[0] += wait_s
                return True
            case Bury(reason):
                assert outcome in {Outcome.REFUSED, Outcome.CONFLICT, Outcome.TOO_LARGE}
                assert count == 1
                self.buried.append((batch[0].id, reason))
                self.leave(queue, 1)
            case Learn(events, size, unmark):
                self.limit = min(self.limit, events or self.limit)
                self.bytes_limit = min(self.bytes_limit, size or self.bytes_limit)
                self.unmark(queue, unmark)
            case Pause(wait_s=wait_s, unmark=unmark):
                self.clock[0] += wait_s
                self.unmark(queue, unmark)
        return False

    def leave(self, queue: Queue, count: int) -> None:
        del queue.items[:count]
        queue.marked = max(0, queue.marked - count)

    def unmark(self, queue: Queue, unmark: bool) -> None:
        if unmark:
            queue.marked = 0


def loop_of(items: list[Item], **server: object) -> Loop:
    clock = [1000.0]

    def pass_time(seconds: float) -> None:
        clock[0] += seconds

    return Loop(ServerModel(lambda: clock[0], pass_time, **server), Queue(list(items)), clock)  # type: ignore[arg-type]


def numbered(count: int, channels: int = 1) -> list[Item]:
    return [Item(f"i{n}", f"c{n % channels}") for n in range(count)]


def log2(count: int) -> int:
    return math.ceil(math.log2(max(2, count)))


FAULTS: st.SearchStrategy[Fault | None] = st.one_of(
    st.none(),
    st.just(NotSent()),
    st.just(AnswerLost()),
    st.just(RequestLost()),
    st.integers(0, 60).map(Cut),
    st.sampled_from([model.DRAINING, model.BAD_SIGNATURE, model.UNKNOWN_APP]).map(Answers),
    st.sampled_from([500, 502, 503, 504, 429, 400, 404]).map(
        lambda status: Answers(model.Reply(status, b"<html>x</html>", model.HTML))
    ),
    st.just(Answers(model.Reply(200, b'{"batch":[', model.JSON))),
)


@st.composite
def situations(draw: st.DrawFn) -> Loop:
    """Some items on some channels, some of them culprits, a server with limits, and a bad day."""
    items = numbered(draw(st.integers(1, 70)), draw(st.integers(1, 5)))
    ids = [one.id for one in items]
    some = st.sets(st.sampled_from(ids), max_size=4)
    loop = loop_of(
        items,
        poison=draw(some),
        foreign=draw(some),
        oversized=draw(some),
        max_items=draw(st.none() | st.integers(1, 80)),
        max_bytes=draw(st.none() | st.integers(200, 6000)),
        dies_above=draw(st.none() | st.none() | st.integers(1, 70)),
        faults=draw(st.lists(FAULTS, max_size=8)),
    )
    loop.batch_max = draw(st.integers(1, 80))
    loop.deaths = draw(st.sets(st.integers(1, 40), max_size=3))
    by_id = {one.id: one for one in items}
    for stuck in draw(st.sets(st.sampled_from(ids), max_size=3)):
        loop.server.claim(stuck, by_id[stuck].channel)
    return loop


@given(situations())
def test_events_are_accepted_and_culprits_buried_once_in_order(loop: Loop) -> None:
    """Whatever the culprits, limits, lost answers, cuts and deaths: nothing lost, nothing twice, order kept."""
    items = list(loop.lane.items)
    server = loop.server
    loop.run()
    event(f"holds: {len(loop.held)}")

    bad = server.poison | server.foreign | server.oversized
    buried = [one for one, _ in loop.buried]
    assert sorted(buried) == sorted(bad)
    for one, reason in loop.buried:
        assert reason == ("conflict" if one not in server.poison | server.oversized else "refused")
    assert server.repeated() == {}
    for channel in {one.channel for one in items}:
        assert server.seen(channel) == [one.id for one in items if one.channel == channel and one.id not in bad]
    assert len(loop.held) == len(set(loop.held))
    for outcome, _, step in loop.steps:
        if outcome in {Outcome.UNKNOWN, Outcome.BUSY, Outcome.NOT_SENT, Outcome.MISCONFIGURED}:
            assert isinstance(step, Pause), "trouble of the server is never an item's"


@given(situations())
def test_resent_prefix_is_never_extended(loop: Loop) -> None:
    """Until a marked prefix is settled, no request carries an item behind it: it may be half delivered."""
    posts: list[list[str]] = []
    ends: list[int] = []
    order = {one.id: n for n, one in enumerate(loop.lane.items)}
    post = loop.server.post

    def watched(body: bytes) -> model.Reply | model.NoReply:
        ids = [one["message_id"] for one in json.loads(body)["batch"]]
        if loop.lane.marked and ids[0] == loop.lane.items[0].id:
            posts.append(ids)
            ends.append(order[loop.lane.items[loop.lane.marked - 1].id])
        return post(body)

    loop.server.post = watched  # type: ignore[method-assign]
    loop.drain(loop.lane)
    assert posts
    for ids, end in zip(posts, ends, strict=True):
        assert all(order[one] <= end for one in ids)
        assert [order[one] for one in ids] == sorted(order[one] for one in ids)


@given(st.integers(1, 500), st.data())
def test_culprits_cost_a_logarithm_of_requests_each(count: int, data: st.DataObject) -> None:
    """About log2(n) a culprit, and one for what follows it."""
    ids = [f"i{n}" for n in range(count)]
    culprits = data.draw(st.lists(st.sampled_from(ids), unique=True, max_size=6))
    kinds = data.draw(st.lists(st.sampled_from(["poison", "foreign", "stuck"]), min_size=6, max_size=6))
    # Each its channel, so that a stuck one hides no other.
    items = [replace(one, channel=f"c-{one.id}" if one.id in culprits else "c") for one in numbered(count)]
    loop = loop_of(items)
    for culprit, kind in zip(culprits, kinds, strict=False):
        if kind == "stuck":
            loop.server.claim(culprit, f"c-{culprit}")
        else:
            getattr(loop.server, kind).add(culprit)
    loop.drain(loop.lane)
    # Before a culprit's search: the question that found it, and for a stuck one the question after the wait.
    assert loop.requests <= 1 + len(culprits) * (2 * log2(count) + 3)
    assert len(loop.held) + len(loop.buried) == len(culprits)


@pytest.mark.parametrize("position", [0, 1, 250, 498, 499])
def test_one_culprit_of_500_takes_at_most_eleven_requests(position: int) -> None:
    """The first question, nine halvings, and the rest at once."""
    loop = loop_of(numbered(500), poison={f"i{position}"})
    loop.run()
    searched = [number for number, (outcome, _, _) in enumerate(loop.steps) if outcome is not Outcome.ACCEPTED]
    assert loop.requests <= 1 + 2 * 9 + 1
    assert searched[-1] <= 10
    assert loop.buried == [(f"i{position}", "refused")]
    assert len(loop.server.delivered) == 499


@pytest.mark.parametrize("resent", [False, True], ids=["first send", "after a cut"])
def test_stuck_item_is_waited_for_once_then_found(resent: bool) -> None:
    """2 s before the search, none in it; the whole search ends long before the server forgets."""
    loop = loop_of(numbered(500, 10))
    if resent:
        loop.server.faults.append(Cut(300))
    else:
        loop.server.claim("i300", "c0")
    started = loop.clock[0]
    loop.drain(loop.lane)
    waits = [step.wait_s for outcome, _, step in loop.steps if outcome is Outcome.STUCK and isinstance(step, TryAgain)]
    assert waits[0] == STUCK_WAIT_S
    assert set(waits[1:]) == {0.0}
    assert loop.held == ["i300"]
    assert loop.clock[0] - started < 20
    assert [one.id for one in loop.holds["c0"].items] == [f"i{n}" for n in range(300, 500, 10)]
    loop.run()
    assert loop.server.repeated() == {}
    assert len(loop.server.delivered) == 500


def test_resending_until_accepted_would_repeat_the_prefix() -> None:
    """The model has the fault that the search is for: a whole prefix comes twice when the claim ends."""
    loop = loop_of(numbered(100))
    body = body_of([one.body for one in loop.lane.items])
    loop.server.faults.append(Cut(60))
    result = loop.server.post(body)
    while classify(result, 100).outcome is not Outcome.ACCEPTED:
        loop.clock[0] += 1
        result = loop.server.post(body)
    assert len(loop.server.repeated()) == 60


def test_second_stuck_item_in_a_held_queue_is_searched_for() -> None:
    """A cut while a held channel catches up must not lead to resending its prefix until the claim ends."""
    loop = loop_of(numbered(100))
    loop.server.claim("i0", "c0")
    loop.drain(loop.lane)
    assert loop.held == ["i0"]
    loop.server.release("i0", "c0")
    loop.server.faults += [None, Cut(50)]  # the freed item alone, then the 99 behind it, cut
    loop.run()
    assert loop.server.repeated() == {}
    assert loop.server.seen("c0") == [f"i{n}" for n in range(100)]


def test_culprits_of_every_kind_in_one_batch() -> None:
    """Searches run one after the other; a stuck item in the search for a poison item holds its own channel."""
    items = numbered(200, 20)
    loop = loop_of(items, poison={"i50"}, foreign={"i51"}, oversized={"i121"})
    loop.server.claim("i20", "c0")
    loop.server.claim("i75", "c15")
    loop.drain(loop.lane)
    assert loop.held == ["i20", "i75"]
    assert loop.buried == [("i50", "refused"), ("i51", "conflict"), ("i121", "refused")]
    loop.run()
    assert loop.server.repeated() == {}
    assert len(loop.server.delivered) == 197


@pytest.mark.parametrize(
    ("is_bad", "most_requests"),
    [
        pytest.param(lambda n: True, 400 + 9, id="all of them: one request each"),
        pytest.param(lambda n: n % 2 == 1, 3 * 200 + 10, id="every second"),
        pytest.param(lambda n: n % 2 == 0, 3 * 200 + 10, id="every second, the first too"),
        pytest.param(lambda n: n % 4 < 2, 5 * 100 + 10, id="two and two"),
        pytest.param(lambda n: n >= 200, 200 + 2 * 10, id="the second half"),
        pytest.param(lambda n: n < 200, 200 + 2 * 10, id="the first half"),
    ],
)
@pytest.mark.parametrize("in_hold", [False, True], ids=["lane", "held queue"])
def test_many_refused_events_cost_a_request_each(
    is_bad: Callable[[int], bool], most_requests: int, in_hold: bool
) -> None:
    """Neighbours arrive in order; no culprit pays for the size of a batch."""
    items = numbered(400)
    loop = loop_of(items, poison={one.id for n, one in enumerate(items) if is_bad(n)})
    loop.lane.channel = "c0" if in_hold else None
    loop.drain(loop.lane)
    assert [one for one, _ in loop.buried] == [one.id for n, one in enumerate(items) if is_bad(n)]
    assert loop.server.seen("c0") == [one.id for n, one in enumerate(items) if not is_bad(n)]
    assert loop.requests <= most_requests


def test_batches_are_full_again_after_a_culprit() -> None:
    """Doubling: a lone culprit slows the queue for nine requests."""
    loop = loop_of(numbered(5000), poison={"i700"})
    loop.run()
    sizes = [count for outcome, count, _ in loop.steps if outcome is Outcome.ACCEPTED]
    assert sizes[-6:-1] == [500] * 5
    assert loop.requests <= 5000 / 500 + 9 + 1 + 9 + 2


@given(
    st.lists(st.sampled_from(["good"] * 6 + ["poison", "foreign", "oversized", "stuck"]), min_size=1, max_size=400),
    st.sampled_from([1, 7, 60, 500]),
)
def test_requests_are_bounded_for_any_pattern(kinds: list[str], batch_max: int) -> None:
    """Per culprit the doubling up to it and the search in the last batch; none for its neighbours' number."""
    items = [Item(f"i{n}", f"stuck-{n}" if kind == "stuck" else f"c{n % 3}") for n, kind in enumerate(kinds)]
    loop = loop_of(items)
    loop.batch_max = batch_max
    for one, kind in zip(items, kinds, strict=True):
        if kind == "stuck":
            loop.server.claim(one.id, one.channel)
        elif kind != "good":
            getattr(loop.server, kind).add(one.id)
    loop.drain(loop.lane)

    gaps = [len(run) for run in "".join(" " if kind == "good" else "x" for kind in kinds).split("x")]
    bound = 2 + 2 * log2(min(batch_max, len(items)))  # the first batch is as large as may be; the last grows
    bound += sum(gap // batch_max + 1 for gap in gaps if gap)
    bound += sum(1 + (2 * log2(min(batch_max, gap) + 2) if gap else 0) for gap in gaps[:-1])
    bound += kinds.count("stuck")  # the earlier request may be running: asked once more after the wait
    assert loop.requests <= bound
    assert loop.held == [one.id for one, kind in zip(items, kinds, strict=True) if kind == "stuck"]
    assert [one for one, _ in loop.buried] == [
        one.id for one, kind in zip(items, kinds, strict=True) if kind not in {"good", "stuck"}
    ]
    assert loop.server.repeated() == {}
    for channel in ("c0", "c1", "c2"):
        good = [one.id for one, kind in zip(items, kinds, strict=True) if kind == "good" and one.channel == channel]
        assert loop.server.seen(channel) == good


def test_server_that_dies_of_large_requests_gets_small_ones() -> None:
    """Unknown after unknown: smaller prefixes, no hold, no dead letter."""
    loop = loop_of(numbered(300), dies_above=10)
    loop.run()
    assert (loop.held, loop.buried) == ([], [])
    assert [one for _, one in loop.server.delivered] == [f"i{n}" for n in range(300)]


def test_learned_limit_needs_one_refusal() -> None:
    """A named limit is obeyed at once, an unnamed one is found by halving."""
    loop = loop_of(numbered(400), max_items=50)
    loop.run()
    assert [count for _, count, _ in loop.steps] == [400] + [50] * 8

    loop = loop_of(numbered(400), max_bytes=5000)
    loop.run()
    assert sum(outcome is Outcome.TOO_LARGE for outcome, _, _ in loop.steps) <= 4
    assert len(loop.server.delivered) == 400
