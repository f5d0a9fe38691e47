"""`adelay` where all is well: the results of `delay`, in the order of the calls, in any loop and thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections import Counter

import pytest

from sockudo_publisher import (
    BacklogFull,
    ConfigurationError,
    IdempotencyConflict,
    JournalUnavailable,
    ValidationError,
    configure,
    publish,
)
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.publishing import flush_plan, group_commit
from sockudo_publisher.wiring.private_celery import celery_app
from tests.support.loops import LOOPS, run_in
from tests.support.stack import Stack
from tests.support.stored import stored_data, stored_items

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("loop_name", LOOPS)
def test_result_and_item_are_those_of_delay(stack: Stack, loop_name: str) -> None:
    """Every argument of the call; `result.id`, `get()` and the state too."""
    arguments = {"socket_id": "123.456", "tags": {"t": "x"}, "extras": {"headers": {"h": "1"}}}

    async def both() -> None:
        result = await publish.adelay("c", "e", {"n": 1}, key="k", **arguments)
        assert (result.id, result.get(), result.state, result.ready()) == ("k", "k", "SUCCESS", True)
        result = await publish.adelay(["c", "d"], "e", "text")
        assert len(result.id) == 32

    run_in(loop_name, both())
    by_coroutine = stored_items(stack.redis)
    stack.redis.flushall()
    configure()
    publish.delay("c", "e", {"n": 1}, key="k", **arguments)
    publish.delay(["c", "d"], "e", "text")
    by_thread = stored_items(stack.redis)
    for items in (by_coroutine, by_thread):
        assert items["c"][1].pop("message_id") == items["d"][0].pop("message_id")
    assert by_coroutine == by_thread


def test_signature_is_that_of_delay() -> None:
    assert inspect.signature(type(publish).adelay) == inspect.signature(type(publish).delay)
    assert inspect.iscoroutinefunction(publish.adelay)


@pytest.mark.parametrize("loop_name", LOOPS)
def test_order_of_a_channel_is_the_order_of_calls(stack: Stack, loop_name: str) -> None:
    """Plain, keyed and several channels in turn, all waiting at once."""
    count = 1500

    async def publish_all() -> None:
        calls = []
        for n in range(count):
            channel = f"c{n % 3}"
            if n % 50 == 7:
                calls.append(publish.adelay(["c0", "c1", "c2"], "e", n, key=f"k{n}"))
            elif n % 31 == 3:
                calls.append(publish.adelay(["c0", "c1", "c2"], "e", n))
            else:
                calls.append(publish.adelay(channel, "e", n, key=f"k{n}" if n % 13 == 0 else None))
        results = await asyncio.gather(*calls)
        assert len({result.id for result in results}) == count

    run_in(loop_name, publish_all())
    waiting = stored_data(stack.redis)
    for index in range(3):
        wanted = [n for n in range(count) if n % 3 == index or n % 50 == 7 or n % 31 == 3]
        assert [int(data) for data in waiting[f"c{index}"]] == wanted


def test_bad_input_raises_before_anything_is_stored(stack: Stack) -> None:
    """The same errors and texts as from `delay`."""
    for call, error in (
        ({"channel": "c", "event": "e", "data": float("nan")}, ValidationError),
        ({"channel": "", "event": "e", "data": 1}, ValidationError),
        ({"channel": "c", "event": "e", "data": 1, "key": ""}, ValidationError),
        ({"channel": "c", "event": "e", "data": 1, "app": "unknown"}, ConfigurationError),
    ):
        with pytest.raises(error) as by_coroutine:
            asyncio.run(publish.adelay(**call))
        with pytest.raises(error) as by_thread:
            publish.delay(**call)
        assert str(by_coroutine.value) == str(by_thread.value)
    assert stored_data(stack.redis) == {}


def test_conflicts_refuse_their_own_call_only(stack: Stack) -> None:
    """One flush: a repeat, a conflict, and neighbours that are stored; on several channels nothing is stored."""

    async def publish_all() -> None:
        await publish.adelay("c", "e", 1, key="k")
        got = await asyncio.gather(
            publish.adelay("c", "e", 2, key="new"),
            publish.adelay("c", "e", 1, key="k"),
            publish.adelay("c", "e", "other", key="k"),
            publish.adelay(["a", "b", "c"], "e", "other", key="k"),
            publish.adelay("d", "e", 3),
            return_exceptions=True,
        )
        assert [type(one).__name__ for one in got] == [
            *("StoredResult", "StoredResult", "IdempotencyConflict", "IdempotencyConflict", "StoredResult"),
        ]
        assert isinstance(got[2], IdempotencyConflict)

    asyncio.run(publish_all())
    assert stored_data(stack.redis) == {"c": ["1", "2"], "d": ["3"]}


def test_full_lane_refuses_what_does_not_fit(stack: Stack) -> None:
    """The first calls are stored, the others raise; several channels name those that are stored."""
    configure(max_backlog=3, lanes=1)

    async def publish_all() -> None:
        calls = [publish.adelay("c", "e", n) for n in range(2)] + [publish.adelay(["c", "d"], "e", "both")]
        got = await asyncio.gather(*calls, *(publish.adelay("c", "e", n) for n in range(5)), return_exceptions=True)
        assert Counter(type(one).__name__ for one in got[3:]) == {"BacklogFull": 5}
        assert isinstance(got[2], JournalUnavailable)
        assert (got[2].stored_channels, got[2].stored, bool(got[2].message_id)) == (("c",), None, True)
        assert len({id(one) for one in got}) == len(got), "each has its own error"

    asyncio.run(publish_all())
    assert stored_data(stack.redis) == {"c": ["0", "1", "both"]}


def test_full_queue_of_the_process_refuses_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the refused call is stored; the waiting ones are."""
    monkeypatch.setattr(flush_plan, "MAX_WAITING_EVENTS", 10)

    async def publish_all() -> None:
        group_of_calls = [publish.adelay("c", "e", n) for n in range(40)]
        got = await asyncio.gather(*group_of_calls, return_exceptions=True)
        refused = [n for n, one in enumerate(got) if isinstance(one, BacklogFull)]
        assert refused, "forty calls of one step of the loop do not fit"
        assert "in this process" in str(got[refused[0]])
        assert [int(data) for data in stored_data(stack.redis)["c"]] == [n for n in range(40) if n not in refused]
        await publish.adelay("c", "e", "room again")

    asyncio.run(publish_all())


