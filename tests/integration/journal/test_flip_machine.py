"""Changes of the number of lanes in any order with producers, holders, deaths and holds, against a plain model.

At each take the model is asked whether every item is the next of its channel: two requests of one channel at the same
time, or a later event before an earlier one, would show there. `JOURNAL_EXAMPLES=2000` runs more, and other, examples.
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.holder import Holder, Journal
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.layout import layout as layout_module
from sockudo_publisher.journal.layout.layout import LayoutRecord
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.producer import Producer

pytestmark = pytest.mark.integration

APP = "app"
CHANNELS = [f"c{n}" for n in range(7)]

examples = int(os.environ.get("JOURNAL_EXAMPLES", "0"))
PROFILE = settings(
    stateful_step_count=60,
    derandomize=not examples,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
    print_blob=True,
)

channels = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=6)
workers = st.integers(0, 1)


@dataclass(eq=False)
class Run:
    """A drain between two steps."""

    journal: Journal
    holder: Holder
    batch: Batch | None = None


class FlipMachine(RuleBasedStateMachine):
    def __init__(self, client: redis.Redis, url: str) -> None:
        super().__init__()
        self.client = client
        client.flushall()
        self.producers = [Producer(url, APP, lanes=2, max_backlog=0, key_ttl_ms=600_000) for _ in range(2)]
        self.journals = [Journal(url, APP, lanes=2) for _ in range(2)]
        self.record = LayoutRecord(self.journals[0].link, APP, 2)
        self.numbers = itertools.count()
        self.order: dict[str, list[bytes]] = defaultdict(list)
        self.settled: dict[str, list[bytes]] = defaultdict(list)
        self.keys: dict[tuple[str, str], bytes] = {}
        self.runs: list[Run] = []

    # -- producers, whose idea of the lanes is as old as the example ------------------------------------

    @rule(given=channels, who=workers)
    def append(self, given, who) -> None:
        items = [Item(channel, b"%06d" % next(self.numbers)) for channel in given]
        for item in items:
            self.order[item.channel].append(item.body)
        appended = self.producers[who].append(items)
        assert appended.failure is None
        assert appended.count == len(given)

    @rule(given=channels, who=workers, key=st.sampled_from("kl"), on_refusal=st.sampled_from(OnRefusal))
    def append_once(self, given, who, key, on_refusal) -> None:
        """The same keys again and again: stored once, whatever the layout was then."""
        items = [KeyedItem(Item(channel, b"%06d" % next(self.numbers)), key, "f") for channel in given]
        known = []
        for index, one in enumerate(items):
            if (one.channel, key) in self.keys:
                known.append(index)
                continue
            self.keys[one.channel, key] = one.item.body
            self.order[one.channel].append(one.item.body)
        appended = self.producers[who].append(items, on_refusal=on_refusal)
        assert appended.failure is None
        assert (appended.count, sorted(appended.already_stored)) == (len(given) - len(known), known)

    # -- changes ----------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def ask(self, count) -> None:
        self.record.ask_for(count)

    @rule(data=st.data())
    def close_some_and_die(self, data) -> None:
        """Who closes lanes is killed in the middle."""
        layout = self.record.read()
        if layout.phase is layout_module.Phase.CLOSING:
            for lane in data.draw(st.lists(st.sampled_from(list(layout.retired[-1].span.lanes)))):
                self.journals[0].link.script("mark", (lane_keys(APP, lane).state,), ("closed",))

    @rule(who=workers)
    def sweep(self, who) -> None:
        self.journals[who].advance_layout()

    # -- holders ----------------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        who=workers,
        most=st.integers(1, 20),
        what=st.sampled_from(["settle", "settle", "settle", "one", "hold", "crash", "keep"]),
    )
    def work(self, data, who, most, what) -> None:
        """A worker drains a queue that exists, open or not."""
        run = self.run(who, *data.draw(st.sampled_from(self.places())))
        if run is None:
            return
        if run.batch is None:
            self.take(run, most)
        if what == "crash" and run in self.runs:
            self.end(run)
        elif run.batch is not None and what != "keep":
            self.finish(run, what)

    def places(self) -> list[tuple[int, str | None]]:
        found: list[tuple[int, str | None]] = []
        for lane in self.record.read().lanes:
            found.append((lane, None))
            found += [(lane, name.decode()) for name in self.client.zrange(lane_keys(APP, lane).holds, 0, -1)]
        return found

    def run(self, who: int, lane: int, channel: str | None) -> Run | None:
        for run in self.runs:
            if (run.holder.keys.lane, run.holder.channel) == (lane, channel):
                return run
        holder = self.journals[who].acquire(lane, channel)
        if holder is None:
            return None
        self.runs.append(Run(self.journals[who], holder))
        return self.runs[-1]

    def take(self, run: Run, most: int) -> None:
        run.batch = run.journal.take(run.holder, max_items=most, max_bytes=10**6).batch
        if run.batch is None:
            if run.holder.channel is not None or run.journal.release(run.holder):
                self.end(run)
            return
        upcoming = {channel: iter(self.order[channel][len(self.settled[channel]) :]) for channel in CHANNELS}
        for item in run.batch.items():
            assert next(upcoming[item.channel]) == item.body, "each item is the next of its channel"
        in_hand = [{item.channel for item in one.batch.items()} for one in self.runs if one.batch]
        assert len(set().union(*in_hand)) == sum(map(len, in_hand)), "one request in flight a channel"

    def finish(self, run: Run, what: str) -> None:
        batch = run.batch
        assert batch is not None
        run.batch = None
        if what == "hold" and run.holder.channel is None:
            run.journal.hold(run.holder, batch, retry_in_s=0.0)
            return
        done = batch.head(1) if what == "one" else batch
        run.journal.settle(run.holder, done)
        for item in done.items():
            self.settled[item.channel].append(item.body)

    def end(self, run: Run) -> None:
        """It is gone, and so is its lease, if it did not give it back: time passes."""
        run.journal.forget(run.holder)
        self.runs.remove(run)
        self.client.delete(run.holder.keys.lease)

    def teardown(self) -> None:
        """Workers go on until nothing is left: all was settled, in order, and the last change is done."""
        for _ in range(300):
            self.journals[0].advance_layout()
            for place in self.places():
                run = self.run(0, *place)
                if run is not None:
                    if run.batch is None:
                        self.take(run, 50)
                    if run.batch is not None:
                        self.finish(run, "settle")
            if self.settled == self.order and self.record.read().phase is layout_module.Phase.STEADY:
                break
        for channel in CHANNELS:
            assert self.settled[channel] == self.order[channel], channel
        assert self.record.read().phase is layout_module.Phase.STEADY
        for journal in self.journals:
            for run in [run for run in self.runs if run.journal is journal]:
                self.end(run)
        for link in (*(one._link for one in self.producers), *(one.link for one in self.journals)):
            while link._free:
                link._free.pop().disconnect()


@pytest.mark.parametrize("count", [examples] if examples else [12, pytest.param(50, marks=pytest.mark.long)])
def test_channels_keep_their_order_over_any_number_of_lanes(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Nothing lost, nothing twice, one request at a time for each channel, over any changes."""
    monkeypatch.setattr(layout_module, "MAX_RETIRED", 50)
    with redis.Redis.from_url(redis_url) as client:
        run_state_machine_as_test(
            lambda: FlipMachine(client, redis_url), settings=settings(PROFILE, max_examples=count)
        )
