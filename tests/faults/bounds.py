"""What may come of a scenario: how much may be lost, repeated or out of order, and what must have been counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bound:
    """The most that may be lost, duplicated and reordered; `None`: any number, the row only shows it.

    ``soon``: of the duplicates, those that came while the server still had to remember their ids; ``counted``: the
    most that the journal may have counted under these names; ``shown``: the least that it, or the faults, must have
    counted, without which the row shows nothing.
    """

    lost: int | None = 0
    duplicated: int | None = 0
    reordered: int | None = 0
    soon: int | None = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)


EXACT = Bound()


def exact(_counts: Mapping[str, int]) -> Bound:
    """Each once, in order."""
    return EXACT


def stuck_may_repeat(counts: Mapping[str, int]) -> Bound:
    """With a Redis cache a stuck item may have been delivered (docs/server.md, A3 and A5): that one item only."""
    return Bound(duplicated=counts.get("stuck", 0))


def late_may_repeat(counts: Mapping[str, int]) -> Bound:
    """Faults at random may keep everybody from the server for longer than it remembers: what was in flight comes twice.

    Never sooner, and only what the workers have counted.
    """
    return Bound(duplicated=counts.get("resent_after_window", 0))


def shown_only(_counts: Mapping[str, int]) -> Bound:
    """The server itself loses, repeats or reorders; the row shows how much."""
    return Bound(None, None, None, None)


def recorded_not_sent(counts: Mapping[str, int]) -> Bound:
    """With history an item cut between recording and broadcast is answered 200 and never sent (docs/server.md, A7).

    One a cut: the item that the server stood at.
    """
    return Bound(lost=counts.get("requests spoilt", 0))


def recorded_or_stuck(counts: Mapping[str, int]) -> Bound:
    """The same, and the stuck item may repeat."""
    return Bound(lost=counts.get("requests spoilt", 0), duplicated=counts.get("stuck", 0))


def killed_recorded_not_sent(counts: Mapping[str, int]) -> Bound:
    """One a request that was cut, and a worker has one in every lane."""
    return Bound(lost=8 * counts.get("workers killed", 0))


def forgotten_may_repeat(counts: Mapping[str, int]) -> Bound:
    """What was in flight when the server forgot its ids (docs/server.md, C): the canaries tell, so it is counted."""
    return Bound(duplicated=counts.get("resent_after_window", 0), soon=None)


def never_uncertain(_counts: Mapping[str, int]) -> Bound:
    """What was never sent is not uncertain, however long no server listened."""
    return Bound(counted={"resent_after_window": 0, "parked_uncertain": 0})


def held_is_missing(counts: Mapping[str, int]) -> Bound:
    """Under `park` what is uncertain is parked: missing, in the dead letters, and never twice. Something must be."""
    return Bound(
        lost=counts.get("parked_uncertain", 0), counted={"resent_after_window": 0}, shown={"parked_uncertain": 1}
    )


def left_in_mid_batch(_counts: Mapping[str, int]) -> Bound:
    """Each once, in order, though an item was stuck."""
    return Bound(shown={"searched": 1, "stuck": 1})


def finished_by_nginx(_counts: Mapping[str, int]) -> Bound:
    """Each once, in order; what its workers have left unanswered nginx has finished, and nothing was stuck."""
    return Bound(counted={"stuck": 0}, shown={"requests unanswered": 1})
