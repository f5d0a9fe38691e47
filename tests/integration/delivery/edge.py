"""What a worker gives the loop beside `post`: canaries and history, and how tests ask for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from sockudo_publisher.canaries.ask import CHANNEL, Canaries
from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.canaries.values import Canary, MemoryReport
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.drain import DrainAgain, drain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.pack import Item
from tests.integration.delivery.world import APP, Control, Died, DrainWorld

WINDOW_S = 120.0


class Edge:
    """What a worker gives the loop beside `post`: the app's canaries, and a history."""

    def __init__(self, world: DrainWorld) -> None:
        self.world = world
        self.canaries = Canaries(APP, DedupMemory(world.journal.link, APP), self.post, window_s=WINDOW_S, timeout_s=5.0)
        self.asked_since: list[int] = []
        self.timeouts_s: list[float] = []
        #: Milliseconds that the right to probe has left, at each request of a canary.
        self.right_ms: list[int] = []
        self.history: set[str] = set()
        self.looked: list[list[str]] = []
        self.looked_since: list[int] = []
        self.die_asking = False
        #: Answers of the server to canaries, before it answers by itself.
        self.replies: list[Reply | NoReply] = []

    def post(self, body: bytes, timeout_s: float = 5.0) -> Reply | NoReply:
        self.timeouts_s.append(timeout_s)
        self.right_ms.append(self.world.redis.pttl(AppKeys.of(APP).probe))
        return self.replies.pop(0) if self.replies else self.world.server.post(body)

    def ask(self, since_ms: int, timeout_s: float) -> CanaryResult:
        if self.die_asking:
            raise Died("asking")
        self.asked_since.append(since_ms)
        return self.canaries.check_after_trouble(since_ms, timeout_s)

    def find(self, items: Sequence[Item], since_ms: int) -> list[bool]:
        ids = [json.loads(item.body)["message_id"] for item in items]
        self.looked.append(ids)
        self.looked_since.append(since_ms)
        return [one in self.history for one in ids]

    def plant(self, *ages_s: float) -> None:
        """Canaries that the server has accepted so long ago."""
        now_ms = self.canaries.memory.now_ms()
        for age_s in ages_s:
            one = Canary(f"planted-{age_s}", now_ms - int(age_s * 1000), 10**6)
            event = {"channel": CHANNEL, "name": "canary", "data": "planted", "extras": {"ephemeral": True}}
            body = json.dumps({"batch": [{**event, "message_id": one.id}]}).encode()
            assert isinstance(self.world.server.post(body), Reply)
            self.canaries.memory.record_planted([one])

    def drain(self, lane: int = 0, *, at: Callable[[str], None] = lambda point: None) -> DrainAgain | None:
        """One drain by a new worker."""
        return drain(
            self.world.worker(),
            lane,
            post=self.world.server.post,
            policy=self.world.policy,
            control=self.world.control,
            crash_point=at,
            ask_canaries=self.ask,
            history_lookup=self.find,
        )

    def sent(self) -> list[list[str]]:
        """The requests without those of canaries."""
        return [
            [one["message_id"] for one in batch]
            for body in self.world.server.bodies
            if (batch := json.loads(body)["batch"])[0]["channel"] != CHANNEL
        ]

    def report(self) -> MemoryReport:
        return self.canaries.memory.report()


def die(point: str) -> None:
    if point == "posted":
        raise Died(point)


def left_unknown(edge: Edge, count: int) -> list[str]:
    """Events whose first attempt ended unknown: all of them were accepted."""
    ids = edge.world.append(edge.world.channel(), count)
    with pytest.raises(Died):
        edge.drain(at=die)
    edge.world.lose_leases()
    return ids


def forgets(world: DrainWorld) -> None:
    """The canaries have found out."""
    until_ms = world.journal.now_ms() + 100_000
    DedupMemory(world.journal.link, APP).record_report(MemoryReport("forgets", forgets_until_ms=until_ms))


def meet_trouble(edge: Edge, reply: Reply | NoReply = NoReply(sent=True)) -> list[str]:  # noqa: B008 -- frozen
    """Ten events were accepted, their answer was lost, and the app waits."""
    world = edge.world
    ids = world.append(world.channel(), 10)
    control = Control(world)

    def answer_is_lost(body: bytes) -> Reply | NoReply:
        world.server.post(body)
        control.is_stopping = True  # a wait may be over before it begins, on a busy machine
        return reply

    world.drain(journal=world.worker(), control=control, post=answer_is_lost)
    assert world.pause() is not None
    world.pass_time(60)
    return ids
