"""One scenario from its start to its verdict."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.oracle import Comparison, accepted, compare, numbers
from tests.support.publisher import Publisher

from .bounds import Bound
from .evidence import repeats, tell
from .scenarios import Scenario
from .world import CHANNELS, FaultWorld, running

__all__ = ["Row", "run"]

#: A burst every pause: about 2,000 events a second, in batches of up to 250 a lane.
BURST = 1600
PAUSE_S = 0.8
#: Seconds for everything that was promised to arrive, after the last fault, beside two claims that have to end.
ARRIVAL_S = 60.0
#: Seconds of silence after which nothing more is expected.
QUIET_S = 2.0
#: Seconds that a copy may come before its id is forgotten: the server counts from its claim, we from the arrival.
EARLY_S = 1.0


@dataclass(frozen=True)
class Row:
    """The result of a scenario.

    ``unacknowledged``: promised events for which the server gave no readable receipt; ``soon``: copies
    that came while the server had to remember the id; ``evidence``: what happened when, if anything came twice or a
    bound was broken.
    """

    name: str
    why: str
    verdict: Comparison
    unacknowledged: int
    soon: int
    bound: Bound
    counts: Mapping[str, int]
    done: Mapping[str, int]
    longest_call_s: float
    repeats: int
    took_s: float
    evidence: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the bound was kept, and anything shown. An event that was not published is never allowed."""
        seen, most = self.verdict, self.bound
        pairs = (
            (seen.lost, most.lost),
            (seen.duplicated, most.duplicated),
            (seen.reordered, most.reordered),
            (self.soon, most.soon),
            # An event leaves the journal by a receipt, or by a way that is counted.
            (self.unacknowledged, self.counts.get("parked_uncertain", 0) + self.counts.get("settled_by_history", 0)),
        )
        pairs += tuple((self.counts.get(name, 0), limit) for name, limit in most.counted.items())
        done = {**self.done, **self.counts}
        return (
            not seen.unexpected
            and all(limit is None or value <= limit for value, limit in pairs)
            and all(done.get(name, 0) >= least for name, least in most.shown.items())
        )


def run(scenario: Scenario, times: int, seed: int, *, total: int = 10**9) -> Row:
    """Start the parts, publish, do the faults, wait for what was promised, compare."""
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="sockudo-faults-") as directory,
        running(scenario.setup, Path(directory), seed) as world,
    ):
        publisher = Publisher(CHANNELS, total, BURST, PAUSE_S)
        publisher.start()
        try:
            scenario.act(world, publisher, times)
        finally:
            publisher.stop.set()
        publisher.join(60)
        assert publisher.error is None, publisher.error
        assert not publisher.is_alive(), "the publisher did not end"
        verdict = arrived(world, publisher)
        counts = world.counts()
        again = repeats(world.subscriber.events())
        taken = accepted((bytes(one.request), bytes(one.answer)) for one in world.proxy.connections)
        row = Row(
            name=scenario.name,
            why=scenario.why,
            verdict=verdict,
            unacknowledged=sum(
                len(set(numbers_of) - taken.get(channel, set())) for channel, numbers_of in publisher.promised.items()
            ),
            soon=sum(one.after_s < scenario.setup.ttl_s - EARLY_S for one in again),
            bound=scenario.bound({**world.done, **counts}),
            counts=counts,
            done=dict(world.done),
            longest_call_s=publisher.longest_call_s,
            repeats=publisher.repeats,
            took_s=time.monotonic() - started,
        )
        if row.is_kept and not again:
            return row
        return replace(row, evidence=tell(world, again, started_at=started))


def arrived(world: FaultWorld, publisher: Publisher) -> Comparison:
    """Wait until the journal is empty, as long as it takes a claim to end; then for silence; then compare.

    Not until everything was seen: what has no answer yet may come again.
    """
    deadline = time.monotonic() + 2 * world.setup.ttl_s + ARRIVAL_S
    while time.monotonic() < deadline:
        if world.waiting() == 0:
            break
        time.sleep(0.5)
    world.subscriber.wait_until_quiet(QUIET_S)
    return compare(publisher.promised, numbers(world.subscriber.events()))
