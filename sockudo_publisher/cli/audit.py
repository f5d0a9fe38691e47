"""``sockudo-publisher audit``: what operators did."""

from __future__ import annotations

from dataclasses import asdict

import click

from .output import Output, plain
from .target_app import app_option, when

__all__ = ["command"]


@click.group("audit")
def command() -> None:
    """Show what operators did: pauses, resumes, replays, purges, cancelled events."""


@command.command("list")
@app_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="At most this many.")
@Output.command
def list_(out: Output, *, app: str | None, limit: int) -> None:
    """List actions, newest first: when, who, what, and the result."""
    from .. import operations

    entries = operations.audit(app, limit=limit)
    for entry in entries:
        counts = ", ".join(f"{name} {count:,}" for name, count in (entry.counts or {}).items())
        out.print(
            f"{when(entry.at_ms)}  [bold]{plain(entry.action)}[/]  {plain(entry.by)}  {plain(entry.what)}"
            + (f"  [dim]{plain(counts)}[/]" if counts else "")
        )
    if not entries:
        out.print("No actions.")
    out.print_json(ok=True, entries=[asdict(entry) for entry in entries])