def test_several_loops_and_threads_share_one_appending_thread(stack: Stack) -> None:
    """Each loop's calls keep their order, and each gets its own results."""

    def in_a_loop(channel: str, loop_name: str) -> None:
        async def publish_all() -> None:
            await asyncio.gather(*(publish.adelay(channel, "e", n) for n in range(300)))

        run_in(loop_name, publish_all())

    threads = [threading.Thread(target=in_a_loop, args=(f"c{n}", LOOPS[n % 2])) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    waiting = stored_data(stack.redis)
    assert {channel: [int(one) for one in data] for channel, data in waiting.items()} == {
        f"c{n}": list(range(300)) for n in range(4)
    }
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("sockudo-publisher-append")]
    assert names == ["sockudo-publisher-append-default"]


def test_caller_keeps_its_context(stack: Stack) -> None:
    request = contextvars.ContextVar("request", default="none")

    async def handle(name: str) -> str:
        request.set(name)
        await publish.adelay("c", "e", name)
        return request.get()

    async def handle_all() -> list[str]:
        return await asyncio.gather(*(handle(f"r{n}") for n in range(20)))

    assert asyncio.run(handle_all()) == [f"r{n}" for n in range(20)]


def test_call_without_a_loop_says_what_to_call() -> None:
    with pytest.raises(RuntimeError, match="adelay needs a running asyncio loop"):
        publish.adelay("c", "e", 1).send(None)


def test_two_apps_have_a_thread_each(stack: Stack) -> None:
    configure(apps={"eu": stack.environ["SOCKUDO_URL"]})

    async def publish_both() -> None:
        await asyncio.gather(publish.adelay("c", "e", 1), publish.adelay("c", "e", 2, app="eu"))
        assert sorted(app.name for app in group_commit._groups) == ["default", "eu"]

    asyncio.run(publish_both())
    assert sorted(stored_data(stack.redis)["c"]) == ["1", "2"]


def test_configure_stores_what_waits_with_the_earlier_settings(stack: Stack) -> None:
    """In the middle of a loop: the calls before it end well, in the old namespace; the next use the new one."""

    async def publish_all() -> None:
        calls = [asyncio.ensure_future(publish.adelay("c", "e", n)) for n in range(100)]
        await asyncio.sleep(0)
        configure(namespace="other")
        assert not group_commit._groups
        await asyncio.gather(*calls)
        await publish.adelay("d", "e", 1)

    asyncio.run(publish_all())
    assert [int(data) for data in stored_data(stack.redis)["c"]] == list(range(100))
    streams = {key.decode() for key in stack.redis.keys("*:stream")}
    assert sum(key.startswith("other:") for key in streams) == 1
    configure()
    assert wait_for(
        lambda: not [one for one in threading.enumerate() if one.name.startswith("sockudo-publisher-append")], 30
    )


def test_eager_call_sends_now(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(celery_app.conf, "task_always_eager", True)
    channel = stack.channel()
    seen = stack.subscribe(channel)
    assert asyncio.run(publish.adelay(channel, "e", "now", key=channel)).id == channel
    seen.wait_for_count(1, 10)
    assert stored_data(stack.redis) == {}


def test_event_arrives_through_a_worker(stack: Stack) -> None:
    """The doorbell rings from the other thread."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    stack.worker()
    asyncio.run(publish.adelay(channel, "e", "hello"))
    seen.wait_for_count(1, 30)
    assert seen.data() == ["hello"]
