"""The fixtures with a server: subscribers of each kind of channel, the whole stack, the real server."""

from __future__ import annotations

import asyncio
import time

import pytest

from sockudo_publisher import Sockudo, SockudoConnectionError, apublish_many, publish
from sockudo_publisher.testing import AsyncSubscriber, Subscriber
from tests.support.timing import BUSY_S

pytestmark = pytest.mark.integration

#: Seconds from `delay` to the subscriber, of the best of several: a busy machine delays single ones.
BOUND_S = 0.05
TRIES = 40

#: Subscribers that a test has left open.
_left: list[Subscriber] = []


def test_direct_calls_reach_the_server(sockudo_server, sockudo_subscriber: Subscriber) -> None:
    sockudo_subscriber.subscribe("orders", "private-a", "private-encrypted-a")
    publish("orders", "shipped", {"id": 1})
    publish("private-encrypted-a", "secret", {"id": 2})
    Sockudo.from_env().trigger("private-a", "e", "text")
    assert [event.data for event in sockudo_subscriber.wait_for(count=3)] == [{"id": 1}, {"id": 2}, "text"]
    sockudo_subscriber.assert_nothing_more()
    with Subscriber(sockudo_server, "orders") as second:
        publish("orders", "shipped", 3, socket_id=second.socket_id)
        sockudo_subscriber.wait_for("orders", "shipped")
        second.assert_nothing_more("orders")


def test_waits_say_what_came_instead(sockudo_server, sockudo_subscriber: Subscriber) -> None:
    sockudo_subscriber.subscribe("orders")
    publish("orders", "paid", {"id": 1})
    with pytest.raises(AssertionError, match=r"(?s)1 events on 'orders' 'shipped', 0 came.*1. 'orders' 'paid' data="):
        sockudo_subscriber.wait_for("orders", "shipped", timeout_s=0.2)
    with pytest.raises(AssertionError, match="expected nothing more"):
        sockudo_subscriber.assert_nothing_more()


def test_each_test_finds_a_new_server(sockudo_server, sockudo_subscriber: Subscriber) -> None:
    """The same key as in the next test: ids are forgotten between them."""
    sockudo_subscriber.subscribe("orders")
    publish("orders", "e", "first", key="the-key")
    assert sockudo_subscriber.wait_for("orders")[0].data == "first"


def test_each_test_finds_a_new_server_again(sockudo_server, sockudo_subscriber: Subscriber) -> None:
    sockudo_subscriber.subscribe("orders")
    publish("orders", "e", "second", key="the-key")
    assert sockudo_subscriber.wait_for("orders")[0].data == "second"


def test_subscribers_of_coroutines(sockudo_server) -> None:
    async def run() -> None:
        async with AsyncSubscriber(sockudo_server, "orders") as subscriber:
            await subscriber.subscribe("private-a")
            await asyncio.to_thread(publish, "private-a", "e", 1)
            assert (await subscriber.wait_for("private-a"))[0].data == 1
            await subscriber.assert_nothing_more()

    asyncio.run(run())


def test_presence_on_the_embedded_server(sockudo_server) -> None:
    """A member of two sockets is one user."""
    client = Sockudo.from_env()
    ada, bob = ({"user_id": id, "user_info": {"name": name}} for id, name in (("1", "Ada"), ("2", "Bob")))
    with Subscriber(sockudo_server, "presence-room", user=ada) as first:
        with (
            Subscriber(sockudo_server, "presence-room", user=bob),
            Subscriber(sockudo_server, "presence-room", user=bob),
        ):
            assert sorted(user["id"] for user in client.users_info("presence-room")["users"]) == ["1", "2"]
            publish("presence-room", "e", {"n": 1})
            assert first.wait_for("presence-room", "e")[0].data == {"n": 1}
        deadline = time.monotonic() + BUSY_S
        while client.users_info("presence-room") != {"users": [{"id": "1"}]}:
            assert time.monotonic() < deadline
        first.assert_nothing_more()


