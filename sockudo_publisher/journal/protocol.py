"""The protocol of a lane: its states, and the scripts that move it from one state to another. Pure data.

Nine small machines, each about a few keys. ``docs/protocol.md`` explains them; ``scripts/protocol_pages.py`` makes
its diagrams and tables from here; ``tests/integration/journal/test_protocol.py`` performs each step on a real Redis,
and tries each script in each state where this table has no step for it: it must change nothing and give the answer in
``refused``.

Imports the answer codes only. The two machines of a batch in a worker's hands are in ``delivery/protocol.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .redis.scripts import NAMES, Answer

__all__ = ["DEAD", "HOLD", "KEY", "LANES", "LEASE", "MACHINES", "MARKER", "OPERATOR_PAUSE", "PAUSE", "SCHEDULE"]
__all__ += ["WAKE_UP", "Machine", "ProtocolState", "Seen", "Step"]


@dataclass(frozen=True)
class Seen:
    """What Redis holds of a lane, of one held channel and of their app; ``token`` and ``marker`` are the caller's.

    Text as Redis has it, ``""`` for what is absent. Times are Redis' time in ms; ``None``: there is none.
    """

    now_ms: int = 0
    token: str = ""
    marker: str = ""
    lease: str = ""
    entries: int = 0
    state_marker: str = ""
    is_readable: bool = True  # take.lua can read the marker
    is_armed: bool = False
    due_ms: float | None = None
    hold_lease: str = ""
    phase: str = ""
    old_lane: str = ""
    paused_until_ms: int | None = None
    prober: str = ""
    is_operator_paused: bool = False
    ledger: str = ""
    letters: int = 0
    score: float | None = None  # of a scheduled event in its bucket
    is_claimed: bool = False
    bucket_lease: str = ""


@dataclass(frozen=True)
class ProtocolState:
    """A state by its name, and what the keys hold then."""

    name: str
    keys: str


@dataclass(frozen=True)
class Step:
    """``operation`` moves a machine from state ``before`` to state ``after``; ``answer``: what the script answers.

    An operation is a script's name, with a condition in brackets where the script does different things; an operation
    that is no script (time passes) has no answer.
    """

    before: str
    operation: str
    answer: Answer | str | None
    after: str

    @property
    def script(self) -> str:
        """The script's name; ``""``: no script does this."""
        return script_of(self.operation)


def script_of(operation: str) -> str:
    """The script of an operation, ``""`` for what no script does."""
    name = operation.partition(" ")[0]
    return name if name in NAMES else ""


@dataclass(frozen=True)
class Machine:
    """States and steps of one subject. The first state is the one in which a test begins.

    ``refused``: what an operation answers in a state without a step for it; it changes nothing there. ``unguarded``:
    pairs (state, operation) that the script would perform and that no caller makes, with the reason.
    """

    name: str
    title: str
    states: tuple[ProtocolState, ...]
    steps: tuple[Step, ...]
    state_of: Callable[[Seen], str]
    refused: Mapping[str, Answer | str] = field(default_factory=dict)
    unguarded: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def operations(self) -> tuple[str, ...]:
        """Every operation, in the order of the table."""
        return tuple(dict.fromkeys([step.operation for step in self.steps] + list(self.refused)))

    def illegal(self) -> tuple[tuple[str, str], ...]:
        """Each pair of a state and an operation of a script that must change nothing there."""
        legal = {(step.before, step.operation) for step in self.steps} | set(self.unguarded)
        pairs = [(state.name, operation) for state in self.states for operation in self.operations]
        return tuple([pair for pair in pairs if pair not in legal and pair[1] in self.refused])


def _lease_state(seen: Seen) -> str:
    if not seen.lease:
        return "free"
    return "ours" if seen.lease == seen.token else "another's"


#: Scripts that compare the token before they change anything (fencing); release and postpone do too.
FENCED = ("renew", "take", "settle", "unmark", "hold", "bury", "mend", "quarantine")

LEASE = Machine(
    name="lease",
    title="The lease of a queue, as one worker sees it",
    states=(
        ProtocolState("free", "no key lease"),
        ProtocolState("ours", "lease = our token"),
        ProtocolState("another's", "lease = another token"),
    ),
    steps=(
        Step("free", "acquire", Answer.DONE, "ours"),
        Step("free", "acquire (by another worker)", Answer.DONE, "another's"),
        *(Step("ours", name, Answer.DONE, "ours") for name in FENCED),
        Step("ours", "release (queue with entries)", Answer.KEPT, "ours"),
        Step("ours", "release (empty queue)", Answer.DONE, "free"),
        Step("ours", "release (hand over)", Answer.DONE, "free"),
        Step("ours", "6 s without renew", None, "free"),
        Step("another's", "6 s without renew", None, "free"),
    ),
    state_of=_lease_state,
    refused={
        "acquire": Answer.EMPTY,
        "acquire (by another worker)": Answer.EMPTY,
        "release (queue with entries)": Answer.LOST,
        "release (empty queue)": Answer.LOST,
        "release (hand over)": Answer.LOST,
        **dict.fromkeys(FENCED, Answer.LOST),
    },
)


