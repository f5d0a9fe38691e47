"""What Redis really holds, read without the journal's code: the second opinion of these tests.

The entry format and the key names are written down again here on purpose (docs/journal.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import redis


@dataclass(frozen=True)
class Waiting:
    """One item that has not left its queue. ``clock``: since when it may have been sent, if it was held."""

    entry: str
    index: int
    channel: str
    body: bytes
    expires_ms: int
    clock: str | None
    marked: bool


@dataclass(frozen=True)
class Queue:
    """A lane's own stream, or a held channel's."""

    items: tuple[Waiting, ...]
    depth: int
    marker: str | None
    lease: str | None
    entries: int
    gone: frozenset[str]

    @property
    def bodies(self) -> list[bytes]:
        return [item.body for item in self.items]

    @property
    def marked(self) -> list[bytes]:
        return [item.body for item in self.items if item.marked]


@dataclass(frozen=True)
class Lane:
    """A lane with all its held channels, dead letters (oldest first) and counters."""

    queue: Queue
    holds: dict[str, Queue]
    dead: tuple[tuple[str, bytes], ...]
    counts: dict[str, int]
    armed: bool

    def waiting(self, channel: str) -> list[bytes]:
        """One channel's items in the order in which they have to leave."""
        held = self.holds[channel].bodies if channel in self.holds else []
        return held + [item.body for item in self.queue.items if item.channel == channel]

    @property
    def all_waiting(self) -> list[bytes]:
        return [body for hold in self.holds.values() for body in hold.bodies] + self.queue.bodies


def base(app: str, lane: int) -> str:
    return f"sockudo:{{{quote(app, safe='')}:{lane}}}"


def hold_base(app: str, lane: int, channel: str) -> str:
    return f"{base(app, lane)}:hold:{quote(channel, safe='')}"


def place(entry: str, index: int) -> tuple[int, int, int]:
    ms, seq = entry.split("-")
    return int(ms), int(seq), index


def read_queue(client: redis.Redis, prefix: str) -> Queue:
    pipe = client.pipeline(transaction=True)
    pipe.xrange(f"{prefix}:stream").hgetall(f"{prefix}:state").hkeys(f"{prefix}:gone").get(f"{prefix}:lease")
    entries, state, gone_raw, lease = pipe.execute()
    gone = frozenset(key.decode() for key in gone_raw)
    marker = state[b"marker"].decode() if b"marker" in state else None
    end = None
    if marker is not None:
        _, entry, index = marker.split()[:3]
        end = place(entry, int(index))
    head = int(state.get(b"head", 0))
    items = []
    for number, (entry_raw, fields) in enumerate(entries):
        entry = entry_raw.decode()
        if fields[b"v"] != b"1":
            continue
        meta = json.loads(fields[b"m"])
        assert len(meta["n"]) == len(meta["c"]) == int(fields[b"n"]), "an entry counts its items"
        expiries = meta.get("x", [0] * len(meta["n"]))
        assert int(fields[b"x"]) == min((x for x in expiries if x), default=0), "an entry knows its earliest expiry"
        offset = 0
        for index, (length, channel, expiry) in enumerate(zip(meta["n"], meta["c"], expiries, strict=True)):
            body = fields[b"b"][offset : offset + length]
            offset += length + 1
            if (number == 0 and index < head) or f"{entry}:{index}" in gone:
                continue
            clock = fields[b"t"].decode() if b"t" in fields else None
            marked = end is not None and place(entry, index) < end
            items.append(Waiting(entry, index, channel, body, int(expiry), clock, marked))
        assert offset == len(fields[b"b"]) + 1, "lengths and body agree"
    return Queue(
        items=tuple(items),
        depth=int(state.get(b"depth", 0)),
        marker=marker,
        lease=lease.decode() if lease else None,
        entries=len(entries),
        gone=gone,
    )


def read_lane(client: redis.Redis, app: str, lane: int) -> Lane:
    prefix = base(app, lane)
    names = [name.decode() for name in client.zrange(f"{prefix}:holds", 0, -1)]
    dead = tuple(
        (entry.decode(), fields.get(b"item", fields.get(b"raw"))) for entry, fields in client.xrange(f"{prefix}:dead")
    )
    return Lane(
        queue=read_queue(client, prefix),
        holds={name: read_queue(client, hold_base(app, lane, name)) for name in names},
        dead=dead,
        counts={key.decode(): int(value) for key, value in client.hgetall(f"{prefix}:counts").items()},
        armed=client.hget(f"{prefix}:state", "armed") == b"1",
    )


def letters_size(client: redis.Redis, app: str, lane: int) -> int:
    """The bytes of a lane's dead letters, counted: names and values of their fields."""
    letters = client.xrange(f"{base(app, lane)}:dead")
    return sum(len(name) + len(value) for _, fields in letters for name, value in fields.items())


def assert_size_is_kept(client: redis.Redis, app: str, lane: int) -> None:
    kept = int(client.hget(f"{base(app, lane)}:dead_size", "bytes") or 0)
    assert kept == letters_size(client, app, lane), "the size of the dead letters is kept beside them"


def check_lane(client: redis.Redis, app: str, lane: int, held: Sequence[str] = ()) -> Lane:
    """Read a lane, and hold it against what is true at every moment."""
    found = read_lane(client, app, lane)
    for name, queue in [("", found.queue), *found.holds.items()]:
        assert queue.depth == len(queue.items), f"depth of {name or 'lane'}: {queue.depth}, items {len(queue.items)}"
        if queue.entries == 0:
            assert queue.marker is None, "nothing is marked in an empty queue"
            assert not queue.gone, "nothing has left an empty queue"
    if found.queue.entries:
        assert found.queue.lease or found.armed, "a lane with entries is leased or armed"
    for name, hold in found.holds.items():
        assert hold.entries, f"the hold of {name} is over, and still listed"
    assert_size_is_kept(client, app, lane)
    prefix = base(app, lane) + ":hold:"
    for key in client.scan_iter(f"{prefix}*", count=1000):
        channel, _, kind = key.decode().removeprefix(prefix).rpartition(":")
        over = {quote(name, safe="") for name in found.holds}
        assert kind == "lease" or channel in over, f"{kind} of a hold that is over"
    return found
