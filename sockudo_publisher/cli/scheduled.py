"""``sockudo-publisher scheduled``: list and cancel events that are due later."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .output import Output, plain
from .target_app import actor_option, app_option

if TYPE_CHECKING:
    from ..operations.scheduling import Cancelled, ScheduledEvent

__all__ = ["command"]


def _read_time(_context: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """A time given as ISO 8601; UTC if it has no zone."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter("expected a time as 2030-01-31T12:00:00+00:00") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


@click.group("scheduled")
def command() -> None:
    """List or cancel scheduled events.

    A scheduled event was published with countdown= or eta=, and waits in Redis until it is due.
    """


@command.command("list")
@app_option
@click.option("--channel", help="Only of this channel.")
@click.option("--event", help="Only with this event name.")
@click.option(
    "--due-before",
    metavar="TIME",
    callback=_read_time,
    help="Only what is due before this time (ISO 8601; UTC without a zone).",
)
@click.option("--parked", is_flag=True, help="Only events that could not be stored and wait for an operator.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Show at most this many."
)
@Output.command
def list_(
    out: Output,
    app: str | None,
    channel: str | None,
    event: str | None,
    due_before: datetime | None,
    parked: bool,
    limit: int,
) -> None:
    """List scheduled events, the earliest first, without their payloads."""
    from .. import operations
    from ..config.settings import DEFAULT_APP

    found = operations.scheduled(app, channel=channel, event=event, due_before=due_before, parked=parked, limit=limit)
    for one in found:
        out.print(f"[bold]{plain(one.id)}[/]  {_when(one)}  {one.size:,} bytes{_note(one)}")
        out.print(f"    {plain(one.channel)}  [bold]{plain(one.event)}[/]")
    if not found:
        out.print("No scheduled events.")
    elif len(found) == limit:
        out.print(f"The first {limit:,}. See more with --limit.")
    out.print_json(ok=True, app=app or DEFAULT_APP, scheduled=[asdict(one) for one in found])


@command.command("cancel")
@click.argument("ids", nargs=-1, metavar="ID...", required=True)
@app_option
@actor_option
@Output.command
def cancel(out: Output, ids: tuple[str, ...], app: str | None, actor: str | None) -> None:
    """Cancel scheduled events by their message ids, on all their channels, and free their keys.

    Exit code 1 if an event is not scheduled any more, or is being stored.
    """
    from .. import operations
    from ..config.settings import DEFAULT_APP

    answers = [operations.cancel(one, app=app, actor=actor) for one in dict.fromkeys(ids)]
    for answer in answers:
        out.print(f"[bold]{plain(answer.message_id)}[/]  {plain(_text(answer))}")
    is_done = all(answer.is_cancelled for answer in answers)
    cancelled = [{**asdict(answer), "is_cancelled": answer.is_cancelled} for answer in answers]
    out.print_json(ok=is_done, app=app or DEFAULT_APP, cancelled=cancelled)
    if not is_done:
        raise SystemExit(ExitCode.FAILED)


def _text(answer: Cancelled) -> str:
    parts = []
    if answer.channels:
        parts.append(f"cancelled on {', '.join(answer.channels)}")
    if answer.already:
        parts.append(f"cancelled before on {', '.join(answer.already)}")
    if answer.too_late:
        parts.append(f"too late on {', '.join(answer.too_late)}: being stored")
    return "; ".join(parts) or "not scheduled: it was stored, or is not of this app"


def _when(event: ScheduledEvent) -> str:
    try:
        return event.due.strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a record that cannot be read
        return f"{event.due_ms} ms"


def _note(event: ScheduledEvent) -> str:
    if event.is_parked:
        return "  [red]parked: its key was used for another event, or its record cannot be read[/]"
    return "  [yellow]is being stored[/]" if event.is_being_stored else ""
