"""End the pause of an app by hand."""

from __future__ import annotations

from ..config.settings import Settings
from ..journal.app.shared import Shared
from ..journal.status import journal_status, layout_in_force
from ..redaction.frame_locals import without_locals
from ..wiring.doorbell import doorbell
from .connection import connect

__all__ = ["resume"]


@without_locals
def resume(settings: Settings, app: str) -> bool:
    """End an app's pause and ring its lanes. Returns ``False`` if the app was not paused."""
    link = connect(settings)
    resumed = Shared(link, app).resume()
    if resumed:
        seen = journal_status(link, app, layout_in_force(link, app, settings.lanes).drainable)
        doorbell.ring(app, [lane.lane for lane in seen.lanes if lane.depth])
    return resumed
