"""``sockudo-publisher status``: the waiting events of each lane, and whether they are being delivered."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .outbox_rows import RowCounter, outbox_lines
from .output import Output, plain
from .status_text import print_app

if TYPE_CHECKING:
    from ..operations import AppStatus, FailOn

__all__ = ["command"]

#: Seconds between two looks of ``--watch``: least, default.
MIN_EVERY_S, EVERY_S = 0.2, 2.0

#: Clears the terminal and puts the cursor into its first place.
_CLEAR = "\x1b[H\x1b[2J"


@click.command("status")
@click.option("--app", help="Show only this app.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(MIN_EVERY_S, 3600),
    default=EVERY_S,
    show_default=True,
    metavar="S",
    help="Seconds between two looks of --watch.",
)
@click.option("--fail-on", metavar="LIST", help="What makes the exit code 1, such as dead,paused,oldest=60.")
@Output.command
def command(out: Output, app: str | None, watch: bool, every: float, fail_on: str | None) -> None:
    """Show the lanes of every app: waiting events, the age of the oldest, held events and dead letters.

    Exit code 1 if an operator must act: an app is paused, there are dead letters or parked events, events wait under
    a name that is no longer configured, for a worker of a newer release, or for 15 seconds without a live worker, a
    worker delivers the app to another app, the deliveries of a lane keep failing, a key in Redis contains data that
    the journal did not write, or the server forgets message ids too early (the output names the server's setting to
    change). --fail-on chooses among these: dead, paused, forgets, unconfigured, workers, rival, unreadable, failing,
    newer, parked, outbox, oldest=SECONDS, an event that has waited longer (a scheduled one: since it was due), and
    late=SECONDS, a scheduled one alone.

    Rows of an outbox are in your own database, which this command does not know. "manage.py sockudo status" counts
    Django's; with SQLAlchemy ask Outbox.figures, Outbox.parked, or the metrics of the relay.

    Exit code 2 if no app is configured and none has events, or if an app's URL is malformed; 3 if Redis cannot be
    reached. --watch goes on then, and ends with 0.
    """
    from .. import operations
    from ..outbox.figures import known_tables

    checked = operations.FailOn() if fail_on is None else operations.FailOn.parse(fail_on)
    counter = RowCounter(known_tables(), app)
    if watch:
        _watch(out, app, checked, counter, every)
    elif not _look(out, app, checked, counter, names_problems=fail_on is not None):
        raise SystemExit(ExitCode.FAILED)


def _look(out: Output, app: str | None, fail_on: FailOn, counter: RowCounter, *, names_problems: bool = False) -> bool:
    """Read and write the state once; returns whether nothing in it needs a person."""
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    from .. import operations
    from ..wiring.app import check_app

    for name in settings.app_urls() if app is None or app not in settings.app_urls() else (app,):
        check_app(settings, name)  # a URL or key that no worker could use
    apps = operations.status(app, settings=settings)
    if not apps:
        settings.url_of(app or DEFAULT_APP)  # raises, and names the variable to set
    problems = {found.app: fail_on.problems(found) for found in apps}
    rows = counter.look()
    of_outbox = () if rows is None else fail_on.outbox_problems(parked=rows.parked, oldest_age_s=rows.oldest_age_s)
    is_ok = not of_outbox and not any(problems.values())
    _write(out, apps)
    if rows is not None:
        for line in outbox_lines(rows):
            out.print(line)
    if names_problems:
        for name, found in (*problems.items(), ("outbox", of_outbox)):
            if found:
                out.print(f"[bold red]exit code 1[/]: {plain(name)}: {', '.join(found)}")
    out.print_json(
        ok=is_ok,
        apps=[{**asdict(found), "problems": problems[found.app]} for found in apps],
        outbox=None if rows is None else {**rows.as_json(), "problems": of_outbox},
    )
    return is_ok


def _write(out: Output, apps: Sequence[AppStatus]) -> None:
    from ..canaries.verdict import summary

    for found in apps:
        print_app(out, found, summary(found.memory))


def _watch(out: Output, app: str | None, fail_on: FailOn, counter: RowCounter, every_s: float) -> None:
    """Look until Ctrl-C, which is the way to end it. A Redis that is away is shown, and looked for again."""
    from ..errors import JournalUnavailable

    clear = "" if out.as_json or not sys.stdout.isatty() else _CLEAR
    try:
        while True:
            if clear:
                click.echo(clear, nl=False)
            try:
                _look(out, app, fail_on, counter)
            except JournalUnavailable as error:
                out.print(f"[bold red]Redis is away[/]: {plain(str(error))}")
                out.print_json(ok=False, error={"type": type(error).__name__, "message": str(error)})
            time.sleep(every_s)
    except KeyboardInterrupt:
        return
