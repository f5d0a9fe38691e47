"""``sockudo-publisher doctor``: whether this deployment can keep the promise, and what to change."""

from __future__ import annotations

from dataclasses import asdict

import click

from .exits import ExitCode
from .output import Output, plain

__all__ = ["command"]

#: How each state is shown.
_COLOURS = {"fine": "green", "risk": "yellow", "broken": "bold red", "unknown": "dim"}


@click.command("doctor")
@click.option("--app", help="The app's name in SOCKUDO_APPS; by default that of SOCKUDO_URL.")
@Output.command
def command(out: Output, *, app: str | None) -> None:
    """Look at Redis, the broker, the workers and Sockudo, and say what to change.

    Each line: fine, risk, broken or unknown, and why. Changes nothing; what it publishes goes to the channel
    sockudo-publisher-doctor, which nobody reads. Takes some seconds, and at most half a minute.

    Exit code 1 when something is broken or at risk, 3 when Redis or Sockudo cannot be reached.
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
        out.say(f"[{_COLOURS[state]}]{state:7}[/]  [bold]{finding.name:{width}}[/]  {plain(finding.why)}")
        if finding.change:
            label = "look" if finding.state.value == "unknown" else "change"
            out.say(f"{'':{width + 11}}[cyan]{label}[/]: {plain(finding.change)}")
    out.emit(ok=diagnosis.is_well, app=name, findings=[asdict(finding) for finding in diagnosis.findings])
    if diagnosis.is_unreachable:
        raise SystemExit(ExitCode.UNREACHABLE)
    if not diagnosis.is_well:
        raise SystemExit(ExitCode.FAILED)
