"""``sockudo-publisher doctor``: check this deployment and say what to change."""

from __future__ import annotations

from dataclasses import asdict

import click

from .exits import ExitCode
from .output import Output, plain

__all__ = ["command"]

#: The colour of each state.
_COLOURS = {"fine": "green", "risk": "yellow", "broken": "bold red", "unknown": "dim"}


@click.command("doctor")
@click.option("--app", help="The app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")
@Output.command
def command(out: Output, *, app: str | None) -> None:
    """Check Redis, the broker, the workers and Sockudo, and say what to change.

    Each line has a state (fine, risk, broken or unknown) and the reason. Changes nothing. Publishes test events
    to the channel sockudo-publisher-doctor only. Takes some seconds, at most half a minute.

    Exit code 1 if something is broken or at risk, 3 if Redis or Sockudo cannot be reached.
    """
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    name = app or DEFAULT_APP
    settings.url_of(name)
    from ..doctor import diagnose

    diagnosis = diagnose(settings, name)
    width = max(len(finding.name) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        state = finding.state.value
        out.print(f"[{_COLOURS[state]}]{state:7}[/]  [bold]{finding.name:{width}}[/]  {plain(finding.why)}")
        if finding.change:
            label = "look" if finding.state.value == "unknown" else "change"
            out.print(f"{'':{width + 11}}[cyan]{label}[/]: {plain(finding.change)}")
    out.print_json(ok=diagnosis.is_well, app=name, findings=[asdict(finding) for finding in diagnosis.findings])
    if diagnosis.is_unreachable:
        raise SystemExit(ExitCode.UNREACHABLE)
    if not diagnosis.is_well:
        raise SystemExit(ExitCode.FAILED)
