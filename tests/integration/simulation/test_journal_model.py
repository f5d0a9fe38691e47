"""The simulation's journal and the real one, driven side by side: the same answers, and the same things in them.

What Redis holds is read without the journal's code (tests/integration/journal/raw.py). ``SIMULATION_SEEDS=2000`` runs
more, and other, seeds than the quick set that is the same every time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from random import Random

import pytest
import redis

from sockudo_publisher.journal import lease as lease_module
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.dead_letters import DeadBounds
from sockudo_publisher.journal.holder import UNHEARD_RINGS, DeadLetterFields, Holder, Journal, MarkerChanged, Taken
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.lease import LeaseLost
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.link import RedisLink
from tests.integration.journal.raw import Queue as RealQueue
from tests.integration.journal.raw import read_lane
from tests.simulation.face import APP, Face
from tests.simulation.journal import JournalModel
from tests.simulation.lane import ModelBatch, ModelItem
from tests.simulation.lane import Queue as ModelQueue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "0"))
#: Steps of one seed.
STEPS = 80
CHANNELS = ("a", "b", "c")
PAST, FUTURE = 1, 4_000_000_000_000
#: Seconds by which time is pushed: past a sweep's gap, and past what a hold waits at most.
LATER_S = 1000


@dataclass
class Drain:
    """One holder on both sides, and the batch in its hands."""

    channel: str | None
    real: Holder
    model: Holder
    real_batch: Batch | None = None
    model_batch: ModelBatch | None = None


class Pair:
    """Both journals with one lane, and what is done to both."""

    def __init__(self, url: str, client: redis.Redis, seed: int) -> None:
        self.client = client
        client.flushall()
        self.random = Random(seed)
        on_expired = self.random.choice(["drop", "dead"])
        most_letters = self.random.choice([0, 0, 1, 3])
        self.real = Journal(url, APP, lanes=1, on_expired=on_expired, dead=DeadBounds(letters=most_letters))
        self.producer = Producer(url, APP, lanes=1, max_backlog=0, key_ttl_ms=1000)
        self.ahead_s = 0.0
        self.last_s = 0.0
        self.model = JournalModel(self.now_s, 1, on_expired, most_letters)
        self.face = Face(self.model)
        self.drains: list[Drain] = []
        self.number = 0
        self.clocks: dict[int, int] = {}  # the model's start of a first attempt -> Redis'
        self.steps: list[str] = []

    def close(self) -> None:
        for link in (self.real.link, self.producer._link):
            while link._free:
                link._free.pop().disconnect()

    def now_s(self) -> float:
        """Redis' time, never the same twice, so that no two first attempts look alike."""
        seconds, micros = self.client.time()
        self.last_s = max(self.last_s + 0.001, seconds + micros / 1e6 + self.ahead_s)
        return self.last_s

    # -- one step ---------------------------------------------------------------------------------------

    def step(self) -> None:
        random = self.random
        if self.drains and random.random() < 0.75:
            drain = random.choice(self.drains)
            what = random.choice(
                [
                    *["take"] * 3,
                    *["settle"] * 5,
                    *["some"] * 4,
                    "alone",
                    "hold",
                    "hold",
                    "bury",
                    "count",
                    "unmark",
                    "release",
                    "hand over",
                    "due",
                    "renew",
                    "run out",
                ]
            )
            self.steps.append(f"{what} {drain.channel or 'lane'}")
            self.act(drain, what)
        else:
            what = random.choice(
                [*[self.append] * 4, *[self.acquire] * 5, self.sweep, self.sweep, self.later, self.pause, self.shared]
            )
            self.steps.append(what.__name__)
            what()

    def append(self) -> None:
        items = []
        for _ in range(self.random.randint(1, 6)):
            self.number += 1
            body = b"%04d" % self.number + b"x" * self.random.choice([1, 5, 20])
            expires_ms = self.random.choice([0, 0, 0, 0, PAST, FUTURE])
            collapse = self.random.choice(["", "", "k", "l"])
            items.append(ModelItem(self.random.choice(CHANNELS), body, expires_ms, self.number, collapse))
        packs = [items] if self.random.random() < 0.7 else [[one] for one in items]
        on_refusal = self.random.choice(list(OnRefusal))
        self.producer._max_backlog = most = self.random.choice([0, 0, 0, 8])
        for one in packs:
            given = [Item(item.channel, item.body, item.expires_ms, item.collapse) for item in one]
            appended = self.producer.append(given, on_refusal=on_refusal)
            fitting = self.model.fitting(0, one, most, skips=on_refusal is OnRefusal.SKIP)
            assert sorted(appended.refused) == list(range(len(fitting), len(one)))
            assert bool(appended.ring) == bool(fitting and self.model.append(0, fitting))

    def acquire(self) -> None:
        channel = self.random.choice([None, None, *CHANNELS])
        real, model = self.real.acquire(0, channel), self.face.acquire(0, channel)
        assert (real is None) == (model is None)
        if real is not None and model is not None:
            assert real.held == model.held
            self.real.forget(real)  # no keeper renews it behind our back
            self.drains.append(Drain(channel, real, model))

    def sweep(self) -> None:
        is_counted = self.random.random() < 0.7
        ring, due = self.real.sweep([0], is_counted=is_counted)
        assert (bool(ring), [channel for _, channel in due]) == self.model.sweep(0, is_counted=is_counted)
        assert bool(self.real.unheard_lanes([0])) == (self.model.lanes[0].queue.unanswered >= UNHEARD_RINGS)
        assert self.real.has_waiting_lane([0]) == self.face.has_waiting_lane([0])

    def later(self) -> None:
        """Time passes for whatever is written down as a moment, except leases."""
        ms, keys = LATER_S * 1000, lane_keys(APP, 0)
        for channel, due in self.client.zrange(keys.holds, 0, -1, withscores=True):
            self.client.zadd(keys.holds, {channel: due - ms})
        for key, name in ((keys.state, "rung"), (AppKeys.of(APP).pause, "until"), (AppKeys.of(APP).pause, "since")):
            if self.client.hexists(key, name):
                self.client.hincrby(key, name, -ms)
        self.ahead_s += LATER_S
        place = self.model.lanes[0]
        place.queue.leased_until_ms += ms
        place.leases = {name: (token, until + ms) for name, (token, until) in place.leases.items()}
        self.model.probe_until_ms += ms

    def pause(self) -> None:
        reason, wait_s = self.random.choice(["unknown", "busy"]), self.random.choice([1.0, 5.0])
        assert self.real.shared.pause(reason, wait_s, "words") == self.face.pause(reason, wait_s, "words")
        real, model = self.real.shared.view().pause, self.face.view().pause
        assert real is not None
        assert model is not None
        # The model's clock is pushed, and may be a few milliseconds away.
        assert real.until_ms == pytest.approx(model.until_ms - self.ahead_s * 1000, abs=1500)

    def shared(self) -> None:
        match self.random.choice(["probe", "probe", "end", "resume", "learn"]):
            case "probe":
                token = self.random.choice("xy")
                assert self.real.shared.try_probe(token) == self.face.try_probe(token)
            case "end":
                token = self.random.choice("xy")
                self.real.shared.end_probe(token)
                self.face.end_probe(token)
            case "resume":
                token = self.random.choice(["x", "y", ""])
                count = self.random.choice([1, 1, 2, 3])
                assert self.real.shared.resume(token, count) == self.face.resume(token, count)
            case "learn":
                limits = Limits(self.random.choice([None, 3, 9]), self.random.choice([None, 100, 1000]))
                self.real.shared.learn(limits)
                self.face.learn(limits)

    # -- what a holder does -----------------------------------------------------------------------------

    def act(self, drain: Drain, what: str) -> None:
        # Between the two the journal counts a pack whose first items have left as if they had not: no harm.
        limits = {
            "max_items": self.random.choice([1, 2, 5, 100]),
            "max_bytes": self.random.choice([1, 10_000]),
        }
        real_batch, model_batch = drain.real_batch, drain.model_batch
        match what:
            case "run out":
                self.client.delete(drain.real.keys.lease)
                self.model.lease(0, drain.channel, "")
            case "take":
                self.take(drain, limits)
            case "renew":
                self.both(drain, drain.real.lease.renew, drain.model.lease.renew)
            case "release" | "hand over":
                self.release(drain, hand_over=what == "hand over")
            case "due" if drain.channel is not None:
                wait_s = self.random.choice([0.0, 500.0])
                self.both(
                    drain,
                    lambda: self.real.retry_hold_in(drain.real, wait_s),
                    lambda: self.face.retry_hold_in(drain.model, wait_s),
                )
            case _ if real_batch is None or model_batch is None:
                return
            case "settle" | "some" | "alone":
                count = real_batch.count if what == "settle" else self.random.randint(1, real_batch.count)
                real_batch, model_batch = real_batch.head(count), model_batch.head(count)
                late = self.random.random() < 0.3
                drain.real_batch = drain.model_batch = None
                if what == "alone":
                    done = self.both(
                        drain,
                        lambda: self.real.settle(drain.real, real_batch, late=late),
                        lambda: self.face.settle(drain.model, model_batch, late=late),
                    )
                    if done:
                        self.take(drain, limits)
                    return
                self.taken(
                    drain,
                    lambda: self.real.settle_and_take(drain.real, real_batch, late=late, **limits),
                    lambda: self.face.settle_and_take(drain.model, model_batch, late=late, **limits),
                )
            case "hold" | "bury" | "count" | "unmark":
                if what == "hold" and drain.channel is not None:
                    return
                drain.real_batch = drain.model_batch = None
                real, model = self._leaving(what)
                if self.both(drain, lambda: real(drain.real, real_batch), lambda: model(drain.model, model_batch)):
                    self.take(drain, limits)

    def _leaving(self, what: str) -> tuple[Callable[..., None], Callable[..., None]]:
        letter = DeadLetterFields("refused", "words", 2, 5, True)
        wait_s = self.random.choice([0.0, 500.0])
        sides = []
        for side in (self.real, self.face):
            if what == "hold":
                sides.append(lambda holder, batch, side=side: side.hold(holder, batch, retry_in_s=wait_s))
            elif what == "unmark":
                sides.append(side.unmark)
            else:
                sides.append(lambda holder, batch, side=side: side.bury(holder, batch, letter, keep=what == "bury"))
        return sides[0], sides[1]

    def take(self, drain: Drain, limits: dict[str, int]) -> None:
        drain.real_batch = drain.model_batch = None
        self.taken(
            drain,
            lambda: self.real.take(drain.real, **limits),
            lambda: self.face.take(drain.model, **limits),
        )

    def taken(self, drain: Drain, real: Callable[[], Taken], model: Callable[[], Taken]) -> None:
        answers: list[Taken] = []
        if not self.both(drain, lambda: answers.append(real()), lambda: answers.append(model())):
            return
        real_taken, model_taken = answers
        real_batch, model_batch = real_taken.batch, model_taken.batch
        assert (real_batch is None) == (model_batch is None)
        real_pause, model_pause = real_taken.shared.pause, model_taken.shared.pause
        assert (real_pause and (real_pause.reason, real_pause.count)) == (
            model_pause and (model_pause.reason, model_pause.count)
        )
        assert real_taken.shared.limits == model_taken.shared.limits
        if real_batch is None or model_batch is None:
            return
        assert [item.body for item in real_batch.items()] == [item.body for item in model_batch.items()]
        assert (real_batch.resent, real_batch.depth) == (model_batch.resent, model_batch.depth)
        assert self.clocks.setdefault(model_batch.first_ms, real_batch.first_ms) == real_batch.first_ms
        drain.real_batch, drain.model_batch = real_batch, model_batch  # type: ignore[assignment]

    def release(self, drain: Drain, *, hand_over: bool) -> None:
        drain.real_batch = drain.model_batch = None
        kept: list[bool | None] = []
        if hand_over:
            self.both(drain, lambda: self.real.hand_over(drain.real), lambda: self.face.hand_over(drain.model))
        else:
            if not self.both(
                drain,
                lambda: kept.append(self.real.release(drain.real)),
                lambda: kept.append(self.face.release(drain.model)),
            ):
                return
            assert kept[0] == kept[1]
            if kept[0] is False:
                return
        if drain in self.drains:
            self.drains.remove(drain)

    def both(self, drain: Drain, real: Callable[[], object], model: Callable[[], object]) -> bool:
        """The same on both sides, errors included; a holder that learns of its loss is gone."""
        errors: list[type[Exception] | None] = []
        for call in (real, model):
            try:
                call()
                errors.append(None)
            except (LeaseLost, MarkerChanged) as error:
                errors.append(type(error))
        assert errors[0] == errors[1]
        if errors[0] is LeaseLost and self.random.random() < 0.5:
            self.drains.remove(drain)
        return errors[0] is None

    # -- what is in them --------------------------------------------------------------------------------

    def compare(self) -> None:
        real, model = read_lane(self.client, APP, 0), self.model.lanes[0]
        assert set(real.holds) == set(model.held) == set(model.due_ms)
        self.compare_queue(real.queue, model.queue, self.model.holder_of(0, None))
        for channel, queue in real.holds.items():
            self.compare_queue(queue, model.held[channel], self.model.holder_of(0, channel))
        assert [body for _, body in real.dead] == [item.body for item, _ in model.letters]
        assert {name: count for name, count in real.counts.items() if count} == model.counts
        fields = {f"{len(channel)}:{channel}{key}".encode() for channel, key in model.latest}
        assert set(self.client.hkeys(lane_keys(APP, 0).latest)) == fields
        assert real.armed == model.queue.is_armed
        unanswered, unheard = self.client.hmget(lane_keys(APP, 0).state, "unanswered", "unheard")
        assert int(unanswered or 0) == model.queue.unanswered
        assert (unheard is not None) == (model.queue.unheard_ms > 0)

    def compare_queue(self, real: RealQueue, model: ModelQueue, token: str) -> None:
        assert [item.body for item in real.items] == [entry.item.body for entry in model.entries]
        assert real.depth == model.depth
        end = model.marker.end if model.marker else -1
        assert real.marked == [entry.item.body for entry in model.entries if entry.position <= end]
        for one, entry in zip(real.items, model.entries, strict=True):
            assert (one.clock and int(one.clock)) == (entry.clock and self.clocks[entry.clock])
        assert (real.lease is None) == (not token)
        assert real.lease is None or real.lease.partition("-")[0] == token.partition("-")[0], "fences"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def model_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keepers' threads do nothing here: a lease runs out when a step ends it."""
    monkeypatch.setattr(lease_module.LeaseKeeper, "add", lambda self, lease: None)


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.long) for first in range(10, SEEDS or 40, 10))]
)
@pytest.mark.usefixtures("model_leases")
def test_model_of_the_journal_does_what_the_journal_does(redis_url: str, client: redis.Redis, first: int) -> None:
    """Random steps of producers, holders and zombies: same answers, same state after every step."""
    for seed in range(first, first + 10):
        with closing(Pair(redis_url, client, seed + (1000 if SEEDS else 0))) as pair:
            try:
                for _ in range(STEPS):
                    pair.step()
                    pair.compare()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}\n{pair.steps}") from error


def test_model_of_the_rate_does_what_the_bucket_does(redis_url: str, client: redis.Redis) -> None:
    """Tokens are granted alike, and the wait for more is the same except for the time between two calls."""
    from sockudo_publisher.journal.app.rate import Rate

    start_s = sum(part / unit for part, unit in zip(client.time(), (1, 1e6), strict=True))
    link = RedisLink(redis_url, timeout_s=4.0)
    rate, model = Rate(link, APP, 5.0), JournalModel(lambda: 0.0)
    try:
        for wanted in (1, 3, 4, 2):
            grant = rate.take(wanted)
            now_s = sum(part / unit for part, unit in zip(client.time(), (1, 1e6), strict=True)) - start_s
            model.now_s = lambda now_s=now_s: now_s
            told = model.take_tokens(5.0, wanted)
            assert grant.tokens == told.tokens
            assert grant.wait_s == pytest.approx(told.wait_s, abs=0.1)
    finally:
        while link._free:
            link._free.pop().disconnect()
