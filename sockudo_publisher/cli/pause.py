"""``sockudo-publisher pause``: let an app's events wait until a person resumes it."""

from __future__ import annotations

import click

from .exits import ExitCode
from .output import Output, plain
from .target_app import actor_option, app_option

__all__ = ["command"]


@click.command("pause")
@app_option
@click.option("--reason", required=True, help="Why, for the readers of the status (1 to 500 characters).")
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    metavar="S",
    help="Wait until no lane is being drained, S seconds at most.",
)
@actor_option
@Output.command
def command(out: Output, *, app: str | None, reason: str, wait: float | None, actor: str | None) -> None:
    """Pause an app: nothing is sent for the first time until "resume". Events are stored meanwhile, and wait.

    Requests under way end, and events that may have been delivered are resolved. A second pause replaces the reason.
    With --wait the exit code is 1 if a lane is still being drained after that time; the app stays paused.
    """
    from .. import operations

    paused = operations.pause(app, reason=reason, actor=actor)
    out.print(f"[bold]{plain(paused.app)}[/] paused: {plain(paused.pause.reason)}")
    if paused.before:
        out.print(f"It was paused before: {plain(paused.before)}")
    is_idle = None if wait is None else operations.wait_until_idle(wait, app=paused.app)
    if is_idle is not None:
        out.print(
            "No lane is being drained." if is_idle else f"[yellow]A lane is still being drained after {wait:g} s.[/]"
        )
    out.print_json(
        ok=is_idle is not False,
        app=paused.app,
        reason=paused.pause.reason,
        by=paused.pause.by,
        since_ms=paused.pause.since_ms,
        before=paused.before or None,
        idle=is_idle,
    )
    if is_idle is False:
        raise SystemExit(ExitCode.FAILED)
