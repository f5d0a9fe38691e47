"""``sockudo-publisher resume``: end a pause whose cause is removed."""

from __future__ import annotations

import click

from .output import Output, plain

__all__ = ["command"]


@click.command("resume")
@click.option("--app", help="The app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")
@Output.command
def command(out: Output, *, app: str | None) -> None:
    """End an app's pause now, not when its next probe succeeds, and let workers deliver its waiting events.

    Succeeds also if the app is not paused.
    """
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    name = app or DEFAULT_APP
    settings.url_of(name)
    from .. import operations

    resumed = operations.resume(settings, name)
    out.print(f"[bold]{plain(name)}[/] {'resumed' if resumed else 'was not paused'}.")
    out.print_json(ok=True, app=name, resumed=resumed)