def _marker_state(seen: Seen) -> str:
    if seen.state_marker and not seen.is_readable:
        return "unreadable"
    if not seen.state_marker:
        return "waiting" if seen.entries else "empty"
    return "marked" if seen.state_marker == seen.marker else "moved"


MARKER = Machine(
    name="marker",
    title="The marker of a queue whose lease we hold",
    states=(
        ProtocolState("empty", "no entry, no marker"),
        ProtocolState("waiting", "entries, no marker"),
        ProtocolState("marked", "marker = the one that take answered"),
        ProtocolState("moved", "another marker: our copy is out of date"),
        ProtocolState("unreadable", "marker is not one"),
    ),
    steps=(
        Step("empty", "append", Answer.DONE, "waiting"),
        *(Step(name, "append", Answer.DONE, name) for name in ("waiting", "marked", "moved", "unreadable")),
        Step("waiting", "take", Answer.DONE, "marked"),
        Step("marked", "take", Answer.DONE, "marked"),
        Step("moved", "take", Answer.DONE, "marked"),
        Step("marked", "unmark", Answer.DONE, "waiting"),
        Step("marked", "settle (a part)", Answer.DONE, "moved"),
        Step("marked", "settle (all that is marked)", Answer.DONE, "waiting"),
        Step("marked", "settle (all that the queue has)", Answer.DONE, "empty"),
        Step("marked", "hold", Answer.DONE, "moved"),
        Step("marked", "bury", Answer.DONE, "moved"),
        Step("waiting", "damage", None, "unreadable"),
        Step("marked", "damage", None, "unreadable"),
        Step("moved", "damage", None, "unreadable"),
        Step("unreadable", "mend", Answer.DONE, "moved"),
    ),
    state_of=_marker_state,
    refused={
        "take": Answer.EMPTY,
        "unmark": Answer.MISMATCH,
        "settle (a part)": Answer.MISMATCH,
        "settle (all that is marked)": Answer.MISMATCH,
        "settle (all that the queue has)": Answer.MISMATCH,
        "hold": Answer.MISMATCH,
        "bury": Answer.MISMATCH,
        "take (unreadable marker)": Answer.UNREADABLE,
    },
    unguarded={
        **{
            (name, "take (unreadable marker)"): "the marker can be read: this is take"
            for name in ("empty", "waiting", "marked", "moved")
        },
        ("unreadable", "take"): "answers UNREADABLE: see the operation of that name",
    },
)


def _wake_up_state(seen: Seen) -> str:
    if seen.lease:
        return "leased" if seen.is_armed else "watched"
    if not seen.is_armed:
        return "lost" if seen.entries else "idle"
    return "rung" if seen.entries else "stale"


WAKE_UP = Machine(
    name="wake-up",
    title="How a lane is woken: a lane with entries is armed or leased",
    states=(
        ProtocolState("idle", "no entry, no armed, no lease"),
        ProtocolState("rung", "entries, armed, no lease"),
        ProtocolState("leased", "armed, lease"),
        ProtocolState("watched", "lease, no armed: a doorbell came late"),
        ProtocolState("stale", "no entry, armed, no lease: a holder died"),
    ),
    steps=(
        Step("idle", "append", Answer.RING, "rung"),
        Step("rung", "append", Answer.DONE, "rung"),
        Step("leased", "append", Answer.DONE, "leased"),
        Step("watched", "append", Answer.RING, "leased"),
        Step("stale", "append", Answer.DONE, "rung"),
        Step("rung", "sweep", Answer.RING, "rung"),
        Step("stale", "sweep", Answer.DONE, "idle"),
        Step("idle", "acquire", Answer.DONE, "watched"),
        Step("rung", "acquire", Answer.DONE, "leased"),
        Step("stale", "acquire", Answer.DONE, "leased"),
        Step("leased", "release (queue with entries)", Answer.KEPT, "leased"),
        Step("leased", "release (empty queue)", Answer.DONE, "idle"),
        Step("watched", "release (empty queue)", Answer.DONE, "idle"),
        Step("leased", "release (hand over with entries)", Answer.DONE, "rung"),
        Step("leased", "6 s without renew (entries)", None, "rung"),
        Step("leased", "6 s without renew (no entry)", None, "stale"),
        Step("watched", "6 s without renew (no entry)", None, "idle"),
    ),
    state_of=_wake_up_state,
    refused={
        "acquire": Answer.EMPTY,
        "sweep": Answer.DONE,
        "release (queue with entries)": Answer.LOST,
        "release (empty queue)": Answer.LOST,
        "release (hand over with entries)": Answer.LOST,
    },
    unguarded={
        ("watched", "release (queue with entries)"): "there are no entries: this is release (empty queue)",
        ("watched", "release (hand over with entries)"): "there are no entries: this is release (empty queue)",
    },
)


