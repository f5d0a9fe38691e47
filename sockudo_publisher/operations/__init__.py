"""Operator actions: status, dead letters, scheduled events, resume. The functions behind the command line.

Each function opens its own connection to ``settings.redis_url`` and raises :class:`JournalUnavailable` if Redis fails.
"""

from __future__ import annotations

from ..journal.status import LaneStatus
from .app_status import AppStatus, FlipStatus, PauseStatus, ScheduleStatus, status
from .dead_letters import DeadLetter, dead_find, dead_list, dead_show
from .pause import resume
from .replay import NOT_ONE_EVENT, Purged, RefusedLetter, Replayed, dead_purge, dead_replay
from .scheduled import Cancelled, ScheduledEvent, cancel, scheduled

__all__ = [
    "NOT_ONE_EVENT",
    "AppStatus",
    "Cancelled",
    "DeadLetter",
    "FlipStatus",
    "LaneStatus",
    "PauseStatus",
    "Purged",
    "RefusedLetter",
    "Replayed",
    "ScheduleStatus",
    "ScheduledEvent",
    "cancel",
    "dead_find",
    "dead_list",
    "dead_purge",
    "dead_replay",
    "dead_show",
    "resume",
    "scheduled",
    "status",
]
