"""``sockudo-publisher wait-empty``: wait until no event waits, before maintenance."""

from __future__ import annotations

import click

from .exits import ExitCode
from .output import Output

__all__ = ["command"]


@click.command("wait-empty")
@click.option("--app", help="Only this app. Default: every configured app.")
@click.option(
    "--timeout", required=True, type=click.FloatRange(0, 86_400), metavar="S", help="Seconds to wait at most."
)
@Output.command
def command(out: Output, *, app: str | None, timeout: float) -> None:
    """Wait until no event waits, is held or is in delivery; exit code 1 if some are left after --timeout seconds.

    Dead letters, scheduled events and rows of an outbox do not count.
    """
    from .. import operations

    is_empty = operations.wait_until_empty(timeout, app=app)
    paused = [] if is_empty else [one.app for one in operations.status(app) if one.pause or one.operator_pause]
    out.print("Empty." if is_empty else f"[yellow]Not empty after {timeout:g} s.[/]")
    if paused:
        out.print("Paused, so nothing leaves: see status.")
    out.print_json(ok=is_empty, empty=is_empty, paused=paused)
    if not is_empty:
        raise SystemExit(ExitCode.FAILED)
