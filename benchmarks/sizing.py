"""What a deployment needs in Redis, for each thing that it keeps: ``python -m benchmarks.sizing [--events N]``.

Measured with a Redis of its own, as the difference of ``used_memory``: waiting events stored one by one and in bulk,
the records of keys, scheduled events, and connections. The RAM of a worker, and the CPU of caller and worker for an
event, are those of real processes. docs/operate/sizing.md has the table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import redis

from sockudo_publisher import configure, publish, publish_many
from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer, WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for

#: The data of an event, in bytes; the channel's name has 9.
DATA_BYTES = 200


def main() -> None:
    """Measure and print, a line for each thing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory(prefix="sizing-") as directory:
        place = Path(directory)
        with RedisServer(place / "redis") as server, DevServerProcess(place / "sockudo") as sockudo:
            configure(url=sockudo.url, redis_url=server.url)
            with redis.Redis.from_url(server.url) as client:
                _measure_redis(client, events)
            _measure_worker(server, sockudo, place, events)


def _measure_redis(client: redis.Redis, events: int) -> None:
    data = "x" * DATA_BYTES

    def bulk(**more: str) -> None:
        publish_many(((f"channel-{n % 100:02}", "e", data) for n in range(events)), **more)

    def one_by_one() -> None:
        for n in range(events // 10):
            publish.delay(f"channel-{n % 100:02}", "e", data)

    def scheduled() -> None:
        for n in range(events // 10):
            publish.apply_async((f"channel-{n % 100:02}", "e", data), countdown=86_400)

    publish.delay("channel-00", "e", data)  # what is there once
    plain = _bytes(client, "a waiting event, in bulk", bulk, events)
    _bytes(client, "a waiting event, by delay", one_by_one, events // 10)
    keyed = _per_event(client, lambda: bulk(key_prefix="order-0000"), events)
    print(f"a key= record: {keyed - plain:.0f} bytes")
    _bytes(client, "a scheduled event", scheduled, events // 10)
    opened: list[redis.Redis] = []

    def connect() -> None:
        for _ in range(100):
            opened.append(_clone(client))
            opened[-1].ping()

    _bytes(client, "a connection", connect, 100)
    for one in opened:
        one.close()
    client.flushall()
    configure()


def _clone(client: redis.Redis) -> redis.Redis:
    kwargs = client.connection_pool.connection_kwargs
    return redis.Redis(host=kwargs["host"], port=kwargs["port"], password=kwargs["password"])


def _measure_worker(server: RedisServer, sockudo: DevServerProcess, place: Path, events: int) -> None:
    env = {"SOCKUDO_URL": sockudo.url, "SOCKUDO_REDIS_URL": server.url}
    configure(url=sockudo.url, redis_url=server.url)
    began = _cpu_s(os.getpid())
    publish_many((f"channel-{n % 100:02}", "e", "x" * DATA_BYTES) for n in range(events))
    print(f"CPU of a caller, in bulk: {(_cpu_s(os.getpid()) - began) / events * 1e6:.0f} us an event")
    with redis.Redis.from_url(server.url) as client, ExitStack() as ends:
        before = len(client.client_list())
        worker = ends.enter_context(WorkerProcess(env, directory=place))

        def is_empty() -> bool:
            return not any(client.xlen(key) for key in client.scan_iter("sockudo:*:stream"))

        if not wait_for(is_empty, 300):
            raise RuntimeError("the events were not delivered")
        time.sleep(1.0)
        print(f"a worker, after {events:,} events: {_status_mib(worker.pid, 'VmRSS'):.0f} MiB of RAM")
        print(f"a worker's connections to Redis: {len(client.client_list()) - before}")
        busy = _cpu_s(worker.pid)
        publish_many((f"channel-{n % 100:02}", "e", "x" * DATA_BYTES) for n in range(events))
        wait_for(is_empty, 300)
        print(f"CPU of a worker: {(_cpu_s(worker.pid) - busy) / events * 1e6:.0f} us an event")


def _bytes(client: redis.Redis, name: str, run: Callable[[], None], count: int) -> float:
    each = _per_event(client, run, count)
    print(f"{name}: {each:.0f} bytes")
    return each


def _per_event(client: redis.Redis, run: Callable[[], None], count: int) -> float:
    before = int(client.info("memory")["used_memory"])
    run()
    return (int(client.info("memory")["used_memory"]) - before) / count


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {name} in /proc/{pid}/status")


if __name__ == "__main__":
    main()
