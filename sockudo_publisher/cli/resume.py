"""``sockudo-publisher resume``: end the pauses of an app."""

from __future__ import annotations

import click

from .output import Output, plain
from .target_app import actor_option, app_option

__all__ = ["command"]


@click.command("resume")
@app_option
@actor_option
@Output.command
def command(out: Output, *, app: str | None, actor: str | None) -> None:
    """End every pause of an app now, and let workers deliver its waiting events.

    Ends an operator's pause, and the pause of a server in trouble, which else ends when a probe succeeds. Succeeds also
    if the app is not paused.
    """
    from .. import operations
    from ..config.settings import DEFAULT_APP

    name = app or DEFAULT_APP
    resumed = operations.resume(name, actor=actor)
    out.print(f"[bold]{plain(name)}[/] {'resumed' if resumed else 'was not paused'}.")
    out.print_json(ok=True, app=name, resumed=bool(resumed), operator=resumed.operator, trouble=resumed.trouble)
