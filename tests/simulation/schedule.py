"""The schedule in memory: what the scripts of scheduled events do to a bucket, one call one step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sockudo_publisher.journal.schedule.due import LEASE_MS, RIGHT_MS
from sockudo_publisher.journal.schedule.outcomes import ClaimResult
from tests.simulation.lane import ModelItem

__all__ = ["MAX_CLAIMED", "MODEL_BUCKETS", "Bucket", "ScheduleModel", "Waiting"]

#: The buckets of a world: a channel's number decides.
MODEL_BUCKETS = 2

#: Events of a bucket that are claimed at once: few, so that a pass has several rounds.
MAX_CLAIMED = 3


@dataclass
class Waiting:
    """A scheduled event; ``due_ms`` is what it was called with, ``score`` where it stands: infinite, it is parked."""

    item: ModelItem
    due_ms: int
    score: float
    turn: int


@dataclass
class Bucket:
    """Events by their names, the claimed ones, and the lease."""

    events: dict[str, Waiting] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    token: str = ""
    leased_until_ms: float = -1.0

    def in_order(self) -> list[tuple[str, Waiting]]:
        """The earliest first; equal due times in the order of the calls."""
        return sorted(self.events.items(), key=lambda one: (one[1].score, one[1].turn))


@dataclass
class ScheduleModel:
    """All scheduled events of an app, who may store them, and the ledger of their ids. ``now_s``: Redis' clock."""

    now_s: Callable[[], float]
    buckets: list[Bucket] = field(default_factory=lambda: [Bucket() for _ in range(MODEL_BUCKETS)])
    stored: set[str] = field(default_factory=set)
    owner: str = ""
    owned_until_ms: float = -1.0
    turns: int = 0

    def bucket_of(self, item: ModelItem) -> int:
        return int(item.channel[1:]) % MODEL_BUCKETS

    def names(self, *, with_parked: bool = True) -> set[str]:
        """The events that wait."""
        return {
            name
            for bucket in self.buckets
            for name, one in bucket.events.items()
            if with_parked or one.score != math.inf
        }

    def has_due(self) -> bool:
        now_ms = self.now_s() * 1000
        return any(one.score <= now_ms for bucket in self.buckets for one in bucket.events.values())

    # -- the scripts, by their names --------------------------------------------------------------------

    def schedule(self, item: ModelItem, due_ms: int) -> None:
        """One that is scheduled already keeps its due time."""
        self.turns += 1
        waiting = Waiting(item, due_ms, due_ms, self.turns)
        self.buckets[self.bucket_of(item)].events.setdefault(str(item.number), waiting)

    def take_right(self, owner: str) -> bool:
        now_ms = self.now_s() * 1000
        if self.owned_until_ms > now_ms and self.owner != owner:
            return False
        self.owner, self.owned_until_ms = owner, now_ms + RIGHT_MS
        return True

    def drop_right(self, owner: str) -> None:
        if self.owner == owner:
            self.owner, self.owned_until_ms = "", -1.0

    def heads(self) -> dict[int, int]:
        """When the first event of each bucket is due."""
        scores = {
            n: min((one.score for one in b.events.values()), default=math.inf) for n, b in enumerate(self.buckets)
        }
        return {number: int(score) for number, score in scores.items() if score != math.inf}

    def due(
        self, number: int, token: str, outcomes: Sequence[tuple[ClaimResult, str]], skipped: int, *, claims: bool
    ) -> list[tuple[str, Waiting]] | None:
        """The claimed events; ``None``: another worker has the lease, or had it."""
        bucket, now_ms = self.buckets[number], self.now_s() * 1000
        is_leased = bucket.leased_until_ms > now_ms
        if not (is_leased and bucket.token == token) and (outcomes or is_leased):
            return None
        for outcome, name in outcomes:
            bucket.claimed.discard(name)
            if outcome is ClaimResult.STORED:
                bucket.events.pop(name, None)
            elif outcome is ClaimResult.PARKED and name in bucket.events:
                bucket.events[name].score = math.inf
        due = [one for one in bucket.in_order() if one[1].score <= now_ms] if claims else []
        found = due[skipped : skipped + MAX_CLAIMED]
        bucket.claimed.update(name for name, _ in found)
        bucket.token, bucket.leased_until_ms = (token, now_ms + LEASE_MS) if found else ("", -1.0)
        return found

    def cancel(self, number: int) -> str:
        """``"taken"``; ``"late"``: a worker is storing it; ``""``: it does not wait."""
        name = str(number)
        for bucket in self.buckets:
            if name in bucket.claimed:
                return "late"
            if bucket.events.pop(name, None) is not None:
                return "taken"
        return ""
