"""``python -m benchmarks.relay``: from the commit to the subscriber, through the outbox, beside ``publish.delay``.

One PostgreSQL, one relay as a process of its own, one worker, one subscriber in this process. The sides take turns in
blocks: ``delay``, the outbox with a relay that listens, the outbox with a relay that looks every 0.25 s.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.orm import Session

from sockudo_publisher import publish
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.outbox.sqlalchemy import Outbox
from tests.support.postgres import Postgres, find_postgres

from .parts import ROOT, parts, worker
from .ratios import percentile
from .workload import CHANNELS, EVENT, data

#: Events a second.
RATE = 20
#: Seconds for a relay to start, and for an event to arrive.
ARRIVE_S = 60.0
#: What the outbox may cost at the median, in milliseconds (docs/transactions.md).
MAX_MORE_MS = 5.0

metadata = MetaData()
outbox = Outbox(metadata, notify=True)
silent = Outbox(MetaData())


def main(arguments: list[str]) -> int:
    """Measure and print. Exit code 0 if the listening relay keeps its bound, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="blocks of each side (%(default)s)")
    parser.add_argument("--events", type=int, default=60, help="events of a block (%(default)s)")
    parser.add_argument("--relay", choices=("listen", "look"), help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.relay:
        outbox.run(create_engine(chosen.database), listen=chosen.relay == "listen")
        return 0
    programs = find_postgres()
    if programs is None:
        print("no PostgreSQL on this machine: apt-get install postgresql")
        return 1
    server = Postgres(programs)
    try:
        server.initialize()
        with server:
            medians = measure(server, chosen.pairs, chosen.events)
    finally:
        server.remove()
    more_ms = medians["outbox, relay listens"] - medians["delay"]
    print(f"the outbox with a relay that listens takes {more_ms:+.1f} ms at the median, bound {MAX_MORE_MS:g} ms")
    return 0 if more_ms <= MAX_MORE_MS else 1


def measure(server: Postgres, pairs: int, events: int) -> dict[str, float]:
    """The median of each side's block medians, in milliseconds."""
    url = server.url().replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    metadata.create_all(engine)
    sides: dict[str, tuple[str, Callable[[str, object], float]]] = {
        "delay": ("", delay),
        "outbox, relay listens": ("listen", lambda channel, value: place(engine, outbox, channel, value)),
        "outbox, relay looks": ("look", lambda channel, value: place(engine, silent, channel, value)),
    }
    p50: dict[str, list[float]] = {name: [] for name in sides}
    p95: dict[str, list[float]] = {name: [] for name in sides}
    number = 0
    with parts() as real:
        real.fresh()
        with worker(real), Subscriber(real.sockudo.ws_url(), *CHANNELS) as subscriber:
            for pair in range(pairs + 1):  # the first one warms up
                for name, (how, call) in sides.items():
                    with relay_of(how, url):
                        block(subscriber, call, 1, number)  # the relay has started
                        times = block(subscriber, call, events, number + 1)
                    number += events + 1
                    if pair:
                        p50[name].append(percentile(times, 0.5))
                        p95[name].append(percentile(times, 0.95))
    engine.dispose()
    for name in sides:
        print(
            f"{name:24} p50 {percentile(p50[name], 0.5):6.1f} ms   p95 {percentile(p95[name], 0.5):6.1f} ms", flush=True
        )
    return {name: percentile(values, 0.5) for name, values in p50.items()}


def delay(channel: str, value: object) -> float:
    """One event; returns the time of the call."""
    called = time.monotonic()
    publish.delay(channel, EVENT, value)
    return called


def place(engine: Engine, table: Outbox, channel: str, value: object) -> float:
    """One event in one transaction, as a request makes it; returns the time at which the commit began."""
    with Session(engine) as session:
        table.add(session, channel, EVENT, value)
        committed = time.monotonic()
        session.commit()
    return committed


def block(subscriber: Subscriber, call: Callable[[str, object], float], count: int, first: int) -> list[float]:
    """Milliseconds to the arrival of ``count`` events at :data:`RATE` a second."""
    called: dict[int, float] = {}
    before = subscriber.count
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, start + index / RATE - time.monotonic()))
        value = data(first + index)
        called[value["n"]] = call(CHANNELS[index % len(CHANNELS)], value)
    subscriber.wait_for_count(before + count, ARRIVE_S)
    arrived = {json.loads(json.loads(frame)["data"])["n"]: at for at, frame in subscriber.raw()[before:]}
    return [(arrived[number] - at) * 1000 for number, at in called.items()]


@contextmanager
def relay_of(how: str, url: str) -> Iterator[None]:
    """A relay as a process of its own; none for ``delay``."""
    if not how:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.relay", f"--relay={how}", f"--database={url}"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