def _hold_state(seen: Seen) -> str:
    if seen.due_ms is None:
        return "flowing"
    if seen.hold_lease:
        return "drained"
    return "due" if seen.due_ms <= seen.now_ms else "waiting"


HOLD = Machine(
    name="hold",
    title="The hold of one channel",
    states=(
        ProtocolState("flowing", "the channel is not in holds"),
        ProtocolState("waiting", "in holds, due later"),
        ProtocolState("due", "in holds, due"),
        ProtocolState("drained", "in holds, hold:CHANNEL:lease"),
    ),
    steps=(
        Step("flowing", "hold", Answer.DONE, "waiting"),
        Step("waiting", "take (of the lane)", Answer.AGAIN, "waiting"),
        Step("waiting", "time passes", None, "due"),
        Step("due", "sweep", Answer.DONE, "waiting"),
        Step("waiting", "acquire", Answer.DONE, "drained"),
        Step("due", "acquire", Answer.DONE, "drained"),
        Step("drained", "postpone", Answer.DONE, "drained"),
        Step("drained", "settle (a part)", Answer.DONE, "drained"),
        Step("drained", "settle (all that the hold has)", Answer.DONE, "flowing"),
        Step("drained", "release (hand over)", Answer.DONE, "waiting"),
        Step("drained", "6 s without renew", None, "waiting"),
        Step("drained", "fail", Answer.DONE, "drained"),
        Step("waiting", "fail", Answer.DONE, "waiting"),
        Step("due", "fail", Answer.DONE, "waiting"),
    ),
    state_of=_hold_state,
    refused={
        "sweep": Answer.DONE,
        "acquire": Answer.EMPTY,
        "postpone": Answer.LOST,
        "settle (a part)": Answer.LOST,
        "settle (all that the hold has)": Answer.LOST,
        "release (hand over)": Answer.LOST,
        "fail": Answer.EMPTY,
    },
)


def _lanes_state(seen: Seen) -> str:
    if seen.phase == "closing":
        return "closed" if seen.old_lane == "closed" else "closing"
    if seen.phase == "steady":
        return "changed" if seen.old_lane == "closed" else "steady"
    return seen.phase


LANES = Machine(
    name="lanes",
    title="A change of the number of lanes",
    states=(
        ProtocolState("steady", "phase steady, the old lanes in force"),
        ProtocolState("closing", "phase closing, old lanes not closed"),
        ProtocolState("closed", "phase closing, old lanes closed, new lanes open"),
        ProtocolState("draining", "phase draining"),
        ProtocolState("changed", "phase steady, the new lanes in force"),
    ),
    steps=(
        Step("steady", "relayout (begin)", Answer.DONE, "closing"),
        Step("closing", "mark (old lanes closed, new lanes open)", Answer.DONE, "closed"),
        Step("closed", "relayout (old lanes closed)", Answer.DONE, "draining"),
        Step("draining", "relayout (old lanes empty)", Answer.DONE, "changed"),
        *(Step(name, "schedule_once (old lane)", Answer.DONE, name) for name in ("steady", "closing")),
        *(Step(name, "schedule_once (new lane)", Answer.DONE, name) for name in ("closed", "draining", "changed")),
    ),
    state_of=_lanes_state,
    refused={
        "relayout (begin)": Answer.MISMATCH,
        "relayout (old lanes closed)": Answer.MISMATCH,
        "relayout (old lanes empty)": Answer.MISMATCH,
        "mark (old lanes closed, new lanes open)": Answer.DONE,
        "mark (old lanes open)": Answer.DONE,
        "schedule_once (old lane)": Answer.CLOSED,
        "schedule_once (new lane)": Answer.CLOSED,
    },
    unguarded={
        ("steady", "mark (old lanes closed, new lanes open)"): "marks are set after the phase is closing",
        ("steady", "mark (old lanes open)"): "a lane in force is open",
        ("closing", "mark (old lanes open)"): "a lane in force is open",
        ("closing", "relayout (old lanes closed)"): "the caller has marked all lanes before",
    },
)


