"""`adelay` and `apublish_many` while Redis is away, when calls are cancelled, and when loops end too early."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher import BacklogFull, BulkError, JournalUnavailable, apublish_many, configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_of
from tests.support.loops import LOOPS, LoopWatch, run_in
from tests.support.stored import stored_data
from tests.support.timing import BUSY_S, in_time

pytestmark = pytest.mark.integration


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, to stop and to kill; its settings are this process'."""
    with RedisServer(tmp_path / "journal") as server:
        configure(
            url="http://key:secret@127.0.0.1:9/apps/app", redis_url=server.url, broker_url="redis://127.0.0.1:9/0"
        )
        publish.delay("first", "e", 1)
        yield server
        server.resume()
        configure()


def waiting(journal: RedisServer) -> dict[str, list[str]]:
    with redis.Redis.from_url(journal.url) as client:
        return stored_data(client)


async def fail(call: object) -> tuple[float, JournalUnavailable]:
    """Await a call that fails: the seconds, and its error."""
    started = time.monotonic()
    try:
        await call
    except JournalUnavailable as error:
        return time.monotonic() - started, error
    except BulkError as error:
        if isinstance(error.cause, JournalUnavailable):
            return time.monotonic() - started, error.cause
        raise
    raise AssertionError("the call did not fail")


@pytest.mark.parametrize("loop_name", LOOPS)
def test_frozen_redis_fails_all_calls_together(journal: RedisServer, loop_name: str) -> None:
    """Two hundred at once raise within two seconds, and the loop goes on meanwhile."""

    async def attempt() -> tuple[float, float]:
        calls = [publish.adelay(f"c{n % 7}", "e", n, key=f"k{n}" if n % 5 == 0 else None) for n in range(200)]
        async with LoopWatch() as watch:
            failed = await asyncio.gather(*(fail(call) for call in calls))
        for _, error in failed:
            assert error.message_id
            assert error.stored in (False, None)
            assert error.is_unreachable or "another call tries" in str(error)
        assert len({error.message_id for _, error in failed}) == 200
        assert len({id(error) for _, error in failed}) == 200
        seconds = [took for took, _ in failed]
        return max(seconds), watch.longest_s

    def frozen() -> tuple[float, float]:
        journal.pause()
        try:
            return run_in(loop_name, attempt())
        finally:
            journal.resume()
            publish.delay("between", "e", 1)

    took, _ = in_time(frozen, lambda found: found[0], 2.0)
    assert took > 0.5
    in_time(frozen, lambda found: found[1], 0.25)


def test_new_calls_fail_at_once_while_one_tries(journal: RedisServer) -> None:
    async def attempt() -> float:
        await fail(publish.adelay("c", "e", "finds out"))
        trying = asyncio.ensure_future(fail(publish.adelay("c", "e", "tries")))
        await asyncio.sleep(0)
        at_once = await asyncio.gather(*(fail(publish.adelay("c", "e", n)) for n in range(50)))
        assert not trying.done()
        assert {error.stored for _, error in at_once} == {False}
        assert all("another call tries Redis again" in str(error) for _, error in at_once)
        await trying
        return max(took for took, _ in at_once)

    def frozen() -> float:
        journal.pause()
        try:
            return asyncio.run(attempt())
        finally:
            journal.resume()

    in_time(frozen, float, 0.3)


def test_redis_that_is_back_is_found_by_the_next_call(journal: RedisServer) -> None:
    """Killed and started again: nothing is lost of what was stored, and calls succeed again at once."""

    async def live() -> None:
        await publish.adelay("c", "e", "before")
        journal.kill()
        _, error = await fail(publish.adelay("c", "e", "while it is down"))
        assert error.stored in (False, None)
        journal.start()
        await asyncio.gather(*(publish.adelay("c", "e", str(n)) for n in range(20)), return_exceptions=True)
        await publish.adelay("c", "e", "after")

    asyncio.run(live())
    data = waiting(journal)["c"]
    assert (data[0], data[-1]) == ("before", "after")
    assert "while it is down" not in data


