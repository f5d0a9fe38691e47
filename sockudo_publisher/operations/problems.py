"""What in an app's status needs a person. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ValidationError
from .app_status import AppStatus

__all__ = ["PROBLEMS", "FailOn", "find_problems"]

#: Each problem, and what it means. ``oldest=SECONDS`` is one more that is named for :class:`FailOn`.
PROBLEMS = {
    "dead": "there are dead letters",
    "paused": "the app is paused, by an operator or because its server is in trouble",
    "forgets": "the server forgets message ids too early",
    "unconfigured": "events wait under a name that is no longer configured",
    "rival": "a worker delivers the app to another Sockudo app",
    "unreadable": "a key in Redis contains data that the journal did not write",
    "failing": "the deliveries of a lane keep failing",
    "newer": "events wait for a worker of a newer release",
    "parked": "a scheduled event cannot be stored: its key was used for another one",
}

_OLDEST = re.compile(r"oldest=([0-9]{1,9}(?:\.[0-9]{1,3})?)")


def find_problems(status: AppStatus) -> tuple[str, ...]:
    """The problems of one app, in the order of :data:`PROBLEMS`."""
    found = {
        "dead": any(lane.dead for lane in status.lanes),
        "paused": status.pause is not None or status.operator_pause is not None,
        "forgets": bool(status.advice),
        "unconfigured": not status.configured,
        "rival": bool(status.rival),
        "unreadable": status.is_unreadable,
        "failing": status.is_failing,
        "newer": any(lane.newer_version for lane in status.lanes),
        "parked": status.schedule.parked > 0,
    }
    return tuple(name for name in PROBLEMS if found[name])


@dataclass(frozen=True)
class FailOn:
    """Which problems count. ``oldest_s``: an event that waits longer is a problem too; ``None``: no age is."""

    names: tuple[str, ...] = tuple(PROBLEMS)
    oldest_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """Read ``dead,paused,oldest=60``. Raises :class:`ValidationError`, which names what is unknown."""
        names, oldest_s = [], None
        for part in (part.strip() for part in text.split(",")):
            match = _OLDEST.fullmatch(part)
            if match:
                oldest_s = float(match[1])
            elif part in PROBLEMS:
                names.append(part)
            else:
                known = ", ".join([*PROBLEMS, "oldest=SECONDS"])
                raise ValidationError(f"fail-on: {part[:40]!r} is unknown, expected some of {known}")
        return cls(tuple(dict.fromkeys(names)), oldest_s)

    def problems(self, status: AppStatus) -> tuple[str, ...]:
        """The problems of one app that count."""
        found = [name for name in find_problems(status) if name in self.names]
        ages = [lane.oldest_age_s for lane in status.lanes if lane.oldest_age_s is not None]
        if self.oldest_s is not None and max(ages, default=0.0) > self.oldest_s:
            found.append("oldest")
        return tuple(found)
