"""``sockudo-publisher resume``: end a pause, once its cause is mended."""

from __future__ import annotations

import click

from .output import Output, plain

__all__ = ["command"]


@click.command("resume")
@click.option("--app", help="The app's name in SOCKUDO_APPS; by default that of SOCKUDO_URL.")
@Output.command
def command(out: Output, *, app: str | None) -> None:
    """End an app's pause now, instead of when its next probe succeeds, and ring its lanes.

    Done too when it was not paused.
    """
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    name = app or DEFAULT_APP
    settings.url_of(name)
    from .. import operations

    resumed = operations.resume(settings, name)
    out.say(f"[bold]{plain(name)}[/] {'goes on' if resumed else 'was not paused'}.")
    out.emit(ok=True, app=name, resumed=resumed)
