"""What a run knows when it decides, and the moves among which it chooses. Values only.

``gates`` decides which move comes next, ``drain`` makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from ..journal.holder import DeadLetterFields, Taken
from .decide import Progress
from .dedup_check import NO_TRUST, DedupTrust
from .window import Policy

__all__ = [
    "NO_LOOKS",
    "AskCanaries",
    "AskOthers",
    "BuryBlamed",
    "BuryUncertain",
    "BuyTokens",
    "CheckDedupMemory",
    "DrainAgain",
    "EndProbe",
    "Leave",
    "LeaveToNewer",
    "LeaveToOperator",
    "LookUpHistory",
    "Looks",
    "Move",
    "Release",
    "Send",
    "SettleRecorded",
    "TakeRight",
    "TrustOthersCheck",
    "View",
    "Wait",
    "WatchQueue",
]


@dataclass(frozen=True)
class DrainAgain:
    """The queue has to be rung again after ``after_s``."""

    after_s: float


# -- what is known ------------------------------------------------------------------------------------


class Looks(NamedTuple):
    """What was looked at since the last take, so that it is looked at once.

    ``do_others_wait``: for the slot, ``None``: not asked; ``has_tried_probe``: the right to probe was asked for, or
    given back; ``was_watched``: the empty queue was watched, and no entry came; ``recorded``: whether history has each
    item of the batch; ``token_wait_s``: seconds until the rate limit has more tokens.
    """

    do_others_wait: bool | None = None
    has_tried_probe: bool = False
    was_watched: bool = False
    recorded: Sequence[bool] | None = None
    token_wait_s: float | None = None


NO_LOOKS: Final = Looks()


class View(NamedTuple):
    """The state of a run at one moment.

    ``forgets_until_ms``: until then (Redis' time) the server is taken not to remember ids; ``waited_s``: seconds that
    the run has waited since its last request; ``tokens``: granted by the rate limit and not spent, ``None``: no limit;
    ``can_ask``, ``can_check``: there are old canaries, or canaries of any kind; ``has_paused``: this run began the
    pause.
    """

    taken: Taken
    policy: Policy
    progress: Progress = Progress()
    trust: DedupTrust = NO_TRUST
    looks: Looks = NO_LOOKS
    forgets_until_ms: int = 0
    waited_s: float = 0.0
    tokens: int | None = None
    is_hold: bool = False
    is_stopping: bool = False
    is_slice_over: bool = False
    is_probing: bool = False
    is_canary_accepted: bool = False
    has_paused: bool = False
    can_ask: bool = False
    can_check: bool = False


# -- what to do ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    """The first ``count`` items are sent; ``is_late``: again, after their window."""

    count: int
    is_late: bool = False


@dataclass(frozen=True)
class Wait:
    """The batch is put back, and taken again after ``seconds``."""

    seconds: float = 0.0


@dataclass(frozen=True)
class Leave:
    """The queue is given back with what it holds; ``again``: the caller rings it."""

    again: DrainAgain | None


@dataclass(frozen=True)
class LeaveToOperator:
    """The same while an operator pauses the app: the end of the pause rings all lanes."""


@dataclass(frozen=True)
class LeaveToNewer:
    """The same: a newer release wrote the head, which a newer worker can read."""

    version: str


@dataclass(frozen=True)
class Release:
    """The queue is empty: it is given back unless an entry has come."""


@dataclass(frozen=True)
class WatchQueue:
    """The queue is empty: it is watched for a while."""


@dataclass(frozen=True)
class AskOthers:
    """The slice is over: does another queue wait for the slot?"""


@dataclass(frozen=True)
class TakeRight:
    """The pause is over, except for a run that probes: try to be the one; ``count``: pauses in a row."""

    count: int


@dataclass(frozen=True)
class EndProbe:
    """There is nothing to probe with; ``is_answered``: a canary was accepted, so the pause ends too."""

    is_answered: bool


@dataclass(frozen=True)
class AskCanaries:
    """Canaries probe instead of the batch; ``since_ms``: what was sent before may be forgotten."""

    since_ms: int
    timeout_s: float


@dataclass(frozen=True)
class CheckDedupMemory:
    """The batch may be out: canaries are asked whether the server remembers ids."""


@dataclass(frozen=True)
class TrustOthersCheck:
    """A recent check by any worker clears the batch."""


@dataclass(frozen=True)
class LookUpHistory:
    """The batch is uncertain: does history have it?"""


@dataclass(frozen=True)
class SettleRecorded:
    """History has the first ``count`` items: they leave."""

    count: int


@dataclass(frozen=True)
class BuryUncertain:
    """The first item leaves, as a dead letter if ``keep``."""

    letter: DeadLetterFields
    keep: bool


@dataclass(frozen=True)
class BuryBlamed:
    """The first item's own bytes show that it is the culprit: it becomes a dead letter without another attempt."""

    letter: DeadLetterFields


@dataclass(frozen=True)
class BuyTokens:
    """The rate limit has to grant ``count`` more tokens."""

    count: int


Move: TypeAlias = (
    Send
    | Wait
    | Leave
    | LeaveToOperator
    | LeaveToNewer
    | Release
    | WatchQueue
    | AskOthers
    | TakeRight
    | EndProbe
    | AskCanaries
    | CheckDedupMemory
    | TrustOthersCheck
    | LookUpHistory
    | SettleRecorded
    | BuryUncertain
    | BuryBlamed
    | BuyTokens
)
