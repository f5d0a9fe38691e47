"""Events for later from FastAPI: the block of docs/fastapi.md, with a Redis that answers and one that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher import JournalUnavailable, configure, operations
from sockudo_publisher.contrib.fastapi import get_publisher
from sockudo_publisher.contrib.permissions import default_registry
from sockudo_publisher.dev.embedded import RedisServer
from tests.support.loops import LoopWatch
from tests.support.web_apps import send, serve_asgi

from .test_docs import run_blocks

pytestmark = pytest.mark.integration

#: Seconds that a loop may be held on a busy machine; a hanging Redis takes 0.9 s.
HELD_S = 0.5


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own; its settings are this process'."""
    before = tuple(default_registry)
    default_registry.clear()
    with RedisServer(tmp_path / "journal") as server:
        configure(url="http://key:secret@127.0.0.1:9/apps/app", redis_url=server.url)
        yield server
        server.resume()
        configure()
    default_registry.clear()
    for permission in before:
        default_registry._put(permission)


def test_an_event_for_later_and_back(journal: RedisServer) -> None:
    """It waits in Redis with its due time; the second request takes it back, the third says that it is too late."""
    module = run_blocks("fastapi.md", 2)
    with serve_asgi(module["app"]) as url:
        status, answer, _ = send(f"{url}/orders/5/remind?minutes=2", b"")
        assert (status, answer) == (202, {"message_id": "remind-5"})
        (waiting,) = operations.scheduled()
        assert (waiting.channel, waiting.event) == ("private-orders.5", "reminder")
        assert 100_000 < waiting.due_ms - operations_now_ms() <= 120_000
        assert send(f"{url}/orders/5/remind", method="DELETE")[:2] == (200, {"is_cancelled": True})
        assert operations.scheduled() == []
        assert send(f"{url}/orders/6/remind", method="DELETE")[:2] == (200, {"is_cancelled": False})


def operations_now_ms() -> int:
    """Redis' clock, which decides what is due."""
    from sockudo_publisher.wiring.app import app_named

    return app_named().producer.now_ms()


def test_the_loop_goes_on_while_redis_hangs(journal: RedisServer) -> None:
    """Eight calls that wait for a frozen Redis, and each raises what `apply_async` raises."""

    async def attempt() -> tuple[list[object], float]:
        publisher = get_publisher()
        await publisher.aapply_async(("orders", "warm", 1), countdown=60)
        journal.pause()
        async with LoopWatch() as watch:
            calls = (publisher.aapply_async(("orders", "later", n), countdown=60) for n in range(8))
            failed = await asyncio.gather(*calls, return_exceptions=True)
        return list(failed), watch.longest_s

    failed, longest_s = asyncio.run(attempt())
    assert [type(one) for one in failed] == [JournalUnavailable] * 8
    assert longest_s < HELD_S


def test_a_blocking_call_holds_the_loop(journal: RedisServer) -> None:
    """What the test above measures: `apply_async` in a coroutine is seen."""

    async def attempt() -> float:
        publisher = get_publisher()
        journal.pause()
        async with LoopWatch() as watch:
            with pytest.raises(JournalUnavailable):
                publisher.apply_async(("orders", "later", 1), countdown=60)
            await asyncio.sleep(0.02)
        return watch.longest_s

    assert asyncio.run(attempt()) > HELD_S