def test_faults_and_events_of_the_server(sockudo_server) -> None:
    """The answer is lost after the server has acted: the client sends again, and one event is published."""
    sockudo_server.faults.lose_answers(1)
    publish("orders", "shipped", 1, key="the-key")
    assert [event.name for event in sockudo_server.events] == ["shipped"]
    assert sockudo_server.counts.replayed == 1
    # What the next test must not find.
    sockudo_server.faults.shrink_memory(0)
    sockudo_server.faults.skew_clock(3600)
    sockudo_server.faults.answer(503, None)
    _left.append(Subscriber(sockudo_server, "cache-left"))


def test_nothing_is_left_of_the_test_before(sockudo_server, sockudo_subscriber: Subscriber) -> None:
    client = Sockudo.from_env()
    assert sockudo_server.events == []
    assert sockudo_server.counts.refused == 0
    assert client.channels_info() == {"channels": {}}
    for _ in range(2):  # the memory has room again: the second is a replay
        publish("orders", "e", 1, key="a-key")
    assert sockudo_server.counts.replayed == 1
    _left.pop().close()


def test_a_stopped_server_is_started_for_the_next_test(sockudo_server) -> None:
    sockudo_server.stop()
    with pytest.raises(SockudoConnectionError):
        publish("orders", "e", 1)


def test_the_next_test_after_a_stop(sockudo_server) -> None:
    publish("orders", "e", 1)
    assert len(sockudo_server.events) == 1


def test_presence_on_the_real_server(sockudo) -> None:
    class Real:
        url = sockudo.url

        @staticmethod
        def ws_url() -> str:
            return sockudo.ws_url()

    with Subscriber(Real(), "presence-recorder", user={"user_id": "7", "user_info": {"name": "Ada"}}) as subscriber:
        client = Sockudo.from_url(sockudo.url)
        assert client.users_info("presence-recorder") == {"users": [{"id": "7"}]}
        client.trigger("presence-recorder", "e", {"n": 1})
        assert subscriber.wait_for("presence-recorder", "e")[0].data == {"n": 1}


def test_the_stack_delivers_soon(sockudo_stack, sockudo_subscriber: Subscriber) -> None:
    sockudo_subscriber.subscribe("orders", "private-encrypted-a")
    times = []
    for number in range(TRIES):
        begun = time.monotonic()
        publish.delay("orders", "e", number)
        (event,) = sockudo_subscriber.wait_for("orders")
        assert event.data == number
        times.append(event.at - begun)
    assert min(times) < BOUND_S, times
    publish.delay("private-encrypted-a", "e", {"id": 1}, key="the-key")
    assert sockudo_subscriber.wait_for("private-encrypted-a")[0].data == {"id": 1}
    publish.apply_async(("orders", "later", 1), countdown=0.1)
    sockudo_subscriber.wait_for("orders", "later")
    sockudo_subscriber.assert_nothing_more()


def test_coroutines_reach_subscribers_of_the_stack(sockudo_stack) -> None:
    async def run() -> None:
        async with AsyncSubscriber(sockudo_stack, "presence-room", user={"user_id": "7"}) as subscriber:
            await publish.adelay("presence-room", "e", 0)
            await apublish_many([("presence-room", "e", n) for n in range(1, 5)])
            events = await subscriber.wait_for("presence-room", "e", count=5)
            assert [event.data for event in events] == list(range(5))

    asyncio.run(run())


def test_the_stack_is_emptied(sockudo_stack, sockudo_subscriber: Subscriber) -> None:
    """The key of the test before, with another payload: no conflict, and the server publishes it."""
    sockudo_subscriber.subscribe("orders")
    publish.delay("orders", "e", {"id": 2}, key="the-key")
    assert sockudo_subscriber.wait_for("orders")[0].data == {"id": 2}
    sockudo_subscriber.assert_nothing_more()
