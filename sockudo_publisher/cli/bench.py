"""``sockudo-publisher bench``: measure the speed of this machine or of this deployment."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..dev.bench.plan import DEFAULT_BYTES, DEFAULT_CHANNELS, EVENTS_ALONE, EVENTS_HERE, MIN_BYTES, Plan
from ..redaction import without_credentials
from .exits import ExitCode
from .extras import require_demo_extra
from .output import Output, plain
from .table import render_table

if TYPE_CHECKING:
    from ..dev.bench.figures import Row

__all__ = ["command"]

#: Upper limits. The events of a round must fit into Sockudo's buffer for one subscriber (dev/demo/stage.py).
MAX_EVENTS, MAX_CHANNELS, MAX_BYTES = 300_000, 500, 1_000_000


@click.command("bench")
@click.option(
    "--events",
    type=click.IntRange(1, MAX_EVENTS),
    help=f"Events to store with publish_many and deliver. Default: {EVENTS_ALONE:,}, with --here {EVENTS_HERE:,}.",
)
@click.option(
    "--channels",
    default=DEFAULT_CHANNELS,
    show_default=True,
    type=click.IntRange(1, MAX_CHANNELS),
    help="Channels to publish to, in turn.",
)
@click.option(
    "--bytes",
    "size",
    default=DEFAULT_BYTES,
    show_default=True,
    type=click.IntRange(MIN_BYTES, MAX_BYTES),
    help="Size of each event's data.",
)
@click.option(
    "--here", is_flag=True, help="Measure the deployment of SOCKUDO_URL and SOCKUDO_REDIS_URL, with its workers."
)
@click.option("--app", help="With --here: the app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")
@click.option(
    "--ws",
    metavar="URL",
    help="With --here: the address of WebSockets, ws://host:port. Default: host and port of SOCKUDO_URL.",
)
@Output.command
def command(
    out: Output, *, events: int | None, channels: int, size: int, here: bool, app: str | None, ws: str | None
) -> None:
    """Measure the time of a call, the events stored and delivered per second, and the latency of an event.

    Starts a Redis, a Sockudo (a real one if found in SOCKUDO_BIN or on PATH, else the embedded one) and one worker.
    Publishes through the queue and, for comparison, directly. Stops them at the end. Takes less than a minute.

    With --here it starts nothing and measures the deployment in the settings, with some thousand events on
    channels of its own, sockudo-publisher-bench-...

    Exit code 1 if an event was lost, repeated, out of order or altered, 3 if Redis or Sockudo cannot be reached.
    """
    if not here and (app is not None or ws is not None):
        raise click.UsageError("--app and --ws: need --here")
    require_demo_extra("the bench")
    plan = Plan(events or (EVENTS_HERE if here else EVENTS_ALONE), channels, size)
    from ..dev.demo.ending import everything_ends
    from ..dev.embedded import PartMissing

    try:
        with everything_ends(lambda: None if here else out.print("[dim]Stopping the started programs ...[/]")) as stack:
            result = _here(out, stack, plan, app, ws) if here else _alone(out, stack, plan)
    except PartMissing as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(ExitCode.FAILED) from None
    if not result:
        raise SystemExit(ExitCode.FAILED)


def _alone(out: Output, stack: ExitStack, plan: Plan) -> bool:
    """Measure parts started here. They become the settings of this process."""
    from ..config.settings import Settings
    from ..dev.bench.load import channel_names
    from ..dev.demo.stage import HOST, start
    from ..dev.embedded import find_sockudo

    _check_size(plan, Settings.max_event_bytes)
    real = find_sockudo() is not None
    stage = start(stack, out.console, real=real)
    if not real:
        out.print("[yellow]No real Sockudo found (SOCKUDO_BIN, PATH): the rates are those of the embedded one.[/]")
    where = (f"ws://{HOST}:{stage.port}", stage.key, channel_names(plan.channels))
    return _run(out, stack, plan, where, {"here": False, **stage.values()}, worker=stage.worker)


def _here(out: Output, stack: ExitStack, plan: Plan, app: str | None, ws: str | None) -> bool:
    """Measure the deployment in the settings. Prints first what it will do there."""
    from ..client.http.credentials import Credentials
    from ..config.settings import DEFAULT_APP, get_settings
    from ..dev.bench.load import PREFIX, channel_names
    from ..wiring.app import setting_of

    settings = get_settings()
    name = app or DEFAULT_APP
    credentials = Credentials.from_url(settings.url_of(name), setting=setting_of(settings, name))
    _check_size(plan, settings.max_event_bytes)
    channels = channel_names(plan.channels)
    # With --json stdout has one object only.
    (out.errors.print if out.as_json else out.print)(
        f"Publishes {plan.total:,} events of {plan.bytes:,} bytes to app [bold]{plain(name)}[/] at "
        f"{plain(credentials.base_url)}, on {plan.channels} channels of its own ({channels[0]} and on), half of them "
        f"through {plain(without_credentials(settings.redis_url))} and the workers there. "
        "No other channel is used. Ctrl-C ends the run."
    )
    where = (_websocket_url(ws, credentials.base_url), credentials.key, channels)
    about = {"here": True, "app": name, "sockudo": credentials.base_url, "channels": f"{PREFIX}*"}
    return _run(out, stack, plan, where, about, app=app)


def _check_size(plan: Plan, limit: int) -> None:
    if plan.bytes > limit:
        raise click.UsageError(f"--bytes: {plan.bytes}, limit {limit} (SOCKUDO_MAX_EVENT_BYTES)")


def _websocket_url(given: str | None, base_url: str) -> str:
    """``ws://host:port``: the given one, else that of HTTP."""
    if given is None:
        return f"ws{base_url.removeprefix('http')}"
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(given)
        is_valid = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.path.strip("/") or parts.query or parts.username:
        raise click.UsageError("--ws: expected ws(s)://host:port")
    return given


def _run(
    out: Output,
    stack: ExitStack,
    plan: Plan,
    where: tuple[str, str, tuple[str, ...]],
    about: dict[str, Any],
    **options: Any,
) -> bool:
    """Subscribe, measure, print. Returns whether each event arrived exactly once."""
    from ..dev.bench import figures
    from ..dev.bench.measure import EventsMissing, measure
    from ..dev.subscriber import Subscriber, ws_url

    address, key, channels = where
    subscriber = stack.enter_context(Subscriber(ws_url(address, key), *channels))
    try:
        with out.console.status("") as status:
            samples, verdict = measure(
                plan, channels, subscriber, say=lambda text: status.update(f"Measuring: {text}"), **options
            )
    except EventsMissing as error:
        hint = ": does a worker run, is the app paused (sockudo-publisher status)?" if about["here"] else ""
        out.print_error(type(error).__name__, f"{error}{hint}", ExitCode.FAILED, **asdict(error.verdict))
        return False
    out.print(_table(figures.TIMES, figures.times(samples)))
    out.print(_table(figures.RATES, figures.rates(samples, here=about["here"])))
    out.print(f"[{'bold green' if verdict.ok else 'bold red'}]{figures.describe_verdict(verdict)}[/]")
    out.print_json(**figures.values(samples, verdict, plan), **about)
    return verdict.ok


def _table(headings: Row, rows: list[Row]) -> str:
    return render_table(headings, [[plain(cell) for cell in row] for row in rows], left=(0,)) + "\n"
