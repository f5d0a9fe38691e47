"""``sockudo-publisher find``: where an event is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .output import Output, plain
from .target_app import app_option, when

if TYPE_CHECKING:
    from ..operations.locating import EventPlace

__all__ = ["command"]


@click.command("find")
@click.argument("message_id", metavar="ID")
@app_option
@Output.command
def command(out: Output, *, message_id: str, app: str | None) -> None:
    """Find an event by its message id: scheduled, waiting, in delivery, held or dead; exit code 1 if it is nowhere.

    Then it was cancelled, which the output says, or was delivered, has expired, was purged, or never stored. Every
    waiting event is read.
    """
    from .. import operations

    found = operations.find(message_id, app=app)
    for place in found.places:
        out.print(f"[bold]{place.state}[/]  {plain(place.channel)}  {plain(place.name)}{_where(place)}")
        if place.detail:
            out.print(f"    [dim]{plain(place.detail)}[/]")
    if found.state == "cancelled":
        out.print("Cancelled: it was scheduled, and was taken back before it was stored.")
    elif not found.places:
        out.print("Not here: delivered, expired, purged, or never stored.")
    out.print_json(
        ok=bool(found.places),
        message_id=found.message_id,
        state=found.state,
        places=[asdict(place) for place in found.places],
    )
    if not found.places:
        raise SystemExit(ExitCode.FAILED)


def _where(place: EventPlace) -> str:
    """The lane and the entry; a scheduled event has none, its detail says when it is due."""
    if place.lane is None:
        return ""
    kind = "dead letter" if place.state == "dead" else "entry"
    return f"  lane {place.lane}, {kind} {plain(place.id)}, since {when(place.since_ms)}"
