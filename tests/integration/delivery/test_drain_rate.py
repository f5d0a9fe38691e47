"""The rate limit in the loop: never more than the rate over all workers; order and exactly-once as ever."""

from __future__ import annotations

import threading
import time

import pytest

from sockudo_publisher.delivery.drain import DrainAgain
from sockudo_publisher.delivery.gates import WAIT_IN_PLACE_S
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import AppKeys
from tests.integration.delivery.world import APP, Control, DrainWorld
from tests.unit.delivery.model import AnswerLost, NotSent

pytestmark = pytest.mark.integration


class Meter:
    """A server's door: when how many events came."""

    def __init__(self, world: DrainWorld) -> None:
        self.world = world
        self.passed: list[tuple[float, int]] = []

    def post(self, body: bytes) -> Reply | NoReply:
        self.passed.append((self.world.now(), body.count(b'"message_id"')))
        return self.world.server.post(body)

    def most_above(self, rate: float) -> float:
        """By how many events any stretch of time was above the rate."""
        return max(
            sum(count for _, count in self.passed[i : j + 1]) - rate * (self.passed[j][0] - self.passed[i][0])
            for i in range(len(self.passed))
            for j in range(i, len(self.passed))
        )


def test_two_workers_together_stay_within_the_rate(world: DrainWorld) -> None:
    """600 events at 50 a second over two lanes: in no stretch of time more than rate x time + burst."""
    for lane in range(2):
        world.append(world.channel("a", lane), 200, pack=False)
        world.append(world.channel("b", lane), 100)
    workers = [world.worker(max_rate=50.0) for _ in range(2)]
    meter = Meter(world)
    began = world.now()

    def drain(lane: int, channel: str | None = None) -> DrainAgain | None:
        # One slot at a time: while it waits, the other lane's clock goes on too.
        return world.drain(lane, channel, journal=workers[lane], control=Control(world), post=meter.post)

    world.settle_down(drain)
    world.check()
    assert sum(count for _, count in meter.passed) == 600
    assert meter.most_above(50.0) <= 50 + 50, "the second 50: a second between a token and its request"
    assert world.now() - began >= (600 - 50) / 50
    assert world.now() - began < 60, "and it is used: 11 s would do"


def test_lanes_drained_at_once_share_one_bucket(world: DrainWorld) -> None:
    """Two real threads, real time: 450 events at 300 a second are not through before half a second is over."""
    for lane in range(2):
        world.append(world.channel("a", lane), 225, pack=False)
    meter = Meter(world)
    began = time.monotonic()

    def work(lane: int, journal: Journal) -> None:
        control = Control(world, passes_time=False)
        control.during_sleep = lambda: time.sleep(control.slept[-1])
        while (ring := world.drain(lane, journal=journal, control=control, post=meter.post)) is not None:
            time.sleep(ring.after_s)

    threads = [threading.Thread(target=work, args=(lane, world.worker(max_rate=300.0))) for lane in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert time.monotonic() - began >= (450 - 300) / 300
    world.check()


def test_resend_takes_no_token(world: DrainWorld) -> None:
    """What was paid for goes again at once, though the bucket is empty: its window is running."""
    world.append(world.channel(), 10)
    world.server.faults = [AnswerLost()]
    worker = world.worker(max_rate=10.0)
    assert world.drain(journal=worker) is None
    assert [len(request) for request in world.server.requests] == [10, 10]
    world.check()


def test_batch_is_cut_to_the_tokens_there_are(world: DrainWorld) -> None:
    """A bucket with four tokens: four go, the rest of the batch is not marked as sent."""
    world.append(world.channel(), 9)
    worker = world.worker(max_rate=20.0)
    assert worker.rate is not None
    worker.rate.take(16)
    control = Control(world, stops_after=1)
    world.drain(journal=worker, control=control)
    assert 4 <= len(world.server.requests[0]) <= 9, "a slow machine gives time for more"
    assert world.marker() is None
    world.drain(journal=world.worker())
    world.check()


def test_long_wait_gives_the_slot_back(world: DrainWorld) -> None:
    """One event a minute: the second is rung for, not waited for, and nothing says it was sent."""
    world.append(world.channel(), 2)
    ring = world.drain(journal=world.worker(max_rate=1 / 60))
    assert ring is not None
    assert WAIT_IN_PLACE_S < ring.after_s <= 60
    assert world.server.requests == [["e0"]]
    assert (world.marker(), world.is_leased()) == (None, False)
    world.drain(journal=world.worker())
    world.check()


def test_rate_limit_does_not_shorten_waits_for_an_away_server(world: DrainWorld) -> None:
    """An attempt that did not leave costs its tokens; events wait, none is lost."""
    world.append(world.channel(), 5)
    world.server.faults = [NotSent()]
    worker = world.worker(max_rate=5.0)
    world.settle_down(lambda lane, channel=None: world.drain(lane, channel, journal=worker))
    world.check()


def test_without_a_limit_nothing_is_asked(world: DrainWorld) -> None:
    """No bucket, and no round trip for one."""
    world.append(world.channel(), 50)
    world.policy = Policy(batch_max_events=10)
    calls: list[str] = []
    script = world.journal.link.script
    world.journal.link.script = lambda name, *rest: (calls.append(name), script(name, *rest))[1]  # type: ignore[method-assign]
    world.drain()
    assert calls == ["release"], "the lease comes with the view; each batch is one round trip: settle and take"
    assert not world.redis.exists(AppKeys.of(APP).rate)


@pytest.mark.parametrize("rate", [0.0, 50.0], ids=["no limit", "limit"])
def test_batch_that_did_not_leave_is_not_paid_for(world: DrainWorld, rate: float) -> None:
    """Its process was frozen before the request: what it had paid is for the next; without a limit nothing is cut."""
    world.policy = Policy(batch_max_events=10)
    world.append(world.channel(), 5, pack=False)
    journal = world.worker(max_rate=rate)
    frozen = []

    def freeze(point: str) -> None:
        if point == "taken" and not frozen:
            frozen.append(point)
            world.append(world.channel(), 35, pack=False)
            for lease in journal._keeper._leases:
                lease._trusted_from -= 60

    world.drain(journal=journal, at=freeze)
    assert frozen
    sizes = [len(request) for request in world.server.requests]
    assert sizes == ([10] * 4 if not rate else [5, 10, 10, 10, 5])
    if rate:
        assert float(world.redis.hget(AppKeys.of(APP).rate, "tokens") or 0) >= 50 - 40 - 1, "40 were paid for, not 45"
    world.check()
