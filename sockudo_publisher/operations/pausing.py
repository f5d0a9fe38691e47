"""The pause of an app by a person, and its end by a person."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.settings import Settings
from ..journal.app.operator import OperatorPause, OperatorRecords, Resumed
from ..journal.status import journal_status, layout_in_force
from ..redaction.frame_locals import without_locals
from ..wiring.doorbell import doorbell
from .audit_trail import checked_actor
from .connection import MAX_REASON, OpenApp, check_text, open_app

__all__ = ["OperatorPause", "Paused", "Resumed", "pause", "resume"]


@dataclass(frozen=True)
class Paused:
    """``pause``: the pause now in force; ``before``: the reason of an operator's pause before it, ``""`` for none."""

    app: str
    pause: OperatorPause
    before: str = ""


@without_locals
def pause(app: str | None = None, *, reason: str, actor: str | None = None, settings: Settings | None = None) -> Paused:
    """Pause an app (default: that of ``SOCKUDO_URL``): nothing is sent for the first time until :func:`resume`.

    Events are stored meanwhile, and wait. Requests under way end, and batches that may have been delivered are
    resolved, since their window does not wait. No probe and no trouble of the server ends the pause. A second pause
    replaces reason and person, keeps the time, and answers the reason before.

    ``reason``: 1 to 500 characters; ``actor``: who does it, default ``user@host``. Raises :class:`ValidationError`,
    :class:`ConfigurationError` for an app that is not known, and :class:`JournalUnavailable`.
    """
    reason, by = check_text(reason, "reason", MAX_REASON), checked_actor(actor)
    opened = open_app(app, settings)
    made, before = OperatorRecords(opened.link, opened.app).pause(reason, by)
    return Paused(opened.app, made, before)


@without_locals
def resume(app: str | None = None, *, actor: str | None = None, settings: Settings | None = None) -> Resumed:
    """End every pause of an app, an operator's and that of a server in trouble, and ring its lanes.

    The answer is false if the app was not paused. Raises as :func:`pause`.
    """
    by = checked_actor(actor)
    opened = open_app(app, settings)
    resumed = OperatorRecords(opened.link, opened.app).resume(by)
    if resumed:
        _ring(opened)
    return resumed


def _ring(opened: OpenApp) -> None:
    layout = layout_in_force(opened.link, opened.app, opened.settings.lanes)
    seen = journal_status(opened.link, opened.app, layout.drainable)
    doorbell.ring(opened.app, [lane.lane for lane in seen.lanes if lane.depth])