def test_calls_are_kept_in_order_through_a_pause(journal: RedisServer) -> None:
    """A Redis that stops for less than the bound: all wait and are stored, in order."""

    async def live() -> None:
        await publish.adelay("c", "e", 0)
        journal.pause()
        calls = [asyncio.ensure_future(publish.adelay("c", "e", n)) for n in range(1, 400)]
        await asyncio.sleep(0.1)
        journal.resume()
        await asyncio.gather(*calls)

    asyncio.run(live())
    assert [int(data) for data in waiting(journal)["c"]] == list(range(400))


@pytest.mark.parametrize("loop_name", LOOPS)
def test_cancelled_before_its_flush_it_is_not_stored(journal: RedisServer, loop_name: str) -> None:
    """The flush under way is stored; of the waiting calls, those that are not cancelled."""

    async def live() -> None:
        await publish.adelay("c", "e", "first")
        journal.pause()
        taken = asyncio.ensure_future(publish.adelay("c", "e", "taken"))
        await asyncio.sleep(0.05)  # the flush has it
        calls = [asyncio.ensure_future(publish.adelay("c", "e", f"w{n}")) for n in range(10)]
        bulk = asyncio.ensure_future(apublish_many([("c", "e", "bulk")] * 3))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for call in (taken, *calls[::2], bulk):
            call.cancel()
        got = await asyncio.gather(taken, *calls[::2], bulk, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in got)
        journal.resume()
        await asyncio.gather(*calls[1::2])

    run_in(loop_name, live())
    assert waiting(journal)["c"] == ["first", "taken", "w1", "w3", "w5", "w7", "w9"]


