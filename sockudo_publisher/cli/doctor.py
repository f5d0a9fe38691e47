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
@click.option(
    "--timeout",
    "timeout_s",
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(1.0, 600.0),
    help="All checks end after this time; what is not known by then is reported as unknown.",
)
@Output.command
def command(out: Output, *, app: str | None, timeout_s: float) -> None:
    """Check Redis, the broker, the workers and Sockudo, and say what to change.

    Each line has a state (fine, risk, broken or unknown) and the reason. Changes nothing. Publishes test events
    to the channel sockudo-publisher-doctor only. Takes about five seconds, ten without workers, --timeout at most.

    Exit code 1 if something is broken or at risk, 3 if Redis or Sockudo cannot be reached.
    """
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    name = app or DEFAULT_APP
    settings.url_of(name)
    from ..doctor import diagnose

    diagnosis = diagnose(settings, name, timeout_s=timeout_s)
    width = max(len(finding.name) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        state = finding.state.value
        out.print(f"[{_COLOURS[state]}]{state:7}[/]  [bold]{finding.name:{width}}[/]  {plain(finding.why)}")
        if finding.change:
            label = "look" if finding.state.value == "unknown" else "change"
            out.print(f"{'':{width + 11}}[cyan]{label}[/]: {plain(finding.change)}")
    if diagnosis.is_out_of_time:
        out.print(f"The time was up after {timeout_s:g} s; a longer --timeout lets slow parts answer.")
    out.print_json(
        ok=diagnosis.is_well,
        app=name,
        timed_out=diagnosis.is_out_of_time,
        findings=[asdict(finding) for finding in diagnosis.findings],
    )
    if diagnosis.is_unreachable:
        raise SystemExit(ExitCode.UNREACHABLE)
    if not diagnosis.is_well:
        raise SystemExit(ExitCode.FAILED)
