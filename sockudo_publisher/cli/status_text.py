"""The text of ``sockudo-publisher status``: the state of one app for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import Output, plain
from .scheduled_line import schedule_line
from .table import render_table
from .target_app import when

if TYPE_CHECKING:
    from ..operations import AppStatus, LaneStatus, PauseStatus

__all__ = ["print_app"]


def print_app(out: Output, found: AppStatus, memory: str) -> None:
    """Write the state of one app; ``memory``: the canaries' report in words."""
    out.print(_table(found))
    for problem in (*found.unreadable, *(one for lane in found.lanes for one in lane.unreadable)):
        out.print(f"[bold red]unreadable[/]: {plain(problem)}")
    for lane in found.lanes:
        if lane.failures:
            since = "" if lane.failing_s is None else f" for {_age(lane.failing_s)}"
            out.print(
                f"[bold red]failing[/]: lane {lane.lane}, {lane.failures:,} in a row{since}: {plain(lane.failure)}"
            )
    if found.operator_pause is not None:
        ordered = found.operator_pause
        out.print(
            f"[bold red]paused by an operator[/]: {plain(ordered.reason)} ({plain(ordered.by)}, since "
            f"{when(ordered.since_ms)})"
        )
    if found.pause is not None:
        out.print(f"[bold red]paused[/]: {plain(_pause_text(found.pause))}")
    colour = "bold red" if found.advice else "dim"
    out.print(f"[{colour}]{plain(memory)}[/]")
    if found.advice:
        out.print(plain(found.advice))
    if not found.configured:
        out.print(
            "[bold red]not configured[/]: no worker delivers these events. Configure the app under this name again "
            "(SOCKUDO_URL or SOCKUDO_APPS; another name may have the same URL) until they are delivered"
        )
    if found.configured and not found.workers and found.lanes:
        is_waiting = any(lane.depth or lane.held for lane in found.lanes)
        out.print("[bold red]no worker is alive[/]: events wait" if is_waiting else "[dim]no worker is alive[/]")
    if found.rival:
        out.print(f"[bold red]another deployment[/]: {plain(found.rival)}")
    if found.schedule.count:
        out.print(schedule_line(found.schedule))
    if found.flip is not None:
        out.print(
            f"[yellow]from {found.flip.old} to {found.flip.new} lanes[/]: {found.flip.waiting:,} events of the old "
            f"lanes are delivered first, {found.flip.held:,} of them are held"
        )
    if found.counters:
        out.print("[dim]" + ", ".join(f"{plain(name)} {count:,}" for name, count in sorted(found.counters.items())))


def _table(status: AppStatus) -> str:
    rows = [
        [
            str(lane.lane), _count(lane.depth), _count(lane.held, "yellow"), _count(lane.dead, "red"),
            _age(lane.oldest_age_s), _state(lane),
        ]
        for lane in status.lanes
    ]  # fmt: skip
    ages = [lane.oldest_age_s for lane in status.lanes if lane.oldest_age_s is not None]
    rows.append(
        [
            "all",
            _count(sum(lane.depth for lane in status.lanes)),
            _count(sum(lane.held for lane in status.lanes), "yellow"),
            _count(sum(lane.dead for lane in status.lanes), "red"),
            _age(max(ages, default=None)),
            "[red]paused[/]" if status.pause is not None or status.operator_pause is not None else "",
        ]
    )
    headings = ("lane", "waiting", "held", "dead", "oldest", "state")
    return f"[bold]{plain(status.app)}[/]\n{render_table(headings, rows, left=(5,), total=True)}\n"


#: What has happened, by the reason of a pause.
_PAUSES = {
    "unreachable": "Sockudo cannot be reached",
    "unknown": "the result of a request to Sockudo is unknown",
    "busy": "Sockudo takes no requests now",
    "misconfigured": "Sockudo refuses the address, the app, its key or this clock",
}


def _pause_text(pause: PauseStatus) -> str:
    """Why nothing is sent, with the last answer or failure."""
    text = _PAUSES.get(pause.reason, pause.reason)
    return f"{text} ({pause.message})" if pause.message else text


def _count(number: int, colour: str = "bold") -> str:
    return f"[{colour}]{number:,}[/]" if number else "[dim]0[/]"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "[dim]-[/]"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


_COLOURS = {"unreadable": "red", "failing": "red", "draining": "green", "watched": "dim", "empty": "dim"}


def _state(lane: LaneStatus) -> str:
    if lane.newer_version:
        return f"[red]entry version {plain(lane.newer_version)}: for a worker of a newer release[/]"
    colour = _COLOURS.get(lane.state)
    return f"[{colour}]{lane.state}[/]" if colour else lane.state
