"""``sockudo-publisher pause``: let an app's events wait until a person resumes it."""

from __future__ import annotations

import click

from .output import Output, plain
from .target_app import actor_option, app_option

__all__ = ["command"]


@click.command("pause")
@app_option
@click.option("--reason", required=True, help="Why, for the readers of the status (1 to 500 characters).")
@actor_option
@Output.command
def command(out: Output, *, app: str | None, reason: str, actor: str | None) -> None:
    """Pause an app: nothing is sent for the first time until "resume". Events are stored meanwhile, and wait.

    Requests under way end, and events that may have been delivered are resolved. A second pause replaces the reason.
    """
    from .. import operations

    paused = operations.pause(app, reason=reason, actor=actor)
    out.print(f"[bold]{plain(paused.app)}[/] paused: {plain(paused.pause.reason)}")
    if paused.before:
        out.print(f"It was paused before: {plain(paused.before)}")
    out.print_json(
        ok=True,
        app=paused.app,
        reason=paused.pause.reason,
        by=paused.pause.by,
        since_ms=paused.pause.since_ms,
        before=paused.before or None,
    )
