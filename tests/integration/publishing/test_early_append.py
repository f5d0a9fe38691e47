"""A coroutine's call that is alone is appended by its own loop; all that is unusual is left to the thread."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from sockudo_publisher import BacklogFull, JournalUnavailable, configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.layout.layout import LayoutRecord
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.redis.sent import MAX_EARLY_BYTES
from sockudo_publisher.publishing import early_append, group_commit
from tests.support.loops import LOOPS, LoopWatch, run_in
from tests.support.redis_gate import RedisGate
from tests.support.stored import stored_data
from tests.support.timing import BUSY_S, in_time

pytestmark = pytest.mark.integration

URL = "http://key:secret@127.0.0.1:9/apps/app"
LANES = 4


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[RedisGate]:
    """Before a Redis of the test's own; this process has published through it."""
    with RedisServer(tmp_path / "journal") as server, RedisGate(server.url) as gate:
        settings = {"url": URL, "redis_url": gate.url, "broker_url": "redis://127.0.0.1:9/0", "lanes": LANES}
        configure(**settings)
        publish.delay("first", "e", 0)
        yield gate
        gate.is_open.set()
        configure()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, the loop waits for the answer."""
    monkeypatch.setattr(early_append, "PATIENCE_S", 30.0)


def stored(gate: RedisGate) -> list[int]:
    gate.is_open.set()
    gate.in_pieces = False
    with redis.Redis.from_url(gate.url) as client:
        return [int(data) for data in stored_data(client).get("c", ())]


def has_thread() -> bool:
    (group,) = group_commit._groups.values()
    return group.thread._thread is not None


def open_sockets() -> int:
    """Of this process. A loop's pipes are not counted: uvloop's first one leaves some open."""
    gc.collect()
    count = 0
    for entry in os.scandir("/proc/self/fd"):
        with suppress(OSError):  # of the scan itself, closed again
            count += os.readlink(entry.path).startswith("socket:")
    return count


async def until_sent() -> None:
    """A few steps of the loop: a call that is begun has sent its append."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("loop_name", LOOPS)
def test_lone_caller_wakes_no_thread(gate: RedisGate, patient: None, loop_name: str) -> None:
    """The answer is seen in the loop; no call leaves a descriptor behind."""

    async def live() -> None:
        await publish.adelay("c", "e", 0)
        before = open_sockets()
        for number in range(1, 50):
            await publish.adelay("c", "e", number)
        assert not has_thread()
        assert open_sockets() == before

    run_in(loop_name, live())
    assert stored(gate) == list(range(50))


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("others", [1, 7])
def test_next_calls_keep_the_order(gate: RedisGate, loop_name: str, others: int) -> None:
    """They come while the append of the first is under way, plain and keyed."""

    async def live() -> None:
        number = 0
        for _ in range(60):
            calls = []
            for _ in range(1 + others):
                calls.append(publish.adelay("c", "e", number, key=f"k{number}" if number % 3 == 1 else None))
                number += 1
            await asyncio.gather(*calls)

    run_in(loop_name, live())
    assert stored(gate) == list(range(60 * (1 + others)))