def test_cancelled_at_any_step_the_queue_goes_on(journal: RedisServer) -> None:
    """Before its first step, while it waits, and with its outcome set: nothing stays behind, no other call notices."""

    async def live() -> None:
        never = asyncio.ensure_future(publish.adelay("c", "e", "never begun"))
        never.cancel()
        for steps in range(12):
            call = asyncio.ensure_future(publish.adelay("c", "e", f"s{steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.Event().wait()), 0.001)
        await publish.adelay("c", "e", "last")

    asyncio.run(live())
    data = waiting(journal)["c"]
    assert "never begun" not in data
    assert "s0" not in data
    assert data[-1] == "last"
    assert len(set(data)) == len(data)


def test_the_call_that_tries_may_be_cancelled(journal: RedisServer) -> None:
    """Then the next one tries: the queue does not wait for a call that is gone."""

    async def live() -> None:
        journal.pause()
        await fail(publish.adelay("c", "e", "finds out"))
        trying = asyncio.ensure_future(publish.adelay("c", "e", "tries"))
        await asyncio.sleep(0.05)
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
        journal.resume()
        until = time.monotonic() + 2 + BUSY_S
        while True:
            try:
                await publish.adelay("c", "e", "back")
                return
            except JournalUnavailable:
                assert time.monotonic() < until
                await asyncio.sleep(0.02)

    asyncio.run(live())
    assert waiting(journal)["c"][-1] == "back"


def test_loop_that_is_closed_leaves_its_events_stored(journal: RedisServer) -> None:
    """The thread outlives the loop, and serves the next one."""

    async def begin() -> list[asyncio.Task[object]]:
        calls = [asyncio.ensure_future(publish.adelay("c", "e", n)) for n in range(5)]
        await asyncio.sleep(0)
        return calls

    loop = asyncio.new_event_loop()
    journal.pause()
    tasks = loop.run_until_complete(begin())
    loop.close()
    journal.resume()
    assert wait_for(lambda: len(waiting(journal).get("c", ())) == 5, 30)
    for task in tasks:
        task._log_destroy_pending = False
    asyncio.run(publish.adelay("c", "e", 5))
    assert [int(data) for data in waiting(journal)["c"]] == list(range(6))


def test_failure_for_a_closed_loop_is_logged(journal: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """No caller gets it: the log names the app, the channel and the id, never the payload."""

    async def begin() -> list[asyncio.Task[object]]:
        call = asyncio.ensure_future(publish.adelay("c", "e", "payload", key="id-1"))
        await asyncio.sleep(0)
        return [call]

    loop = asyncio.new_event_loop()
    journal.pause()
    tasks = loop.run_until_complete(begin())
    loop.close()
    with caplog.at_level(logging.ERROR, "sockudo_publisher.group_commit"):
        assert wait_for(lambda: "message_id=id-1" in caplog.text, 2 + BUSY_S)
    assert "channel=c" in caplog.text
    assert "payload" not in caplog.text
    for task in tasks:
        task._log_destroy_pending = False


def test_frozen_redis_fails_bulk_jobs_together(journal: RedisServer) -> None:
    """A hundred of them within two seconds, and the iterables were not taken further."""

    async def attempt() -> float:
        jobs = [apublish_many([(f"c{n}", "e", 1)], key_prefix=f"p{n}" if n % 2 else None) for n in range(100)]
        failed = await asyncio.gather(*(fail(job) for job in jobs))
        return max(took for took, _ in failed)

    def frozen() -> float:
        journal.pause()
        try:
            return asyncio.run(attempt())
        finally:
            journal.resume()

    in_time(frozen, float, 2.0)


def test_thread_is_idle_when_nothing_waits(journal: RedisServer) -> None:
    """No polling: an idle process' thread uses no processor."""

    async def publish_two() -> None:
        await asyncio.gather(publish.adelay("c", "e", 1), publish.adelay("c", "e", 2))

    asyncio.run(publish_two())
    thread = next(one for one in threading.enumerate() if one.name.startswith("sockudo-publisher-append"))
    clock = time.pthread_getcpuclockid(thread.ident)
    before = time.clock_gettime(clock)
    time.sleep(0.5)
    assert time.clock_gettime(clock) - before < 0.01


def test_missing_replicas_fail_calls_and_stop_nothing(journal: RedisServer) -> None:
    """Redis answers: no call is refused untried. All are stored, as the errors' ``None`` allows."""
    configure(url="http://key:secret@127.0.0.1:9/apps/app", redis_url=journal.url, redis_wait=(1, 50))

    async def live() -> None:
        for _ in range(3):
            failed = await asyncio.gather(*(fail(publish.adelay("c", "e", n)) for n in range(20)))
            assert {error.stored for _, error in failed} == {None}
            assert all("SOCKUDO_REDIS_WAIT" in str(error) for _, error in failed)

    asyncio.run(live())
    assert len(waiting(journal)["c"]) == 60


def test_unreadable_lane_fails_its_own_calls_only(journal: RedisServer) -> None:
    """The other calls of the same flush are stored, and no call after it is refused untried."""
    other = next(name for name in map(str, range(100)) if lane_of(name, 8) != lane_of("c", 8))

    async def live() -> None:
        await publish.adelay("c", "e", 1)
        with redis.Redis.from_url(journal.url) as client:
            stream = next(key for key in client.keys("*:stream") if b'"c"' in client.xrevrange(key)[0][1][b"m"])
            client.delete(stream)
            client.set(stream, "another program's")
        for _ in range(2):
            calls = [publish.adelay(channel, "e", 2) for channel in ("c", other, "c", other)]
            got = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(one).__name__ for one in got] == ["JournalUnreadable", "StoredResult"] * 2
            assert [got[0].message_id != got[2].message_id, got[0].is_unreachable] == [True, False]

    asyncio.run(live())


def test_full_redis_refuses_and_has_room_again(journal: RedisServer) -> None:
    with redis.Redis.from_url(journal.url) as client:

        async def live() -> None:
            client.config_set("maxmemory", 1)
            got: list[object] = []

            async def refused() -> bool:
                got[:] = await asyncio.gather(*(publish.adelay("c", "e", n) for n in range(5)), return_exceptions=True)
                return all(isinstance(one, BacklogFull) for one in got)

            until = time.monotonic() + 3 + BUSY_S
            while not await refused():
                assert time.monotonic() < until, got
            client.config_set("maxmemory", 0)
            while await refused():
                assert time.monotonic() < until + BUSY_S, got
                await asyncio.sleep(0.05)

        asyncio.run(live())
