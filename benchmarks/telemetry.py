"""What the metrics cost: a caller's tight loop and a worker's drain, with and without them, in pairs."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from sockudo_publisher import publish, publish_many
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.wiring.app import app_named

from .drained import settled, watch
from .parts import CeleryWorker, Parts
from .plan import Plan
from .rates import MIDDLE, at_count, middle_rate
from .usage import cpu_s
from .workload import events

__all__ = ["Telemetry", "measure"]

#: Seconds between two scrapes; Prometheus' usual interval is 15.
SCRAPE_S = 5.0

#: Calls of one block, and blocks of a pair: blocks of both sides alternate, so that a disturbance meets both.
BLOCK_CALLS = 50

#: Rounds and calls of the part that is measured alone.
ADDED_ROUNDS = 9
ADDED_CALLS = 20_000


@dataclass
class Telemetry:
    """``added_us``: CPU microseconds of what metrics add to a call, measured alone, with the thread's part.

    By pair, with metrics and without: CPU microseconds of a call, events a second of a drain, and the worker's CPU
    microseconds per event in it, which the rest of the machine disturbs less.
    """

    added_us: list[float] = field(default_factory=list)
    call_us: dict[str, list[float]] = field(default_factory=lambda: {"on": [], "off": []})
    drained: dict[str, list[float]] = field(default_factory=lambda: {"on": [], "off": []})
    singles: dict[str, list[float]] = field(default_factory=lambda: {"on": [], "off": []})
    worker_us: dict[str, list[float]] = field(default_factory=lambda: {"on": [], "off": []})
    worker_singles_us: dict[str, list[float]] = field(default_factory=lambda: {"on": [], "off": []})


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Telemetry:
    """Each pair measures both sides, one after the other, the order changing."""
    result = Telemetry()
    parts.fresh()
    result.added_us += [_added_us() for _ in range(ADDED_ROUNDS)]
    say(f"telemetry: us of CPU that a call has more, alone: {min(result.added_us):.2f}")
    for number in range(plan.telemetry_pairs):
        for side, value in _calls(plan.delay_calls).items():
            result.call_us[side].append(value)
        on, off = result.call_us["on"][-1], result.call_us["off"][-1]
        say(f"telemetry: pair {number + 1} of {plan.telemetry_pairs}, us of CPU per delay: on {on:.1f}, off {off:.1f}")
    for number in range(plan.telemetry_pairs):
        for kind, rates, cpu_us in (
            ("packs", result.drained, result.worker_us),
            ("single entries", result.singles, result.worker_singles_us),
        ):
            for side in ("on", "off") if number % 2 else ("off", "on"):
                rate, us = _drain(parts, plan, is_on=side == "on", is_single=rates is result.singles)
                rates[side].append(rate)
                cpu_us[side].append(us)
            say(
                f"telemetry: drained from {kind}: on {rates['on'][-1]:,.0f}/s, off {rates['off'][-1]:,.0f}/s; "
                f"us of the worker's CPU per event: on {cpu_us['on'][-1]:.1f}, off {cpu_us['off'][-1]:.1f}"
            )
    return result


def _calls(count: int) -> dict[str, float]:
    """CPU microseconds of a ``delay``; with metrics including the thread that adds them up.

    One app with one connection, whose observer changes from block to block: what a machine does meanwhile meets both.
    """
    from sockudo_publisher.telemetry.observer import NOTHING
    from sockudo_publisher.telemetry.prometheus import OBSERVER

    app = app_named()
    blocks: dict[str, list[float]] = {"on": [], "off": []}
    todo = list(events(BLOCK_CALLS))
    for event in todo:  # connections, scripts, the lanes' doorbells
        publish.delay(*event)
    try:
        for number in range(max(4, 2 * count // BLOCK_CALLS)):
            for side in ("on", "off") if number % 2 else ("off", "on"):
                app.observer = OBSERVER if side == "on" else NOTHING
                began = time.process_time()
                for event in todo:
                    publish.delay(*event)
                if side == "on":
                    OBSERVER.flush()
                blocks[side].append((time.process_time() - began) / BLOCK_CALLS * 1e6)
    finally:
        app.observer = NOTHING
    return {side: median(values) for side, values in blocks.items()}


def _added_us() -> float:
    """What `store_event` does more for an observer that counts: a whole call takes far longer, and varies by more."""
    from sockudo_publisher.telemetry.observer import NOTHING
    from sockudo_publisher.telemetry.prometheus import OBSERVER

    spent = {}
    for side, observer in (("on", OBSERVER), ("off", NOTHING)):
        began = time.process_time()
        for _ in range(ADDED_CALLS):
            assert not observer.traces_calls
            observer.appended("default", 1)
        OBSERVER.flush()
        spent[side] = time.process_time() - began
    return (spent["on"] - spent["off"]) / ADDED_CALLS * 1e6


def _drain(parts: Parts, plan: Plan, *, is_on: bool, is_single: bool) -> tuple[float, float]:
    """Events a second of a worker that meets a backlog, of packs (`publish_many`) or of entries of one event; and its
    CPU microseconds per event in the middle of it.
    """
    parts.fresh()
    count = max(10_000, plan.telemetry_events // 5) if is_single else plan.telemetry_events
    if is_single:
        for event in events(count):
            publish.delay(*event)
    else:
        publish_many(events(count))
    port = free_port()
    env = {**parts.env, **({"SOCKUDO_METRICS_PORT": str(port)} if is_on else {})}
    drainer = CeleryWorker("worker", parts.directory, env)
    with settled(parts.redis.url) as look, _scraped(port if is_on else 0), drainer:
        pids, used = drainer.pids, []
        samples = watch(look, count, lambda reached: used.append((cpu_s(pids), float(reached))))
    cpu = at_count(used, MIDDLE[1] * count) - at_count(used, MIDDLE[0] * count)
    return middle_rate(samples, count), cpu / ((MIDDLE[1] - MIDDLE[0]) * count) * 1e6


@contextmanager
def _scraped(port: int) -> Iterator[None]:
    """Scrape the port meanwhile."""
    end = threading.Event()

    def scrape() -> None:
        while not end.wait(SCRAPE_S):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
                    answer.read()
            except OSError:
                pass  # it starts, or has ended

    thread = threading.Thread(target=scrape, daemon=True)
    if port:
        thread.start()
    try:
        yield
    finally:
        end.set()
        if port:
            thread.join(timeout=5)