def _pause_state(seen: Seen) -> str:
    if seen.paused_until_ms is None:
        return "flowing"
    if seen.paused_until_ms > seen.now_ms:
        return "paused again" if seen.prober else "paused"
    if not seen.prober:
        return "over"
    return "probing" if seen.prober == seen.token else "another probes"


_RESUMED = ("paused", "paused again", "over", "probing", "another probes")

PAUSE = Machine(
    name="pause",
    title="The pause of an app, as one worker sees it",
    states=(
        ProtocolState("flowing", "no key pause"),
        ProtocolState("paused", "pause, until is later"),
        ProtocolState("over", "pause, until has passed, no key probe"),
        ProtocolState("probing", "pause, until has passed, probe = our token"),
        ProtocolState("another probes", "pause, until has passed, probe = another token"),
        ProtocolState("paused again", "pause, until is later, probe"),
    ),
    steps=(
        Step("flowing", "pause", Answer.DONE, "paused"),
        Step("paused", "pause", Answer.DONE, "paused"),
        Step("over", "pause", Answer.DONE, "paused"),
        Step("probing", "pause", Answer.DONE, "paused again"),
        Step("another probes", "pause", Answer.DONE, "paused again"),
        Step("paused again", "pause", Answer.DONE, "paused again"),
        Step("paused", "time passes", None, "over"),
        Step("over", "take_right", Answer.DONE, "probing"),
        Step("probing", "take_right", Answer.DONE, "probing"),
        Step("over", "take_right (by another worker)", Answer.DONE, "another probes"),
        Step("another probes", "take_right (by another worker)", Answer.DONE, "another probes"),
        Step("probing", "renew", Answer.DONE, "probing"),
        Step("paused again", "renew", Answer.DONE, "paused again"),
        Step("probing", "drop_right", Answer.DONE, "over"),
        Step("probing", "6 s without renew", None, "over"),
        Step("another probes", "6 s without renew", None, "over"),
        Step("probing", "resume", Answer.DONE, "flowing"),
        Step("paused again", "resume", Answer.MISMATCH, "paused"),
        Step("paused again", "drop_right", Answer.DONE, "paused"),
        *(Step(name, "operator_resume", Answer.DONE, "flowing") for name in _RESUMED),
    ),
    state_of=_pause_state,
    refused={
        "take_right": Answer.EMPTY,
        "take_right (by another worker)": Answer.EMPTY,
        "renew": Answer.LOST,
        "drop_right": Answer.MISMATCH,
        "resume": Answer.MISMATCH,
        "operator_resume": Answer.EMPTY,
    },
    unguarded={
        **{
            (name, operation): "a worker takes the right only when a pause is over"
            for name in ("flowing", "paused")
            for operation in ("take_right", "take_right (by another worker)")
        },
        ("paused again", "take_right"): "a worker takes the right only when a pause is over",
    },
)


OPERATOR_PAUSE = Machine(
    name="operator-pause",
    title="The pause that an operator orders",
    states=(
        ProtocolState("flowing", "no key operator_pause"),
        ProtocolState("paused", "operator_pause"),
    ),
    steps=(
        Step("flowing", "operator_pause", Answer.DONE, "paused"),
        Step("paused", "operator_pause", Answer.DONE, "paused"),
        Step("paused", "pause (the server is away)", Answer.DONE, "paused"),
        Step("paused", "resume (the server answers)", Answer.DONE, "paused"),
        Step("paused", "operator_resume", Answer.DONE, "flowing"),
    ),
    state_of=lambda seen: "paused" if seen.is_operator_paused else "flowing",
    refused={"operator_resume": Answer.EMPTY},
)


def _key_state(seen: Seen) -> str:
    return {"": "unknown", "s": "scheduled", "a": "appended"}[seen.ledger[:1]]


KEY = Machine(
    name="key",
    title="A key= of a channel",
    states=(
        ProtocolState("unknown", "no ledger key"),
        ProtocolState("scheduled", 'ledger = "s FINGERPRINT"'),
        ProtocolState("appended", 'ledger = "a FINGERPRINT"'),
    ),
    steps=(
        Step("unknown", "schedule_once", Answer.DONE, "scheduled"),
        Step("scheduled", "schedule_once", Answer.DONE, "scheduled"),
        Step("unknown", "append_once", Answer.RING, "appended"),
        Step("scheduled", "append_once", Answer.RING, "appended"),
        Step("scheduled", "SOCKUDO_KEY_TTL passes", None, "unknown"),
        Step("appended", "SOCKUDO_KEY_TTL passes", None, "unknown"),
        Step("scheduled", "free_key", Answer.DONE, "unknown"),
    ),
    state_of=_key_state,
    refused={
        "schedule_once": Answer.EMPTY,
        "append_once": Answer.DONE,
        "schedule_once (another payload)": Answer.CONFLICT,
        "append_once (another payload)": Answer.CONFLICT,
        "free_key": Answer.EMPTY,
    },
    unguarded={
        ("unknown", "schedule_once (another payload)"): "an unknown key has no other payload",
        ("unknown", "append_once (another payload)"): "an unknown key has no other payload",
    },
)


