"""What the workers of an app share: the pause, the right to probe, limits learned from the server."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.app import shared as shared_module
from sockudo_publisher.journal.app.operator import OperatorRecords, Resumed
from sockudo_publisher.journal.app.shared import LIMITS_TTL_S, Limits, Shared
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.lease import TTL_MS
from sockudo_publisher.journal.redis.link import RedisLink
from tests.integration.journal.conftest import APP

pytestmark = pytest.mark.integration

#: Seconds for what takes milliseconds.
WAIT_S = 30.0


@pytest.fixture
def shared(link: RedisLink) -> Shared:
    return Shared(link, APP)


class TestPause:
    def test_it_says_why_and_until_when(self, shared: Shared, client: redis.Redis) -> None:
        """By Redis' clock; the server's words in part."""
        seconds, _ = client.time()
        assert shared.pause("misconfigured", 100.0, "x" * 2000) == 1
        pause = shared.view().pause
        assert pause is not None
        assert (pause.reason, pause.message, pause.count) == ("misconfigured", "x" * 500, 1)
        assert pause.until_ms == pause.since_ms + 100_000
        assert abs(pause.since_ms - seconds * 1000) < WAIT_S * 1000

    def test_the_next_in_a_row_keeps_when_it_began(self, shared: Shared, client: redis.Redis) -> None:
        """And has its own reason, words and end."""
        shared.pause("away", 100.0, "first")
        first = shared.view().pause
        assert first is not None
        client.hset(AppKeys.of(APP).pause, "since", first.since_ms - 5000)
        assert shared.pause("busy", 1000.0, "second") == 2
        pause = shared.view().pause
        assert pause is not None
        assert (pause.reason, pause.message, pause.count) == ("busy", "second", 2)
        assert pause.since_ms == first.since_ms - 5000
        assert pause.until_ms >= first.until_ms + 900_000

    def test_its_end_ends_the_probe_too(self, shared: Shared) -> None:
        """The next pause begins at one, with a probe of its own."""
        shared.pause("away", 100.0)
        assert shared.try_probe("a")
        operators = OperatorRecords(shared._link, APP)
        assert operators.resume("ana@host") == Resumed(trouble=True)
        assert shared.view().pause is None
        assert shared.try_probe("b")
        assert operators.resume("ana@host") == Resumed()
        assert shared.try_probe("c"), "no pause, and no prober of one"
        shared.end_probe("c")
        assert shared.pause("away", 100.0) == 1


class TestProbe:
    def test_one_asks_at_a_time(self, shared: Shared, client: redis.Redis) -> None:
        """For as long as a lease lasts; a dead worker does not keep the others waiting."""
        key = AppKeys.of(APP).probe
        assert shared.try_probe("a")
        assert not shared.try_probe("b")
        assert client.get(key) == b"a"
        assert 0 < client.pttl(key) <= TTL_MS
        client.pexpire(key, 1)
        assert wait_for(lambda: shared.try_probe("b"), WAIT_S)
        shared.end_probe("b")
        assert shared.try_probe("c")

    def test_who_asks_may_go_on(self, shared: Shared, client: redis.Redis) -> None:
        """Each time for another lease's length."""
        key = AppKeys.of(APP).probe
        assert shared.try_probe("a")
        client.pexpire(key, 1000)
        assert shared.try_probe("a")
        assert 1000 < client.pttl(key) <= TTL_MS

    def test_who_was_followed_ends_nothing(self, shared: Shared, client: redis.Redis) -> None:
        """Its right had run out while it waited for the server: its successor's question is about newer trouble."""
        shared.pause("away", 100.0)
        assert shared.try_probe("heir")
        shared.end_probe("slow")
        assert not shared.try_probe("slow")
        assert not shared.resume("slow", 1)
        assert client.get(AppKeys.of(APP).probe) == b"heir"
        assert shared.view().pause is not None
        assert shared.resume("heir", 1)
        assert client.get(AppKeys.of(APP).probe) is None
        assert shared.view().pause is None

    def test_an_answer_ends_no_pause_that_came_after_its_question(self, shared: Shared, client: redis.Redis) -> None:
        """A request that was in flight since before may have brought a Retry-After meanwhile; the right ends."""
        shared.pause("away", 0.0)
        assert shared.try_probe("a")
        shared.pause("busy", 60.0)
        assert not shared.resume("a", 1)
        assert client.get(AppKeys.of(APP).probe) is None
        pause = shared.view().pause
        assert pause is not None
        assert (pause.reason, pause.count) == ("busy", 2)


class TestLimits:
    def test_nothing_is_known_at_first(self, shared: Shared) -> None:
        """Nor is anything learned of nothing."""
        assert shared.view().limits == Limits()
        shared.learn(Limits())
        assert shared.view().limits == Limits()

    @pytest.mark.parametrize(
        ("learned", "known"),
        [
            ([Limits(events=100)], Limits(100, None)),
            ([Limits(bytes=100)], Limits(None, 100)),
            ([Limits(events=100), Limits(bytes=7)], Limits(100, 7)),
            ([Limits(100, 100), Limits(99, 101)], Limits(99, 100)),
            ([Limits(9, 9), Limits(10, 10)], Limits(9, 9)),
            ([Limits(10, 10), Limits(9, 9)], Limits(9, 9)),
        ],
        ids=["events", "bytes", "one after the other", "one smaller", "9 before 10", "10 before 9"],
    )
    def test_the_smaller_wins(self, shared: Shared, learned: list[Limits], known: Limits) -> None:
        """Whatever the order, each for itself, as numbers."""
        for limits in learned:
            shared.learn(limits)
        assert shared.view().limits == known

    def test_they_are_forgotten_after_a_while(
        self, shared: Shared, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The server's configuration may have changed: each lesson counts anew from when it was learned."""
        key = AppKeys.of(APP).limits
        shared.learn(Limits(events=100))
        assert 0 < client.ttl(key) <= LIMITS_TTL_S
        client.expire(key, 10)
        shared.learn(Limits(events=200))
        assert client.ttl(key) > 10
        monkeypatch.setattr(shared_module, "LIMITS_TTL_S", 1)
        shared.learn(Limits(events=50))
        assert wait_for(lambda: shared.view().limits == Limits(), WAIT_S)
        shared.learn(Limits(events=200))
        assert shared.view().limits == Limits(events=200)
