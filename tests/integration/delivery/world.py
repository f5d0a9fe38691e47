"""One Redis, a server model and any number of workers, with a clock that tests push.

Time passes only in a sleep or where a test calls :meth:`DrainWorld.pass_time`. It moves what the journal
has written down (pauses, due holds, starts of first attempts) into the past, and the server's
clock forward. So the real loop runs against the real Redis, and a window of two minutes takes no time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
import redis

from sockudo_publisher.delivery.drain import DrainAgain, drain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import AppKeys, hold_keys, lane_keys, lane_of
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import Producer
from tests.unit.delivery.model import ServerModel, item

APP = "app"

#: Milliseconds in which an event is appended and sent once before it expires, on a machine with a lot to do.
SOON_MS = 2000

#: Drains after which a world that does not come to rest is given up.
MAX_DRAINS = 1000


class Died(BaseException):
    """A worker that is no more; nothing in the loop may catch it."""


@dataclass
class Control:
    """What the loop asks of its worker; a test sets the fields."""

    world: DrainWorld
    is_stopping: bool = False
    do_others_wait: bool = False
    slept: list[float] = field(default_factory=list)
    rung: list[list[int]] = field(default_factory=list)
    #: Called in place of a wait, after the time has passed.
    during_sleep: Callable[[], None] = lambda: None
    #: False for a worker that runs while another has a batch in hand.
    passes_time: bool = True
    #: Waits after which the worker shuts down.
    stops_after: int | None = None
    #: Whether it watches an empty lane on.
    stays: bool = False
    #: Seconds that this worker's clock has gone on by itself, with a batch in hand.
    skipped_s: float = 0.0

    def stopping(self) -> bool:
        return self.is_stopping

    def others_wait(self) -> bool:
        return self.do_others_wait

    def slots_are_scarce(self) -> bool:
        return True

    def may_stay(self) -> bool:
        return self.stays

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self.stops_after:
            self.is_stopping = True
        if self.passes_time:
            self.world.pass_time(seconds)
        self.during_sleep()

    def ring_all(self) -> None:
        self.rung.append(self.world.journal.lanes_with_entries(range(self.world.lanes)))


class DrainWorld:
    """``lanes`` lanes of one app; :meth:`channel` names a channel of a lane."""

    def __init__(self, redis_url: str, client: redis.Redis, lanes: int = 2) -> None:
        self.redis_url = redis_url
        self.redis = client
        self.lanes = lanes
        self.ahead_s = 0.0
        self.server = ServerModel(self.now, self._server_takes)
        self.policy = Policy()
        self.producer = Producer(redis_url, APP, lanes=lanes, max_backlog=0, key_ttl_ms=1000)
        self._workers: list[Journal] = []
        self.journal = self.worker()
        self.control = Control(self)
        self.appended: list[tuple[str, str]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """The server's clock."""
        return time.monotonic() + self.ahead_s

    def _server_takes(self, seconds: float) -> None:
        self.ahead_s += seconds

    def wait_until_past(self, time_ms: int) -> None:
        """Until Redis' own clock is past this: what expires then is the one thing that no test can move."""
        while self.journal.now_ms() <= time_ms:
            time.sleep(0.01)

    def pass_time(self, seconds: float) -> None:
        """Let this time pass. Not while a batch is in hand: its marker would not be the journal's any more."""
        self.ahead_s += seconds
        ms = int(seconds * 1000)
        pause = AppKeys.of(APP).pause
        if self.redis.exists(pause):
            self.redis.hincrby(pause, "until", -ms)
        if self.redis.exists(AppKeys.of(APP).rate):
            self.redis.hincrby(AppKeys.of(APP).rate, "at", -ms * 1000)
        for lane in range(self.lanes):
            keys = lane_keys(APP, lane)
            states = [keys.state]
            for channel, due in self.redis.zrange(keys.holds, 0, -1, withscores=True):
                self.redis.zadd(keys.holds, {channel: due - ms})
                hold = hold_keys(APP, lane, channel.decode())
                states.append(hold.state)
                self._age(hold.stream, ms)
            for state in states:
                marker = self.redis.hget(state, "marker")
                if marker:
                    first, rest = marker.split(b" ", 1)
                    self.redis.hset(state, "marker", b"%d %s" % (int(first) - ms, rest))

    def _age(self, stream: str, ms: int) -> None:
        """Held items began to be sent this much earlier."""
        entries = self.redis.xrange(stream)
        self.redis.delete(stream)
        for entry, fields in entries:
            if b"t" in fields:
                fields[b"t"] = b"%d" % (int(fields[b"t"]) - ms)
            self.redis.xadd(stream, fields, id=entry)

    # -- what is in it --------------------------------------------------------------------------------

    def worker(self, on_expired: str = "drop", max_rate: float = 0.0) -> Journal:
        """The journal as another process sees it."""
        journal = Journal(self.redis_url, APP, lanes=self.lanes, on_expired=on_expired, max_rate=max_rate)
        self._workers.append(journal)
        return self._workers[-1]

    def close(self) -> None:
        """End the connections of every worker, as the ends of their processes would."""
        for link in (self.producer._link, *(journal.link for journal in self._workers)):
            while link._free:
                link._free.pop().disconnect()

    def channel(self, name: str = "c", lane: int = 0) -> str:
        """A channel of that lane."""
        return next(one for one in (f"{name}-{n}" for n in itertools.count()) if lane_of(one, self.lanes) == lane)

    def append(self, channel: str, count: int = 1, *, expires_ms: int = 0, pack: bool = True) -> list[str]:
        """Append this number of events; answers their ids."""
        ids = [f"e{next(self._numbers)}" for _ in range(count)]
        return self.append_items([(channel, one) for one in ids], expires_ms=expires_ms, pack=pack)

    def append_items(
        self, events: Sequence[tuple[str, str]], *, expires_ms: int = 0, pack: bool = True, data: str = "x"
    ) -> list[str]:
        """These events (channel, id), in this order, as one pack or one by one."""
        runs = [events] if pack else [[one] for one in events]
        for run in runs:
            items = [Item(channel, item(one, channel, data), expires_ms) for channel, one in run]
            assert not self.producer.append(items).refused
        self.appended += events
        return [one for _, one in events]

    def depth(self, lane: int = 0) -> int:
        return self.redis.xlen(lane_keys(APP, lane).stream)

    def marker(self, lane: int = 0) -> bytes | None:
        return self.redis.hget(lane_keys(APP, lane).state, "marker")

    def holds(self, lane: int = 0) -> list[str]:
        return [channel.decode() for channel in self.redis.zrange(lane_keys(APP, lane).holds, 0, -1)]

    def is_leased(self, lane: int = 0) -> bool:
        return bool(self.redis.exists(lane_keys(APP, lane).lease))

    def letters(self, lane: int = 0) -> list[dict[str, str]]:
        """The dead letters of a lane."""
        return [
            {name.decode(): value.decode() for name, value in fields.items()}
            for _, fields in self.redis.xrange(lane_keys(APP, lane).dead)
        ]

    def counts(self, lane: int = 0) -> dict[str, int]:
        return {name.decode(): int(value) for name, value in self.redis.hgetall(lane_keys(APP, lane).counts).items()}

    def pause(self) -> str | None:
        """The reason of the app's pause."""
        pause = self.journal.shared.view().pause
        return pause.reason if pause else None

    def is_probing(self) -> bool:
        return bool(self.redis.exists(AppKeys.of(APP).probe))

    # -- what happens in it ---------------------------------------------------------------------------

    def drain(
        self,
        lane: int = 0,
        channel: str | None = None,
        *,
        journal: Journal | None = None,
        control: Control | None = None,
        post: Callable[[bytes], Reply | NoReply] | None = None,
        at: Callable[[str], None] = lambda point: None,
    ) -> DrainAgain | None:
        """One drain by one worker."""
        return drain(
            journal or self.journal,
            lane,
            channel,
            post=post or self.server.post,
            policy=self.policy,
            control=control or self.control,
            crash_point=at,
        )

    def meet_trouble(self, reply: Reply | NoReply = NoReply(sent=False), lane: int = 0) -> None:  # noqa: B008 -- frozen
        """A worker gets this answer, pauses the app, and is shut down in its wait."""
        self.drain(lane, journal=self.worker(), control=Control(self, stops_after=1), post=lambda body: reply)

    def lose_leases(self) -> None:
        """Every lease runs out, and so does the right to probe: their holders have died."""
        for key in self.redis.scan_iter("sockudo:*:lease"):
            self.redis.delete(key)
        self.redis.delete(AppKeys.of(APP).probe)

    def settle_down(self, drains: Callable[..., DrainAgain | None] | None = None) -> None:
        """Ring and sweep, as workers do, until nothing is left: lanes first, then held channels that are due."""
        drain_one = drains or self.drain
        for _ in range(MAX_DRAINS):
            lanes = [lane for lane in range(self.lanes) if self.depth(lane)]
            due = [(lane, channel) for lane in range(self.lanes) for channel in self.holds(lane)]
            if not lanes and not due:
                return
            waits = []
            for lane in lanes:
                ring = drain_one(lane)
                waits.append(ring.after_s if ring else 0.5)
            now_ms = self.journal.now_ms()
            for lane, channel in due:
                score = self.redis.zscore(lane_keys(APP, lane).holds, channel)
                if score is not None and score <= now_ms:
                    drain_one(lane, channel)
                elif score is not None:
                    waits.append((score - now_ms + 1) / 1000)
            self.pass_time(max(0.1, min(waits, default=0.1)))
        raise AssertionError(f"no rest after {MAX_DRAINS} rounds")

    def check(self, *, without: Iterable[str] = ()) -> None:
        """Each event that was appended was seen once, in the order of its channel; nothing is left or pending."""
        left_out = set(without)
        assert self.server.repeated() == {}
        for channel in {channel for channel, _ in self.appended}:
            expected = [one for name, one in self.appended if name == channel and one not in left_out]
            assert self.server.seen(channel) == expected, channel
        for lane in range(self.lanes):
            assert self.depth(lane) == 0
            assert self.marker(lane) is None
            assert not self.is_leased(lane)
            state = self.redis.hgetall(lane_keys(APP, lane).state)
            assert int(state.get(b"depth", 0)) == 0
            assert not self.redis.exists(lane_keys(APP, lane).gone)
        assert self.pause() is None
        assert not self.is_probing()


def stopped(control: Control) -> Control:
    """The same worker, shutting down."""
    return replace(control, is_stopping=True)


class At:
    """Does something the n-th time the loop passes a point."""

    def __init__(self, point: str, time: int = 1, then: object = None) -> None:
        self.point, self.left, self.then = point, time, then
        self.fired = False

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                self.fired = True
                if callable(self.then):
                    self.then()
                else:
                    raise Died(point)


def left_unknown(world: DrainWorld, count: int, **append: int) -> list[str]:
    """Events whose first attempt ended unknown: all of them were accepted."""
    ids = world.append(world.channel(), count, **append)
    with pytest.raises(Died):
        world.drain(at=At("posted"))
    world.lose_leases()
    return ids
