"""The time in which a resend is safe because the server still remembers the message ids. Pure.

The window of a batch starts with its first attempt. It lasts as long as the settings trust the server to
remember (``SOCKUDO_DEDUP_WINDOW``); while canaries say that the server forgets ids, it lasts no time at all.
After it, an event of which no attempt was answered is *uncertain*: a resend may repeat it, and without a
resend it may be lost. The policy ``SOCKUDO_ON_UNCERTAIN`` chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

__all__ = ["FORGETFUL_BATCH", "MARGIN_S", "Policy", "WindowState", "check_window"]

#: Seconds kept free at the end of the window under `park`, beside the delivery timeout: for the granularity of
#: the clocks, the way to the server, and the time that the server needs to look the id up.
MARGIN_S: Final = 5.0

#: Events of a batch under `park` while the server forgets ids: if its first send meets trouble, all of it is parked.
FORGETFUL_BATCH: Final = 50


@dataclass(frozen=True)
class Policy:
    """What the settings say about delivery. Times in seconds, sizes in bytes."""

    batch_max_events: int = 500
    batch_max_bytes: int = 4 * 1024 * 1024
    delivery_timeout_s: float = 30.0
    window_s: float = 120.0
    on_uncertain: Literal["resend", "park"] = "resend"


class WindowState(Enum):
    """Whether a batch may be sent now."""

    SAFE = "safe"  # never sent before, or the server still remembers its ids
    LATE = "late"  # uncertain; the policy is to resend: at least once
    TOO_LATE = "too late"  # uncertain; the policy is to park: at most once


def check_window(
    *, resent: bool, first_ms: int, now_ms: int, policy: Policy, is_forgetful: bool = False
) -> WindowState:
    """Say whether a batch may be sent, whose first attempt began at ``first_ms``.

    ``is_forgetful``: canaries have shown that the server forgets ids within the window.
    """
    if not resent:
        return WindowState.SAFE
    if is_forgetful:
        return WindowState.TOO_LATE if policy.on_uncertain == "park" else WindowState.LATE
    age_s = (now_ms - first_ms) / 1000
    if policy.on_uncertain == "park":
        is_over = age_s > policy.window_s - policy.delivery_timeout_s - MARGIN_S
        return WindowState.TOO_LATE if is_over else WindowState.SAFE
    return WindowState.LATE if age_s > policy.window_s else WindowState.SAFE
