"""What an operator does: status, dead letters, scheduled events, pause, find, audit, health.

The functions behind the command line.

Each function opens its own connection to Redis. ``settings``: those of this process unless others are given. An app
that neither the settings nor Redis know is a :class:`ConfigurationError`, a malformed argument a
:class:`ValidationError`; then nothing is changed. :class:`JournalUnavailable` if Redis fails. Every action is recorded
(:func:`audit`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..journal.status import LaneStatus
    from .app_status import AppStatus, FlipStatus, PauseStatus, ScheduleStatus, status
    from .audit_trail import AuditEntry, audit
    from .emptying import wait_until_empty, wait_until_idle
    from .health import worker_health
    from .held import HeldChannel, held_channels
    from .letters import DeadLetter, dead_find, dead_list, dead_show
    from .listing import dead_letters
    from .locating import EventPlace, FoundEvent, find
    from .pausing import OperatorPause, Paused, Resumed, pause, resume
    from .problems import PROBLEMS, FailOn, find_problems
    from .replaying import NOT_ONE_EVENT, Purged, RefusedLetter, Replayed, dead_purge, dead_replay, purge, replay
    from .scheduling import Cancelled, ScheduledEvent, cancel, scheduled

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
    "HeldChannel",
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
    "held_channels",
    "pause",
    "purge",
    "replay",
    "resume",
    "scheduled",
    "status",
    "wait_until_empty",
    "wait_until_idle",
    "worker_health",
]

#: Each name's module, which is imported when the name is first used: a probe must not pay for the rest.
_LAZY = {
    "AppStatus": ".app_status",
    "audit": ".audit_trail",
    "AuditEntry": ".audit_trail",
    "cancel": ".scheduling",
    "Cancelled": ".scheduling",
    "dead_find": ".letters",
    "dead_letters": ".listing",
    "dead_list": ".letters",
    "dead_purge": ".replaying",
    "dead_replay": ".replaying",
    "dead_show": ".letters",
    "DeadLetter": ".letters",
    "EventPlace": ".locating",
    "FailOn": ".problems",
    "find": ".locating",
    "find_problems": ".problems",
    "FlipStatus": ".app_status",
    "FoundEvent": ".locating",
    "held_channels": ".held",
    "HeldChannel": ".held",
    "LaneStatus": "..journal.status",
    "NOT_ONE_EVENT": ".replaying",
    "OperatorPause": ".pausing",
    "pause": ".pausing",
    "Paused": ".pausing",
    "PauseStatus": ".app_status",
    "PROBLEMS": ".problems",
    "purge": ".replaying",
    "Purged": ".replaying",
    "RefusedLetter": ".replaying",
    "replay": ".replaying",
    "Replayed": ".replaying",
    "resume": ".pausing",
    "Resumed": ".pausing",
    "scheduled": ".scheduling",
    "ScheduledEvent": ".scheduling",
    "ScheduleStatus": ".app_status",
    "status": ".app_status",
    "wait_until_empty": ".emptying",
    "wait_until_idle": ".emptying",
    "worker_health": ".health",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
