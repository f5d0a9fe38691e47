"""The line of ``status`` about an app's scheduled events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..operations.app_status import ScheduleStatus

__all__ = ["schedule_line"]

#: Seconds after which a due event that is not stored is shown in red: workers look ten times a second.
LATE_S = 10.0


def schedule_line(schedule: ScheduleStatus) -> str:
    """How many events are scheduled, and whether workers store them in time. Pure."""
    text = f"{schedule.count:,} scheduled"
    if schedule.late_s:
        colour = "red" if schedule.late_s > LATE_S else "dim"
        text += f", [{colour}]the first is {schedule.late_s:.1f} s late[/]"
    if schedule.parked:
        text += (
            f", [bold red]{schedule.parked:,} parked[/]: see scheduled list --parked, remove them with scheduled cancel"
        )
    return text