def test_two_loops_share_one_app(gate: RedisGate) -> None:
    """Each loop's own order; none finds the other's answer."""

    def live(channel: str) -> None:
        async def calls() -> None:
            for number in range(200):
                await publish.adelay(["c", channel], "e", number)

        asyncio.run(calls())

    threads = [threading.Thread(target=live, args=(f"d{number}",)) for number in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(stored(gate)) == sorted([*range(200), *range(200)])
    with redis.Redis.from_url(gate.url) as client:
        data = stored_data(client)
    assert [int(one) for one in data["d0"]] == [int(one) for one in data["d1"]] == list(range(200))


@pytest.mark.parametrize("loop_name", LOOPS)
def test_answer_in_pieces_is_read_by_the_thread(gate: RedisGate, loop_name: str) -> None:
    gate.in_pieces = True

    async def live() -> None:
        for number in range(3):
            await publish.adelay("c", "e", number)
        assert has_thread()

    run_in(loop_name, live())
    assert stored(gate) == [0, 1, 2]


@pytest.mark.parametrize("loop_name", LOOPS)
def test_late_answer_is_left_to_the_thread(gate: RedisGate, loop_name: str) -> None:
    """The loop goes on, the call gets its answer, and the next call gets its own answer."""

    async def live() -> float:
        gate.is_open.clear()
        async with LoopWatch() as watch:
            call = asyncio.ensure_future(publish.adelay("c", "e", 0))
            await asyncio.sleep(4 * early_append.PATIENCE_S)
            assert not call.done()
            gate.is_open.set()
            await call
        assert has_thread()
        await publish.adelay("c", "e", 1)
        assert stored(gate) == [0, 1]
        with redis.Redis.from_url(gate.url) as client:
            client.flushall()
        return watch.longest_s

    in_time(lambda: run_in(loop_name, live()), float, 0.25)


def test_no_answer_fails_the_call_in_time(gate: RedisGate) -> None:
    """Within two seconds, and it says that it cannot know; later calls succeed."""

    async def live() -> None:
        gate.is_open.clear()
        with pytest.raises(JournalUnavailable) as caught:
            await asyncio.wait_for(publish.adelay("c", "e", 0, key=None), 2 + BUSY_S)
        assert caught.value.stored is None
        assert caught.value.message_id
        gate.is_open.set()
        await publish.adelay("c", "e", 1, key=caught.value.message_id)
        await publish.adelay("c", "e", 2)

    asyncio.run(live())
    assert stored(gate) == [0, 1, 2]


@pytest.mark.parametrize("when", ["before the call", "before the answer"])
def test_connection_that_ends_is_told_apart(gate: RedisGate, when: str) -> None:
    """Ended before the call, a new connection serves it; ended later, the error cannot say what is stored."""

    async def live() -> None:
        await publish.adelay("c", "e", 0)
        if when == "before the call":
            gate.end_connections()
            await publish.adelay("c", "e", 1)
            return
        gate.is_open.clear()
        call = asyncio.ensure_future(publish.adelay("c", "e", 1))
        await until_sent()
        assert await asyncio.to_thread(wait_for, lambda: is_stored_behind(gate, 1), 20)
        gate.end_connections()
        with pytest.raises(JournalUnavailable) as caught:
            await call
        assert caught.value.stored is None

    def is_stored_behind(gate: RedisGate, number: int) -> bool:
        with redis.Redis.from_url(gate.direct_url) as client:
            return str(number) in stored_data(client).get("c", ())

    asyncio.run(live())
    assert stored(gate) == [0, 1]


@pytest.mark.parametrize("loop_name", LOOPS)
def test_cancelled_under_way_it_is_stored(gate: RedisGate, loop_name: str) -> None:
    """Its answer is read all the same: the next call on this connection gets its own."""

    async def live() -> None:
        await publish.adelay("c", "e", 0)
        before = open_sockets()
        gate.is_open.clear()
        call = asyncio.ensure_future(publish.adelay("c", "e", 1))
        await until_sent()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        gate.is_open.set()
        for number in range(2, 10):
            await publish.adelay("c", "e", number)
        assert open_sockets() <= before

    run_in(loop_name, live())
    assert stored(gate) == list(range(10))


def test_cancelled_under_way_its_lane_is_rung(gate: RedisGate) -> None:
    """Its event is stored: a worker shall hear of it without another call, and before a sweep."""
    configure(url=URL, redis_url=gate.url, broker_url=gate.direct_url, lanes=LANES)
    publish.delay("first", "e", 0)
    # A lane is rung once until a worker drains it.
    channel = next(name for name in map(str, range(100)) if lane_of(name, LANES) != lane_of("first", LANES))

    async def live() -> None:
        call = asyncio.ensure_future(publish.adelay(channel, "e", 1))
        await until_sent()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    with redis.Redis.from_url(gate.direct_url) as client:
        client.delete("sockudo")
        gate.is_open.clear()
        asyncio.run(live())
        gate.is_open.set()
        assert wait_for(lambda: client.llen("sockudo") == 1, 20)


@pytest.mark.parametrize("loop_name", LOOPS)
def test_loop_that_ends_leaves_it_to_the_next(gate: RedisGate, loop_name: str) -> None:
    """Closed, or abandoned, with the append under way; `configure()` waits for it, and no descriptor stays."""

    async def live() -> asyncio.Task[object]:
        call = asyncio.ensure_future(publish.adelay("c", "e", 0))
        await until_sent()
        return call

    before = open_sockets()
    gate.is_open.clear()
    task = run_in(loop_name, live()) if loop_name == "uvloop" else _run_and_close(live())
    task._log_destroy_pending = False
    threading.Timer(0.1, gate.is_open.set).start()
    configure(url=URL, redis_url=gate.url, broker_url="redis://127.0.0.1:9/0", lanes=LANES)
    assert stored(gate) == [0]
    del task
    asyncio.run(publish.adelay("c", "e", 1))
    assert stored(gate) == [0, 1]
    assert wait_for(lambda: open_sockets() <= before, 10)


def _run_and_close(coroutine: object) -> asyncio.Task[object]:
    loop = asyncio.new_event_loop()  # `asyncio.run` would cancel the call
    try:
        return loop.run_until_complete(coroutine)  # type: ignore[arg-type]
    finally:
        loop.close()


class _LoopWithoutSockets(asyncio.SelectorEventLoop):
    """As Windows' usual loop: it cannot watch a socket."""

    def add_reader(self, fd: object, callback: Callable[..., object], *args: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("what", ["loop cannot watch", "no descriptor is left"])
def test_what_cannot_be_watched_is_left_to_the_thread(
    gate: RedisGate, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = _LoopWithoutSockets() if what == "loop cannot watch" else asyncio.new_event_loop()

    async def live() -> None:
        for number in range(3):
            await publish.adelay("c", "e", number)

    if what == "no descriptor is left":

        def refuse(fd: int) -> int:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(os, "dup", refuse)
    loop.run_until_complete(live())
    loop.close()
    assert has_thread()
    assert stored(gate) == [0, 1, 2]


def test_script_that_redis_forgot_is_sent_again(gate: RedisGate) -> None:
    async def live() -> None:
        await publish.adelay("c", "e", 0)
        with redis.Redis.from_url(gate.url) as client:
            client.script_flush()
        await publish.adelay("c", "e", 1)

    asyncio.run(live())
    assert stored(gate) == [0, 1]


def test_closed_lane_is_left_for_the_new_one(gate: RedisGate) -> None:
    """The number of lanes was changed since this process looked: the append is refused, and goes to the new lane."""

    async def live() -> None:
        await publish.adelay("c", "e", 0)
        record = LayoutRecord(RedisLink(gate.url, timeout_s=5.0), "default", LANES)
        assert record.ask_for(LANES + 3)
        record.closed()
        await publish.adelay("c", "e", 1)
        await publish.adelay("c", "e", 2)

    asyncio.run(live())
    assert sorted(stored(gate)) == [0, 1, 2]


def test_full_lane_refuses_the_call(gate: RedisGate) -> None:
    configure(url=URL, redis_url=gate.url, broker_url="redis://127.0.0.1:9/0", lanes=LANES, max_backlog=5)

    async def live() -> None:
        for number in range(6):
            try:
                await publish.adelay("c", "e", number)
            except BacklogFull as error:
                assert "limit 5" in str(error)  # noqa: PT017 -- how many fit, the other channel's event says
                return
        pytest.fail("no limit")

    asyncio.run(live())
    data = stored(gate)
    assert data == list(range(len(data)))
    assert 0 < len(data) <= 5


def test_large_event_is_sent_by_the_thread(gate: RedisGate, patient: None) -> None:
    """What the socket does not surely take at once could hold the loop."""
    names = map(str, range(100))
    channels = [name for name in names if lane_of(name, LANES) == lane_of("c", LANES)][:2]
    data = "x" * (MAX_EARLY_BYTES // 2)

    async def live() -> None:
        await publish.adelay(channels[0], "e", data)
        assert not has_thread()
        await publish.adelay(channels, "e", data)
        assert has_thread()

    asyncio.run(live())


def test_all_lanes_of_an_event_take_the_thread(gate: RedisGate) -> None:
    """An event on channels of several lanes is several appends, each with its own answer."""
    channels = [str(number) for number in range(20)]

    async def live() -> None:
        await publish.adelay(channels, "e", 1)
        assert has_thread()

    asyncio.run(live())
    with redis.Redis.from_url(gate.url) as client:
        assert {name: stored_data(client)[name] for name in channels} == {name: ["1"] for name in channels}
