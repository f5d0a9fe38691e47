"""What the workers of an app share: the pause, the right to probe, limits learned from the server."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.embedded.process import wait_for
from sockudo_publisher.journal import shared as shared_module
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.link import RedisLink
from sockudo_publisher.journal.shared import LIMITS_TTL_S, Limits, Shared
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
        assert (pause.reason, pause.words, pause.count) == ("misconfigured", "x" * 500, 1)
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
        assert (pause.reason, pause.words, pause.count) == ("busy", "second", 2)
        assert pause.since_ms == first.since_ms - 5000
        assert pause.until_ms >= first.until_ms + 900_000

    def test_its_end_ends_the_probe_too(self, shared: Shared) -> None:
        """The next pause begins at one, with a probe of its own."""
        shared.pause("away", 100.0)
        assert shared.try_probe("a", 1.0)
        assert shared.resume()
        assert shared.view().pause is None
        assert shared.try_probe("b", 1.0)
        assert not shared.resume()
        assert shared.pause("away", 100.0) == 1


class TestProbe:
    def test_one_asks_at_a_time(self, shared: Shared, client: redis.Redis) -> None:
        """For one attempt and a little more; whoever died does not keep the others waiting."""
        key = AppKeys.of(APP).probe
        assert shared.try_probe("a", 3.0)
        assert not shared.try_probe("b", 3.0)
        assert client.get(key) == b"a"
        assert 0 < client.pttl(key) <= 5000
        client.pexpire(key, 1)
        assert wait_for(lambda: shared.try_probe("b", 3.0), WAIT_S)
        shared.end_probe("b")
        assert shared.try_probe("c", 3.0)

    def test_who_asks_may_go_on(self, shared: Shared, client: redis.Redis) -> None:
        """For as long as its next requests may take."""
        assert shared.try_probe("a", 3.0)
        assert shared.try_probe("a", 30.0)
        assert 30_000 < client.pttl(AppKeys.of(APP).probe) <= 32_000

    def test_who_was_followed_ends_nothing_of_its_successor(self, shared: Shared, client: redis.Redis) -> None:
        """Its right had run out while it waited for the server; the pause it may end, as the server has answered."""
        shared.pause("away", 100.0)
        assert shared.try_probe("heir", 3.0)
        shared.end_probe("slow")
        assert not shared.try_probe("slow", 3.0)
        assert shared.resume("slow")
        assert client.get(AppKeys.of(APP).probe) == b"heir"
        assert not shared.resume("heir")
        assert client.get(AppKeys.of(APP).probe) is None


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
