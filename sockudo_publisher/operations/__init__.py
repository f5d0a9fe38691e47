"""Operator actions: status, dead letters, resume. The functions behind the command line.

Each function opens its own connection to ``settings.redis_url`` and raises :class:`JournalUnavailable` if Redis fails.
"""

from __future__ import annotations

from ..journal.status import LaneStatus
from .app_status import AppStatus, FlipStatus, PauseStatus, status
from .dead_letters import DeadLetter, dead_find, dead_list, dead_purge, dead_replay, dead_show
from .pause import resume

__all__ = [
    "AppStatus",
    "DeadLetter",
    "FlipStatus",
    "LaneStatus",
    "PauseStatus",
    "dead_find",
    "dead_list",
    "dead_purge",
    "dead_replay",
    "dead_show",
    "resume",
    "status",
]
