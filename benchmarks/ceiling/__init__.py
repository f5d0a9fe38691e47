"""The ceiling: the server fed with finished, signed requests by a compiled driver (`ceiling.c`), or one in Python."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from time import time
from uuid import uuid4

from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.client.wire.encoding import Encoder, batch_body
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.dev.embedded import SockudoServer
from sockudo_publisher.journal.keys import lane_of

from ..rates import middle_rate
from ..usage import cpu_s
from ..workload import CHANNELS, EVENT, events

__all__ = ["IN_FLIGHT", "Driver", "Run", "find_driver", "requests"]

#: Requests under way at a time; more give no more on two cores.
IN_FLIGHT = 4

#: Lanes of the requests: the workers' default.
LANES = Settings.lanes

#: Seconds that one run may take.
MAX_S = 300

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """One run: events a second over its middle 80 %, and CPU microseconds per event by process."""

    rate: float
    cpu_us: dict[str, float]


@dataclass(frozen=True)
class Driver:
    """How the driver is started; ``is_compiled`` tells the real one."""

    command: tuple[str, ...]
    is_compiled: bool

    @property
    def name(self) -> str:
        return "compiled driver" if self.is_compiled else f"Python driver of {IN_FLIGHT} processes (no C compiler here)"

    def run(self, server: SockudoServer, directory: Path, count: int, batch: int, *, mixed: bool = False) -> Run:
        """Send ``count`` events that the server has not seen, in batches (``mixed``: see :func:`requests`)."""
        file = directory / "requests"
        with file.open("wb") as out:
            for request, size in requests(server.url, count, batch, mixed=mixed):
                out.write(struct.pack("=II", len(request), size) + request)
        cpu_before = cpu_s(server.pids)
        done = subprocess.run(
            [*self.command, str(server.port), str(file), str(IN_FLIGHT)],
            capture_output=True,
            check=False,  # its exit code is looked at below
            text=True,
            timeout=MAX_S,
        )
        server_s = cpu_s(server.pids) - cpu_before
        file.unlink()
        if done.returncode:
            raise RuntimeError(f"ceiling: exit code {done.returncode}\n{done.stderr[-500:]}")
        *lines, last = done.stdout.splitlines()
        total, samples = 0, [(0.0, 0.0)]
        for line in lines:
            seconds, accepted = line.split()
            total += int(accepted)
            samples.append((float(seconds), float(total)))
        if total != count:
            raise RuntimeError(f"ceiling: {total} events were accepted of {count}")
        cpu = {"server": server_s, "driver": float(last.split()[1])}
        return Run(middle_rate(samples, count), {name: used / count * 1e6 for name, used in cpu.items()})


def find_driver(directory: Path) -> Driver:
    """Compile the driver where there is a C compiler, else take the one in Python."""
    for compiler in ("cc", "gcc", "clang"):
        if sys.platform == "linux" and shutil.which(compiler):  # epoll is Linux' own
            program = directory / "ceiling"
            subprocess.run([compiler, "-O2", "-o", program, HERE / "ceiling.c"], check=True)
            return Driver((str(program),), is_compiled=True)
    return Driver((sys.executable, str(HERE / "driver.py")), is_compiled=False)


def requests(url: str, count: int, batch: int, *, mixed: bool = False) -> Iterator[tuple[bytes, int]]:
    """Finished HTTP requests and their numbers of events, as workers send them: each of one lane, the lanes in turn.

    ``mixed`` puts all channels into every request. Requests that are under way together then have channels in
    common and wait for each other in the server, which leaves a core half idle: that is no ceiling, it shows what
    lanes are worth.
    """
    app = Credentials.from_url(url)
    path = f"{app.path}/batch_events"
    signer = app.signer()
    encoder = Encoder()
    prefix = uuid4().hex
    by_lane: dict[int, list[bytes]] = {}
    for number, (channel, name, data) in enumerate(events(count)):
        item = encoder.item(channel, name, encoder.payload(data), message_id=f"{prefix}-{number:x}")
        by_lane.setdefault(0 if mixed else lane_of(channel, LANES), []).append(item)
    batches = [[items[first : first + batch] for first in range(0, len(items), batch)] for items in by_lane.values()]
    for items in (one for turn in zip_longest(*batches) for one in turn if one):
        body = batch_body(items)
        query = signer.query("POST", path, now=time(), body=body)
        head = (
            f"POST {path}?{query} HTTP/1.1\r\nHost: {app.host}:{app.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body, len(items)


def item_bytes() -> int:
    """Bytes of one event as it goes into a batch."""
    encoder = Encoder()
    data = next(events(1))[2]
    text = json.dumps(data, separators=(",", ":"))
    return len(encoder.item(CHANNELS[0], EVENT, text, message_id=uuid4().hex))
