"""The two ways to run the demo: live, with a page, or once, with a verdict. Starts and ends everything.

Whatever ends it (Ctrl-C, SIGTERM, a closed terminal, an error) unwinds one stack of what was started,
last first; nothing else is touched.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from datetime import time as time_of_day
from typing import Any

from ...terminal import Terminal, plain
from ..subscriber import Subscriber, ws_url
from ..tally import Tally
from .board import Board
from .ending import everything_ends
from .flights import DAY, ORIGINS, departures, year
from .page import PageServer, bind_from, page_app
from .replay import DayReplay, publish_day, publish_year
from .stage import HOST, Stage, start
from .timetable import AIRPORT_CHANNELS, airport_channel, carrier_channels

__all__ = ["live", "once"]

#: Seconds without a further event after which missing events count as lost. A dropped request may
#: hold a channel back for the two minutes of the server's claim; here nothing drops requests.
SILENCE_S = 30.0
#: Seconds to wait for repeats after every event arrived.
EXTRA_S = 0.5
#: Seconds between two checks of the progress.
LOOK_S = 0.05


def live(
    console: Terminal, emit: Callable[..., None], *, real: bool, port: int, speed: float, start_at: time_of_day
) -> None:
    """Replay the day on a page until Ctrl-C. Calls ``emit`` when it is ready, and at the end."""
    day = departures()
    board = Board()
    with everything_ends(lambda: console.print("[dim]Ending what was started ...[/]")) as stack:
        stage = start(stack, console, real=real)
        page = stack.enter_context(
            PageServer(page_app(_snapshot(board, stage, day, speed), stage.port), bind_from(port))
        )
        replay = DayReplay(
            day=day,
            board=board,
            speed=speed,
            start_at=datetime.combine(DAY, start_at),
            stop=threading.Event(),
            warn=lambda text: console.print(f"[yellow]{plain(text)}[/]"),
        )
        stack.callback(lambda: emit(ok=True, event="ended", published=board.published))
        _say_where(console, page, stage)
        emit(ok=True, event="ready", url=page.url, **stage.values())
        with console.status("") as status, _every(0.5, lambda: status.update(_progress(replay, board))):
            replay.run()


def once(console: Terminal, *, real: bool, year_sdist: str | None) -> dict[str, Any]:
    """Publish and receive all events, and compare. Returns the tally; ``ok``: each event arrived once, in order."""
    day = departures()
    tally = Tally()
    channels = AIRPORT_CHANNELS if year_sdist else (*AIRPORT_CHANNELS, *carrier_channels(day))
    with everything_ends(lambda: console.print("[dim]Ending what was started ...[/]")) as stack:
        stage = start(stack, console, real=real)
        subscriber = stack.enter_context(Subscriber(ws_url(f"ws://{HOST}:{stage.port}", stage.key), *channels))
        console.print(f"A WebSocket subscriber watches {len(channels)} channels")
        began = time.monotonic()
        with console.status("") as status:

            def look() -> None:
                _note_seen(subscriber, tally)
                status.update(f"{tally.published:,} published, {tally.seen:,} seen")

            with _every(0.2, look):
                if year_sdist:
                    publish_year(year(year_sdist), tally)
                else:
                    publish_day(day, tally)
                published_s = time.monotonic() - began
                _wait_until_seen(subscriber, tally)
        seconds = subscriber.last_at - began
        _wait_for_extra(subscriber, tally)
        verdict = tally.verdict()
        result = {
            "ok": verdict.ok and subscriber.error is None,
            "published": verdict.published,
            "seen": verdict.seen,
            "channels": verdict.channels,
            "lost": verdict.lost,
            "duplicates": verdict.duplicates,
            "out_of_order": verdict.out_of_order,
            "altered": verdict.altered,
            "published_s": round(published_s, 3),
            "seconds": round(seconds, 3),
            "events_per_s": round(verdict.seen / seconds) if seconds > 0 else 0,
            **stage.values(),
        }
        _say_tally(console, result, subscriber.error)
        return result
    raise AssertionError("the stack swallows nothing but Ctrl-C, which ends the process")


@contextmanager
def _every(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Call ``do`` every ``seconds`` in a thread, until the block ends."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(seconds):
            do()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _snapshot(board: Board, stage: Stage, day: Any, speed: float) -> Callable[[], dict[str, Any]]:
    fixed = {
        # A page of an earlier run starts anew when it meets another one.
        "run": uuid.uuid4().hex,
        "socket": {"port": stage.port, "key": stage.key},
        "speed": speed,
        "airports": [{"code": code, "name": name, "channel": airport_channel(code)} for code, name in ORIGINS.items()],
        "carriers": carrier_channels(day),
        "parts": stage.description,
    }
    return lambda: {**fixed, **board.snapshot()}


def _progress(replay: DayReplay, board: Board) -> str:
    return f"[bold yellow]{replay.clock:%H:%M}[/] on the board, {board.published:,} events published; Ctrl-C ends it"


def _say_where(console: Terminal, page: PageServer, stage: Stage) -> None:
    console.print(f"\n[bold]Look here:[/] [bold yellow]{page.url}[/]\n")
    path = f"publish.delay → Redis → worker → {plain(stage.server_name)} → WebSocket → this page"
    console.print(f"[dim]{path}[/]\n")


def _note_seen(subscriber: Subscriber, tally: Tally) -> None:
    """Count what has come since the last time. By one thread at a time."""
    for event in subscriber.pop_events():
        tally.note_seen(event.channel, event.data)


def _wait_until_seen(subscriber: Subscriber, tally: Tally) -> None:
    """Wait until everything came, or nothing more does."""
    since = time.monotonic()
    while subscriber.count < tally.published and subscriber.error is None:
        if time.monotonic() - max(since, subscriber.last_at) > SILENCE_S:
            return
        time.sleep(LOOK_S)


def _wait_for_extra(subscriber: Subscriber, tally: Tally) -> None:
    """Repeats would come last; give them a moment."""
    until = time.monotonic() + EXTRA_S
    while time.monotonic() < until and subscriber.error is None and subscriber.count <= tally.published:
        time.sleep(LOOK_S)
    _note_seen(subscriber, tally)


def _say_tally(console: Terminal, result: dict[str, Any], error: Exception | None) -> None:
    lines = [
        ("bold", f"{result['published']:,}", f"published on {result['channels']} channels"),
        ("bold", f"{result['seen']:,}", "seen by the subscriber"),
    ]
    for name, text in (("lost", "lost"), ("duplicates", "seen twice"), ("out_of_order", "out of order")):
        lines.append(("bold red" if result[name] else "bold green", f"{result[name]:,}", text))
    if result["altered"]:
        lines.append(("bold red", "!", "not all arrived as they were published"))
    rate = f"events a second, from the first call to the last arrival ({result['seconds']:.1f} s)"
    lines.append(("bold", f"{result['events_per_s']:,}", rate))
    width = max(len(number) for _, number, _ in lines)
    for style, number, text in lines:
        console.print(f"[{style}]{number:>{width}}[/] {text}")
    if error is not None:
        console.print(f"[red]The subscriber lost its connection: {plain(str(error))}[/]")
    if result["ok"]:
        console.print("[bold green]Every event once, in order.[/]")
    else:
        console.print("[bold red]Not what was published.[/]")
