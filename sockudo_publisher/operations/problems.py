"""What in an app's status needs a person. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ValidationError
from .app_status import AppStatus

__all__ = ["PROBLEMS", "FailOn", "find_problems"]

#: Each problem, and what it means. ``oldest=SECONDS`` and ``late=SECONDS`` are two more, for :class:`FailOn`.
PROBLEMS = {
    "dead": "there are dead letters",
    "paused": "the app is paused, by an operator or because its server is in trouble",
    "forgets": "the server forgets message ids too early",
    "unconfigured": "events wait under a name that is no longer configured",
    "workers": "events have waited for 15 seconds, and no worker is alive",
    "rival": "a worker delivers the app to another Sockudo app",
    "unreadable": "a key in Redis contains data that the journal did not write",
    "failing": "the deliveries of a lane keep failing",
    "newer": "events wait for a worker of a newer release",
    "parked": "a scheduled event cannot be stored: its key was used for another one",
    "outbox": "rows of an outbox are parked, where the database is known (`manage.py sockudo status`)",
}

#: Seconds that events may wait without a live worker: a restart of the workers is no problem.
NO_WORKER_S = 15.0

_AGE = re.compile(r"(oldest|late)=([0-9]{1,9}(?:\.[0-9]{1,3})?)")


def find_problems(status: AppStatus) -> tuple[str, ...]:
    """The problems of one app, in the order of :data:`PROBLEMS`; those of an outbox, which has no app, are none."""
    found = {
        "dead": any(lane.dead for lane in status.lanes),
        "paused": status.pause is not None or status.operator_pause is not None,
        "forgets": bool(status.advice),
        "unconfigured": not status.configured,
        "workers": status.configured and not status.workers and _oldest_s(status) > NO_WORKER_S,
        "rival": bool(status.rival),
        "unreadable": status.is_unreadable,
        "failing": status.is_failing,
        "newer": any(lane.newer_version for lane in status.lanes),
        "parked": status.schedule.parked > 0,
    }
    return tuple(name for name in PROBLEMS if found.get(name))


@dataclass(frozen=True)
class FailOn:
    """Which problems count. Ages are seconds, ``None``: no age is a problem.

    ``oldest_s``: the problem ``oldest`` is an event that waits longer, also a scheduled one since its due time. That
    one is named ``late`` too. ``late_s``: the problem ``late`` alone, a scheduled event that has been due for longer.
    """

    names: tuple[str, ...] = tuple(PROBLEMS)
    oldest_s: float | None = None
    late_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """Read ``dead,paused,oldest=60,late=10``. Raises :class:`ValidationError`, which names what is unknown."""
        names: list[str] = []
        ages: dict[str, float] = {}
        for part in (part.strip() for part in text.split(",")):
            match = _AGE.fullmatch(part)
            if match:
                ages[match[1]] = float(match[2])
            elif part in PROBLEMS:
                names.append(part)
            else:
                known = ", ".join([*PROBLEMS, "oldest=SECONDS", "late=SECONDS"])
                raise ValidationError(f"fail-on: {part[:40]!r} is unknown, expected some of {known}")
        return cls(tuple(dict.fromkeys(names)), ages.get("oldest"), ages.get("late"))

    def outbox_problems(self, *, parked: int, oldest_age_s: float) -> tuple[str, ...]:
        """The problems of an outbox that count: ``parked`` rows, and a waiting row older than ``oldest_s``."""
        found = ["outbox"] if parked and "outbox" in self.names else []
        if self.oldest_s is not None and oldest_age_s > self.oldest_s:
            found.append("oldest")
        return tuple(found)

    def problems(self, status: AppStatus) -> tuple[str, ...]:
        """The problems of one app that count."""
        found = [name for name in find_problems(status) if name in self.names]
        waiting_s, late_s = _oldest_s(status), status.schedule.late_s
        is_old = self.oldest_s is not None and max(waiting_s, late_s) > self.oldest_s
        bounds_s = [bound for bound in (self.oldest_s, self.late_s) if bound is not None]
        if is_old:
            found.append("oldest")
        if bounds_s and late_s > min(bounds_s):
            found.append("late")
        return tuple(found)


def _oldest_s(status: AppStatus) -> float:
    """Seconds that the oldest event in a lane has waited, 0 if none waits."""
    return max((lane.oldest_age_s or 0.0 for lane in status.lanes), default=0.0)
