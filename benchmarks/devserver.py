"""``python -m benchmarks.devserver``: the embedded Sockudo's start, throughput, idle connections and memory.

One line of JSON. The targets: up in a second; 5,000 events/s in batches of 100 to one subscriber each; 1,000 idle
connections. The server is a process of its own, as `sockudo-publisher dev-server` is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sockudo_publisher import Sockudo
from sockudo_publisher.dev.embedded import DevServerProcess
from sockudo_publisher.dev.subscriber import Subscriber

__all__: list[str] = []

BATCH = 100
#: Bytes of an event's data.
DATA = "x" * 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devserver", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--channels", type=int, default=10, help="each with one subscriber")
    parser.add_argument("--connections", type=int, default=1_000, help="that are idle")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, DevServerProcess(directory) as server:
        first_mb = memory_mb(server.pid)
        cpu_before_s = cpu_s(server.pid)
        rate = events_per_second(server, chosen.events, chosen.channels)
        cpu_us = (cpu_s(server.pid) - cpu_before_s) / chosen.events * 1e6
        busy_mb = memory_mb(server.pid)
        idle_mb, answer_ms = with_idle_connections(server, chosen.connections)
    print(
        json.dumps(
            {
                "start_s": round(start_s(), 3),
                "events_per_second": round(rate),
                "server_cpu_us_per_event": round(cpu_us),
                "memory_mb": {"empty": first_mb, f"after {chosen.events} events": busy_mb},
                "idle_connections": chosen.connections,
                "memory_mb_with_them": idle_mb,
                "publish_ms_with_them": round(answer_ms, 2),
            }
        )
    )


def start_s() -> float:
    """Seconds from the start of the command to its SOCKUDO_URL, the best of three."""
    command = [sys.executable, "-m", "sockudo_publisher.cli", "dev-server", "--port", "0", "--json"]
    times = []
    for _ in range(3):
        start = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert json.loads(process.stdout.readline())["event"] == "ready"
            times.append(time.monotonic() - start)
            process.terminate()
    return min(times)


def events_per_second(server: DevServerProcess, count: int, channels: int) -> float:
    """From the first request to the last event at its subscriber."""
    names = [f"c{index}" for index in range(channels)]
    subscribers = [Subscriber(server.ws_url(), name) for name in names]
    items = [
        {"channel": names[index % channels], "name": "e", "data": DATA, "message_id": f"m{index}"}
        for index in range(count)
    ]
    with Sockudo.from_url(server.url) as client:
        start = time.monotonic()
        for first in range(0, count, BATCH):
            client.trigger_batch(items[first : first + BATCH])
        for subscriber in subscribers:
            subscriber.wait_for_count(count // channels)
        elapsed_s = time.monotonic() - start
    for subscriber in subscribers:
        subscriber.close()
    return count / elapsed_s


def with_idle_connections(server: DevServerProcess, count: int) -> tuple[int, float]:
    """The server's memory with that number of connections, and the milliseconds of one publish beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 200)), hard))
    handshake = (
        f"GET /app/{server.apps[0].key}?protocol=7 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    sockets = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", server.port))
        one.sendall(handshake)
        sockets.append(one)
    for one in sockets:
        received = b""
        while b"connection_established" not in received:
            received += one.recv(4096)
    used_mb = memory_mb(server.pid)
    times = []
    with Sockudo.from_url(server.url) as client:
        for number in range(50):
            start = time.monotonic()
            client.trigger("c", "e", str(number))
            times.append(time.monotonic() - start)
    for one in sockets:
        one.close()
    return used_mb, sorted(times)[len(times) // 2] * 1000


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used; 0 where /proc does not show it."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> int:
    """The resident memory of a process; 0 where /proc does not show it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main()
