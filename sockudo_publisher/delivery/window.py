"""The time during which a resend is safe: the server still remembers the ids. Pure.

The window of a marked item starts with its first attempt and lasts as long as the server is trusted
to remember: ``SOCKUDO_DEDUP_WINDOW``, or not at all when canaries say so. After it, an item of
unknown fate is *uncertain*: sent again it may arrive twice, left alone not at all. The policy chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

__all__ = ["FORGETFUL_BATCH", "Policy", "Standing", "standing"]

#: Seconds kept free at the end of the window under `park`, beside the delivery timeout: the clocks'
#: granularity, the way to the server, and its own time to look the id up.
MARGIN_S: Final = 5.0


#: Items of a batch under `park` while the server does not remember ids: a first send that it answers with trouble
#: makes all of its batch uncertain, so that all of it is parked.
FORGETFUL_BATCH: Final = 50


@dataclass(frozen=True)
class Policy:
    """What the settings say about delivery. Times in seconds, sizes in bytes."""

    batch_max_events: int = 500
    batch_max_bytes: int = 4 * 1024 * 1024
    delivery_timeout_s: float = 30.0
    window_s: float = 120.0
    on_uncertain: Literal["resend", "park"] = "resend"


class Standing(Enum):
    """Where a batch stands with its window."""

    SAFE = "safe"  # never sent, or the server still remembers
    LATE = "late"  # uncertain, and the policy is to resend: at least once
    OVER = "over"  # uncertain, and the policy is to park: at most once


def standing(*, resent: bool, first_ms: int, now_ms: int, policy: Policy, remembers: bool = True) -> Standing:
    """Whether a batch may be sent now, given that its first attempt began at ``first_ms``.

    ``remembers``: nothing says that the server forgets ids within the window (``memory.py``). Where it
    does, the window is nothing: what was sent once is uncertain at once.
    """
    if not resent:
        return Standing.SAFE
    if not remembers:
        return Standing.OVER if policy.on_uncertain == "park" else Standing.LATE
    age_s = (now_ms - first_ms) / 1000
    if policy.on_uncertain == "park":
        return Standing.OVER if age_s > policy.window_s - policy.delivery_timeout_s - MARGIN_S else Standing.SAFE
    return Standing.LATE if age_s > policy.window_s else Standing.SAFE
