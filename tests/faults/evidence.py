"""What is worth reading when a bound was broken: the faults, the repeated events and the workers' warnings, by time."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from sockudo_publisher.dev.subscriber import Received

from .world import FaultWorld

__all__ = ["Repeat", "repeats", "tell"]

#: A line of a worker's log that is more than information.
WARNING = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}): (WARNING|ERROR|CRITICAL)/[^\]]*\] (.*)$")
#: Characters of such a line.
WIDTH = 260


@dataclass(frozen=True)
class Repeat:
    """An event that came again; times on the monotonic clock."""

    channel: str
    number: int
    first_at: float
    at: float

    @property
    def after_s(self) -> float:
        """Seconds since the copy before."""
        return self.at - self.first_at


def repeats(events: Iterable[Received]) -> list[Repeat]:
    """Every copy beyond the first, with the time since the copy before it."""
    last: dict[tuple[str, int], float] = {}
    again = []
    for event in events:
        key = event.channel, json.loads(event.data)["n"]
        if key in last:
            again.append(Repeat(*key, last[key], event.at))
        last[key] = event.at
    return again


def tell(world: FaultWorld, again: Iterable[Repeat], *, started_at: float) -> str:
    """One line each, in the order of time; seconds since ``started_at`` (monotonic)."""
    told = [(at, f"FAULT   {what}") for at, what in world.timeline]
    by_moment: dict[tuple[int, int, str], list[Repeat]] = defaultdict(list)
    for one in again:
        by_moment[round(one.first_at), round(one.at), one.channel].append(one)
    for (_, _, channel), copies in by_moment.items():
        first, last = copies[0], copies[-1]
        told.append(
            (
                first.at,
                f"REPEAT  {channel}: {len(copies)} ({first.number}..{last.number}), {first.after_s:.1f} s after "
                f"their first at {first.first_at - started_at:.1f}",
            )
        )
    for path in sorted(world.directory.glob("worker-*.log")):
        told += [(at, f"{path.stem[:12]} {line}") for at, line in warnings(path)]
    told.sort()
    lines = (f"{at - started_at:8.1f} {what}" for at, what in told)
    return "\n".join(line for line, _ in groupby(lines))


def warnings(path: Path) -> Iterator[tuple[float, str]]:
    """A worker's warnings and errors, with their times on this process' monotonic clock."""
    offset = time.time() - time.monotonic()
    for line in path.read_text(errors="replace").splitlines():
        if found := WARNING.match(line):
            at = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").timestamp() + int(found[2]) / 1000
            yield at - offset, f"{found[3]}: {found[4][:WIDTH]}"