def _dead_state(seen: Seen) -> str:
    if seen.letters:
        return "dead"
    return "queued" if seen.entries else "gone"


DEAD = Machine(
    name="dead",
    title="An event that cannot be delivered",
    states=(
        ProtocolState("queued", "in stream"),
        ProtocolState("dead", "in dead"),
        ProtocolState("gone", "in neither"),
    ),
    steps=(
        Step("queued", "bury", Answer.DONE, "dead"),
        Step("queued", "quarantine", Answer.DONE, "dead"),
        Step("dead", "replay", Answer.DONE, "queued"),
        Step("dead", "purge", Answer.DONE, "gone"),
        Step("dead", "trim (beyond a limit)", Answer.DONE, "gone"),
    ),
    state_of=_dead_state,
    refused={
        "bury": Answer.MISMATCH,
        "quarantine": Answer.EMPTY,
        "replay": Answer.EMPTY,
        "purge": Answer.DONE,
        "trim (beyond a limit)": Answer.DONE,
    },
)


def _schedule_state(seen: Seen) -> str:
    if seen.score is None:
        return "absent"
    if seen.score == math.inf:
        return "parked"
    if seen.is_claimed:
        if not seen.bucket_lease:
            return "abandoned"
        return "claimed" if seen.bucket_lease == seen.token else "another's"
    return "due" if seen.score <= seen.now_ms else "waiting"


SCHEDULE = Machine(
    name="schedule",
    title="A scheduled event, as one worker sees it",
    states=(
        ProtocolState("absent", "not in times"),
        ProtocolState("waiting", "in times, due later"),
        ProtocolState("due", "in times, due"),
        ProtocolState("claimed", "in times and claimed, lease = our token"),
        ProtocolState("another's", "in times and claimed, lease = another token"),
        ProtocolState("abandoned", "in times and claimed, no key lease"),
        ProtocolState("parked", "in times with +inf"),
    ),
    steps=(
        Step("absent", "schedule", Answer.DONE, "waiting"),
        Step("waiting", "time passes", None, "due"),
        Step("due", "due (claim)", Answer.DONE, "claimed"),
        Step("due", "due (claim by another worker)", Answer.DONE, "another's"),
        Step("claimed", "due (claim)", Answer.DONE, "claimed"),
        Step("claimed", "due (stored)", Answer.DONE, "absent"),
        Step("claimed", "due (waits)", Answer.DONE, "due"),
        Step("claimed", "due (parked)", Answer.DONE, "parked"),
        Step("claimed", "8 s without a report", None, "abandoned"),
        Step("another's", "due (claim by another worker)", Answer.DONE, "another's"),
        Step("another's", "8 s without a report", None, "abandoned"),
        Step("abandoned", "due (claim)", Answer.DONE, "claimed"),
        Step("abandoned", "due (claim by another worker)", Answer.DONE, "another's"),
        *(Step(name, "cancel", Answer.DONE, "absent") for name in ("waiting", "due", "parked")),
        Step("absent", "cancel", Answer.EMPTY, "absent"),
        *(
            Step(name, operation, Answer.DONE, name)
            for name in ("absent", "waiting", "parked")
            for operation in ("due (claim)", "due (claim by another worker)")
        ),
    ),
    state_of=_schedule_state,
    refused={
        "schedule": Answer.DONE,
        "schedule (another payload)": Answer.CONFLICT,
        "due (claim)": Answer.EMPTY,
        "due (claim by another worker)": Answer.EMPTY,
        "due (stored)": Answer.LOST,
        "due (waits)": Answer.LOST,
        "due (parked)": Answer.LOST,
        "cancel": Answer.DONE,
    },
    unguarded={("absent", "schedule (another payload)"): "an unknown id has no other payload"},
)

#: All machines of the journal, in the order of the page.
MACHINES = (LEASE, MARKER, WAKE_UP, HOLD, LANES, PAUSE, OPERATOR_PAUSE, DEAD, KEY, SCHEDULE)
