"""Decide which waiting calls the next flush takes, and which new calls may wait. Pure.

A flush appends plain and keyed items with different scripts, and each script may be sent again without the other
(Redis did not know it, or a lane was closed). So the order of a channel is kept only if all its items in one flush are
of one kind.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from enum import Enum

from ..errors import IdempotencyConflict
from ..journal.appended import Appended, Refusal
from .waiting_call import CallState, Outcome, WaitingCall

__all__ = ["Admission", "admit", "count_next_flush", "is_worth_a_flush", "outcomes_of", "split_kinds"]

#: Events and bytes of one flush: it keeps Redis busy for a few milliseconds only.
FLUSH_EVENTS = 1000
FLUSH_BYTES = 1024 * 1024

#: Events and bytes that are appended while callers of the flush before are still being woken. Smaller flushes wait for
#: them, because each call that such a caller makes next would else find a flush under way: with 1,000 callers most
#: flushes would be of a few events, and each costs a round trip and two changes of Python's lock.
WORTH_EVENTS = 250
WORTH_BYTES = 256 * 1024

#: Seconds that a flush waits for these callers: their loop may do something else first.
MAX_PATIENCE_S = 0.01

#: Events and bytes that may wait in this process for one app.
MAX_WAITING_EVENTS = 100_000
MAX_WAITING_BYTES = 64 * 1024 * 1024

assert WORTH_EVENTS < FLUSH_EVENTS < MAX_WAITING_EVENTS
assert WORTH_BYTES < FLUSH_BYTES < MAX_WAITING_BYTES

#: What most calls end with: one event, stored.
_ONE_STORED = Appended(1, (), (), {})


class Admission(Enum):
    """What becomes of a new call."""

    ENTER = 1
    #: Too much waits in this process already.
    FULL = 2
    #: Redis was away a moment ago, and an earlier call asks whether it still is.
    AWAY = 3


def admit(call: WaitingCall, *, waiting_events: int, waiting_bytes: int, is_away: bool, is_flushing: bool) -> Admission:
    """Whether a new call may wait. While Redis is away one call at a time may, which tries it."""
    if is_away and (waiting_events or is_flushing):
        return Admission.AWAY
    if not waiting_events:
        return Admission.ENTER  # a call of any size, if it is the only one
    is_full = waiting_events + call.event_count > MAX_WAITING_EVENTS or waiting_bytes + call.size > MAX_WAITING_BYTES
    return Admission.FULL if is_full else Admission.ENTER


def is_worth_a_flush(waiting_events: int, waiting_bytes: int) -> bool:
    """Whether so much waits that a flush need not wait for the callers that are being woken."""
    return waiting_events >= WORTH_EVENTS or waiting_bytes >= WORTH_BYTES


def count_next_flush(calls: Iterable[WaitingCall]) -> int:
    """How many calls, from the first on, leave the queue for the next flush; those that were withdrawn leave too.

    It ends before a call of the other kind on a channel that it has already, before and after a call that goes alone,
    and at :data:`FLUSH_EVENTS` and :data:`FLUSH_BYTES` (a larger call goes by itself).
    """
    kinds: dict[str, bool] = {}
    count = events = size = 0
    for call in calls:
        if call.state is not CallState.WITHDRAWN:
            if call.is_alone:
                return count if events else count + 1
            events += call.event_count
            size += call.size
            if kinds and (events > FLUSH_EVENTS or size > FLUSH_BYTES):
                return count
            kind = call.is_keyed
            for item in call.items:
                if kinds.setdefault(item.channel, kind) is not kind:
                    return count
        count += 1
    return count


def split_kinds(calls: Iterable[WaitingCall]) -> list[list[WaitingCall]]:
    """The calls of one flush by the script that appends them, plain ones first, without those that were withdrawn."""
    kinds: tuple[list[WaitingCall], list[WaitingCall]] = ([], [])
    for call in calls:
        if call.state is not CallState.WITHDRAWN:
            kinds[call.is_keyed].append(call)
    return [kind for kind in kinds if kind]


def outcomes_of(calls: Sequence[WaitingCall], appended: Appended) -> list[Outcome]:
    """What one append did, for each of its calls, by the index of the item in the call."""
    if len(calls) == 1:  # as it is: where a conflict refuses all items, its index names the one
        return [appended]
    if not appended.refused and not appended.already_stored:
        return [_ONE_STORED if call.event_count == 1 else Appended(call.event_count, (), (), {}) for call in calls]
    known = set(appended.already_stored)
    outcomes: list[Outcome] = []
    start = 0
    for call in calls:
        places = range(start, start + call.event_count)
        start = places.stop
        refused = {place - places.start: appended.refused[place] for place in places if place in appended.refused}
        already = [place - places.start for place in places if place in known]
        count = call.event_count - len(refused) - len(already)
        outcomes.append(Appended(count, (), already, {at: _own(error, at) for at, error in refused.items()}))
    return outcomes


def _own(error: Refusal, index: int) -> Refusal:
    """The error as one call raises it: callers add their message ids, and Python their tracebacks."""
    own = copy.copy(error)
    if isinstance(own, IdempotencyConflict):
        own.index = index
    return own
