"""What an operator does: status, dead letters, scheduled events, pause, find, audit, health.

The functions behind the command line.

Each function opens its own connection to Redis. ``settings``: those of this process unless others are given. An app
that neither the settings nor Redis know is a :class:`ConfigurationError`, a malformed argument a
:class:`ValidationError`; then nothing is changed. :class:`JournalUnavailable` if Redis fails. Every action is recorded
(:func:`audit`).
"""

from __future__ import annotations

from ..journal.status import LaneStatus
from .app_status import AppStatus, FlipStatus, PauseStatus, ScheduleStatus, status
from .audit_trail import AuditEntry, audit
from .emptying import wait_until_empty
from .health import worker_health
from .letters import DeadLetter, dead_find, dead_list, dead_show
from .listing import dead_letters
from .locating import EventPlace, FoundEvent, find
from .pausing import OperatorPause, Paused, Resumed, pause, resume
from .problems import PROBLEMS, FailOn, find_problems
from .replaying import NOT_ONE_EVENT, Purged, RefusedLetter, Replayed, dead_purge, dead_replay, purge, replay
from .scheduled import Cancelled, ScheduledEvent, cancel, scheduled

__all__ = [
    "NOT_ONE_EVENT",
    "PROBLEMS",
    "AppStatus",
    "AuditEntry",
    "Cancelled",
    "DeadLetter",
    "EventPlace",
    "FailOn",
    "FlipStatus",
    "FoundEvent",
    "LaneStatus",
    "OperatorPause",
    "PauseStatus",
    "Paused",
    "Purged",
    "RefusedLetter",
    "Replayed",
    "Resumed",
    "ScheduleStatus",
    "ScheduledEvent",
    "audit",
    "cancel",
    "dead_find",
    "dead_letters",
    "dead_list",
    "dead_purge",
    "dead_replay",
    "dead_show",
    "find",
    "find_problems",
    "pause",
    "purge",
    "replay",
    "resume",
    "scheduled",
    "status",
    "wait_until_empty",
    "worker_health",
]
