"""A journal of one lane, worked by hand: append, take and settle in a line each, and look at what Redis holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from sockudo_publisher.journal.appended import Appended, OnRefusal
from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.dead_letters import DeadBounds, DeadLetters
from sockudo_publisher.journal.holder import Holder, Journal, Taken
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.link import Command
from sockudo_publisher.journal.redis.scripts import script
from tests.integration.journal.raw import Lane, base, hold_base, read_lane

#: More than any test has.
MANY = 1000
MANY_BYTES = 10_000_000

PAST = 1
FUTURE = 4_000_000_000_000


class OneLane:
    """Lane 0 of an app that has no other."""

    def __init__(
        self,
        url: str,
        app: str = "app",
        *,
        on_expired: str = "drop",
        bounds: DeadBounds | None = None,
        **options: Any,
    ) -> None:
        self.url = url
        self.app = app
        self.client = redis.Redis.from_url(url)
        given = {"max_backlog": 0, "key_ttl_ms": 60_000, **options}
        self.producer = Producer(url, app, lanes=1, **given)
        self.journal = Journal(url, app, lanes=1, on_expired=on_expired, dead=bounds or DeadBounds())
        self.dead = DeadLetters(self.journal.link, app, range(1))
        self._holders: list[Holder] = []

    def close(self) -> None:
        """Renew nothing any more."""
        for holder in self._holders:
            self.journal.forget(holder)
        self.client.close()

    # -- what is in Redis ---------------------------------------------------------------------------

    @property
    def base(self) -> str:
        return base(self.app, 0)

    def hold_base(self, channel: str) -> str:
        return hold_base(self.app, 0, channel)

    @property
    def now(self) -> Lane:
        return read_lane(self.client, self.app, 0)

    @property
    def bodies(self) -> list[bytes]:
        return self.now.queue.bodies

    def state(self, field: str) -> bytes | None:
        return self.client.hget(f"{self.base}:state", field)

    def forget_ring(self) -> None:
        """The next sweep may ring the lane: as if the last one were long ago."""
        self.client.hdel(f"{self.base}:state", "rung")

    def everything(self) -> dict[bytes, bytes]:
        """Every key with its value, without its time to live."""
        return {key: self.client.dump(key) for key in self.client.scan_iter(count=1000)}

    def entries(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self.client.xrange(f"{self.base}:stream")]

    # -- producers ----------------------------------------------------------------------------------

    def append(
        self, *bodies: bytes, channel: str = "c", expires_ms: int = 0, on_refusal: OnRefusal = OnRefusal.STOP
    ) -> Appended:
        """One pack."""
        return self.producer.append([Item(channel, body, expires_ms) for body in bodies], on_refusal=on_refusal)

    def append_to(self, *given: tuple[str, bytes]) -> Appended:
        """One pack, of (channel, body)."""
        return self.producer.append([Item(channel, body) for channel, body in given])

    def append_once(
        self,
        *given: tuple[str, bytes],
        channel: str = "c",
        fingerprint: str = "f",
        on_refusal: OnRefusal = OnRefusal.STOP,
    ) -> Appended:
        """Of (key, body)."""
        items = [KeyedItem(Item(channel, body), key, fingerprint) for key, body in given]
        return self.producer.append(items, on_refusal=on_refusal)

    def schedule_once(self, key: str, fingerprint: str = "f", *, channel: str = "c") -> bool:
        """One key whose event is stored later."""
        return bool(self.producer.remember_keys([KeyedItem(Item(channel, b"later"), key, fingerprint)]))

    # -- holders ------------------------------------------------------------------------------------

    def acquire(self, channel: str | None = None) -> Holder:
        holder = self.journal.acquire(0, channel)
        assert holder is not None
        self._holders.append(holder)
        return holder

    def expire_lease(self, holder: Holder) -> None:
        """Its time is over, and it does not know."""
        assert self.client.delete(holder.keys.lease)

    def taken(self, holder: Holder, max_items: int = MANY, max_bytes: int = MANY_BYTES) -> Taken:
        return self.journal.take(holder, max_items=max_items, max_bytes=max_bytes)

    def take(self, holder: Holder, max_items: int = MANY, max_bytes: int = MANY_BYTES) -> Batch:
        """A batch that has to be there."""
        batch = self.taken(holder, max_items, max_bytes).batch
        assert batch is not None
        return batch

    def hold_first(self, holder: Holder, retry_in_s: float = 0.0) -> None:
        """The item at the lane's head is stuck."""
        self.journal.hold(holder, self.take(holder), retry_in_s=retry_in_s)

    def drain(self, channel: str | None = None) -> list[bytes]:
        """Deliver everything, held channels too, and give the leases back."""
        holder = self.acquire(channel)
        found: list[bytes] = []
        while (batch := self.taken(holder).batch) is not None:
            found += bodies_of(batch)
            self.journal.settle(holder, batch)
        held = self.now.holds if channel is None else ()
        assert self.journal.release(holder)
        return found + [body for name in held for body in self.drain(name)]


def bodies_of(batch: Batch | None) -> list[bytes]:
    """Of nothing too."""
    return [] if batch is None else [item.body for item in batch.items()]


def numbers(count: int, size: int = 4, start: int = 0) -> list[bytes]:
    """Bodies of one size, all different."""
    return [str(n).rjust(size, "0").encode() for n in range(start, start + count)]


def count_takes(lane: OneLane) -> list[str]:
    """An entry for each call of the script from now on; the keeper of the lease calls another."""
    sha1, run, calls = script("take").sha1, lane.journal.link.run, []

    def counted(commands: Sequence[Command], **options: bool) -> list[Any]:
        calls.extend(command[1] for command in commands if command[:2] == ("EVALSHA", sha1))
        return run(commands, **options)

    lane.journal.link.run = counted
    return calls
