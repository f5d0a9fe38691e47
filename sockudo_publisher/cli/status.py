"""``sockudo-publisher status``: what is waiting, lane by lane, and whether it flows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .output import Output, plain

if TYPE_CHECKING:
    from rich.table import Table

    from ..operations import AppStatus, LaneStatus

__all__ = ["command"]


@click.command("status")
@click.option("--app", help="Only this app.")
@Output.command
def command(out: Output, app: str | None) -> None:
    """Show every app's lanes: how many events wait, how long the oldest has, what is held or dead.

    Exit code 1 when something needs a person: an app is paused, dead letters wait, events wait under a name
    that is not configured any more or for a worker of a newer release, a worker delivers the app to another
    Sockudo app, a lane's deliveries keep ending in errors, a key in Redis holds what the journal has not
    written, or the server does not remember message ids (it says which of its settings to change). Exit
    code 2 when no app is configured and none has events, or when an app's URL is malformed.
    """
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    from .. import operations
    from ..canaries.verdict import summary
    from ..wiring.app import client_of

    for name in settings.app_urls() if app is None else (app,):
        client_of(settings, name)  # no worker starts with a URL or key that cannot be read
    apps = [found for found in operations.status(settings) if app in (None, found.app)]
    if not apps:
        settings.url_of(DEFAULT_APP)  # says which variable to set
    risk = any(
        found.pause
        or found.advice
        or not found.configured
        or found.rival
        or found.is_unreadable
        or found.is_failing
        or any(lane.dead or lane.newer_version for lane in found.lanes)
        for found in apps
    )
    for found in apps:
        out.say(_table(found))
        for complaint in (*found.unreadable, *(one for lane in found.lanes for one in lane.unreadable)):
            out.say(f"[bold red]unreadable[/]: {plain(complaint)}")
        for lane in found.lanes:
            if lane.failures:
                since = "" if lane.failing_s is None else f" for {_age(lane.failing_s)}"
                out.say(
                    f"[bold red]failing[/]: lane {lane.lane}, {lane.failures:,} in a row{since}: {plain(lane.failure)}"
                )
        if found.pause is not None:
            out.say(f"[bold red]paused[/]: {plain(found.pause.reason)}: {plain(found.pause.words)}")
        colour = "bold red" if found.advice else "dim"
        out.say(f"[{colour}]{plain(summary(found.memory))}[/]")
        if found.advice:
            out.say(plain(found.advice))
        if not found.configured:
            out.say(
                "[bold red]not configured[/]: nobody delivers these events. Name the app again "
                "(SOCKUDO_URL or SOCKUDO_APPS, the URL may be another name's too) until they are gone"
            )
        if found.rival:
            out.say(f"[bold red]another deployment[/]: {plain(found.rival)}")
        if found.flip is not None:
            out.say(
                f"[yellow]from {found.flip.old} to {found.flip.new} lanes[/]: {found.flip.waiting:,} events of the old "
                f"lanes go first, {found.flip.held:,} of them are held"
            )
        if found.counters:
            out.say("[dim]" + ", ".join(f"{plain(name)} {count:,}" for name, count in sorted(found.counters.items())))
    out.emit(ok=not risk, apps=[asdict(found) for found in apps])
    if risk:
        raise SystemExit(ExitCode.FAILED)


def _table(status: AppStatus) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=f"{plain(status.app)}", title_justify="left", title_style="bold", pad_edge=False, box=SIMPLE_HEAD
    )
    table.add_column("lane", justify="right")
    for heading in ("waiting", "held", "dead", "oldest"):
        table.add_column(heading, justify="right")
    table.add_column("state")
    for lane in status.lanes:
        table.add_row(
            str(lane.lane), _count(lane.depth), _count(lane.held, "yellow"), _count(lane.dead, "red"),
            _age(lane.oldest_age_s), _state(lane),
        )  # fmt: skip
    table.add_section()
    ages = [lane.oldest_age_s for lane in status.lanes if lane.oldest_age_s is not None]
    table.add_row(
        "all",
        _count(sum(lane.depth for lane in status.lanes)),
        _count(sum(lane.held for lane in status.lanes), "yellow"),
        _count(sum(lane.dead for lane in status.lanes), "red"),
        _age(max(ages, default=None)),
        "[red]paused[/]" if status.pause is not None else "",
    )
    return table


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


def _state(lane: LaneStatus) -> str:
    if lane.newer_version:
        return f"[red]entry version {plain(lane.newer_version)}: for a worker of a newer release[/]"
    if lane.unreadable:
        return "[red]unreadable[/]"
    if lane.failures:
        return "[red]failing[/]"
    if lane.leased:
        return "[green]draining[/]"
    if lane.armed:
        return "rung"
    return "waiting" if lane.depth else "[dim]empty[/]"
