"""Wait until nothing waits, or until nothing is being sent: before maintenance of the server, or of Redis."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..config.settings import Settings, get_settings
from ..errors import ValidationError
from ..journal.status import LaneStatus, journal_status, layout_in_force
from ..redaction.frame_locals import without_locals
from .connection import OpenApp, open_app

__all__ = ["draining_lanes", "wait_until_empty", "wait_until_idle", "waiting_events"]

#: Seconds between two looks.
LOOK_EVERY_S = 0.25

#: Max seconds of a wait: a day.
MAX_TIMEOUT_S = 86_400.0


@without_locals
def wait_until_empty(timeout_s: float, *, app: str | None = None, settings: Settings | None = None) -> bool:
    """Wait until no event waits, is held or is in delivery; ``False``: some are left after ``timeout_s`` seconds.

    ``app``: that one; ``None``: every configured app. Dead letters, scheduled events and rows of an outbox do not
    count. ``timeout_s``: 0 (one look) to 86,400. Raises :class:`ValidationError`, and :class:`JournalUnavailable`.
    """
    return _wait(waiting_events, timeout_s, app, settings)


@without_locals
def wait_until_idle(timeout_s: float, *, app: str | None = None, settings: Settings | None = None) -> bool:
    """Wait until no worker drains a lane, as after :func:`pause`; ``False``: one still does.

    Arguments and errors as of :func:`wait_until_empty`.
    """
    return _wait(draining_lanes, timeout_s, app, settings)


def _wait(left: Callable[[OpenApp], int], timeout_s: float, app: str | None, settings: Settings | None) -> bool:
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise ValidationError(f"timeout_s: expected seconds, got {type(timeout_s).__name__}")
    if not (math.isfinite(timeout_s) and 0 <= timeout_s <= MAX_TIMEOUT_S):
        raise ValidationError(f"timeout_s: expected 0 to {MAX_TIMEOUT_S:.0f} seconds")
    settings = get_settings() if settings is None else settings
    names: list[str | None] = [app] if app is not None else [*settings.app_urls()] or [None]
    opened = [open_app(name, settings) for name in names]
    ends_at = time.monotonic() + timeout_s
    while any(map(left, opened)):
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(LOOK_EVERY_S, left_s))
    return True


def draining_lanes(opened: OpenApp) -> int:
    """How many lanes of an app a worker drains; one that it only watches does not count."""
    return sum(lane.is_draining for lane in _read_lanes(opened))


def waiting_events(opened: OpenApp) -> int:
    """How many events of an app wait, are held or are in delivery."""
    return sum(lane.depth + lane.held for lane in _read_lanes(opened))


def _read_lanes(opened: OpenApp) -> tuple[LaneStatus, ...]:
    lanes = layout_in_force(opened.link, opened.app, opened.settings.lanes).lanes
    return journal_status(opened.link, opened.app, lanes).lanes
