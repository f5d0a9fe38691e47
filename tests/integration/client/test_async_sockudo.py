"""`AsyncSockudo` beside the real server, and beside one that is slow or gone."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest

from sockudo_publisher import AsyncSockudo, SockudoConnectionError, SockudoHTTPError
from sockudo_publisher.dev.embedded import SockudoServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.loops import LOOPS, run_in
from tests.support.stack import SubscriberFactory

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_proxies")]


@pytest.fixture
def silent() -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that accepts connections and answers nothing: its port, and the connections."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def accept() -> None:
            while True:
                try:
                    accepted.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], accepted
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    for connection in accepted:
        connection.close()


def answer(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


@pytest.mark.parametrize("loop_name", LOOPS)
def test_calls_reach_the_real_server(sockudo: SockudoServer, subscriber: SubscriberFactory, loop_name: str) -> None:
    channel = f"async-{loop_name}-{os.getpid()}"
    seen = subscriber(sockudo, channel)

    async def calls() -> None:
        async with AsyncSockudo.from_url(sockudo.url) as client:
            assert await client.trigger(channel, "e", {"n": 1}) == {}
            got = await client.trigger_batch([(channel, "e", n) for n in range(2, 5)])
            assert got == {}
            assert (await client.channel_info(channel))["occupied"]
            with pytest.raises(SockudoHTTPError) as refused:
                await client.users_info(channel)
            assert refused.value.status == 400

    run_in(loop_name, calls())
    seen.wait_for_count(4, 10)
    assert seen.data() == ['{"n":1}', "2", "3", "4"]


def test_history_is_iterated_a_page_at_a_time(sockudo: SockudoServer, tmp_path: Path) -> None:
    with SockudoServer(tmp_path, history=True, program=sockudo.program) as server:

        async def read() -> tuple[list[str], int]:
            async with AsyncSockudo.from_url(server.url) as client:
                for n in range(7):
                    await client.trigger("c", "e", str(n))
                items = client.iter_channel_history("c", limit=2, direction="oldest_first")
                data = [item["message"]["data"] async for item in items]
                first_only = 0
                async for _ in client.iter_channel_history("c", limit=2):
                    first_only += 1
                    break
                return data, first_only

        assert asyncio.run(read()) == ([str(n) for n in range(7)], 1)


def test_calls_at_the_same_time_are_bounded(silent: tuple[int, list[socket.socket]]) -> None:
    """Three run; the fourth goes when one has ended. Authentication does not wait for any of them."""
    port, accepted = silent

    async def calls() -> None:
        client = AsyncSockudo("app", "key", "secret", port=port, timeout=60, max_concurrency=3)
        pending = [asyncio.ensure_future(client.trigger("c", "e", n)) for n in range(5)]
        assert await asyncio.to_thread(wait_for, lambda: len(accepted) == 3, 30)
        assert "auth" in await client.authenticate("private-c", "1.2")
        await asyncio.sleep(0.1)
        assert len(accepted) == 3
        pending[4].cancel()  # it has not begun: it never will
        for at in range(4):
            assert await asyncio.to_thread(wait_for, lambda at=at: len(accepted) > at, 30)
            await asyncio.to_thread(answer, accepted[at])
        assert await asyncio.gather(*pending[:4]) == [{}] * 4
        assert len(accepted) == 4
        await client.close()

    asyncio.run(calls())


def test_deadline_and_errors_are_those_of_the_client(silent: tuple[int, list[socket.socket]]) -> None:
    async def call() -> SockudoConnectionError:
        async with AsyncSockudo("app", "key", "secret", port=silent[0], timeout=0.2, retries=0) as client:
            with pytest.raises(SockudoConnectionError) as failed:
                await client.trigger("c", "e", 1)
        return failed.value

    error = asyncio.run(call())
    assert error.sent is True
    assert error.attempts == 1


def test_threads_end_with_the_block(sockudo: SockudoServer) -> None:
    """And a client that is used after it has threads again."""

    def threads() -> int:
        return sum(thread.name.startswith("sockudo-client") for thread in threading.enumerate())

    async def calls() -> None:
        async with AsyncSockudo.from_url(sockudo.url) as client:
            await asyncio.gather(*(client.trigger("c", "e", n) for n in range(10)))
            assert threads() > 0
        assert await asyncio.to_thread(wait_for, lambda: threads() == 0, 30)
        await client.trigger("c", "e", "again")
        await client.aclose()

    asyncio.run(calls())


def test_call_runs_in_the_context_of_its_caller(sockudo: SockudoServer) -> None:
    """A session's hooks see it, as tracing needs."""
    import requests

    request = ContextVar("request", default="none")
    seen = []
    session = requests.Session()
    session.hooks["response"].append(lambda *_, **__: seen.append(request.get()))

    async def calls() -> None:
        async with AsyncSockudo.from_url(sockudo.url, session=session) as client:
            request.set("mine")
            await client.trigger("c", "e", 1)

    asyncio.run(calls())
    assert seen == ["mine"]


def test_client_works_in_several_loops_and_after_a_fork(sockudo: SockudoServer) -> None:
    client = AsyncSockudo.from_url(sockudo.url)
    for _ in range(2):
        assert asyncio.run(client.trigger("c", "e", 1)) == {}
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if asyncio.run(client.trigger("c", "e", 1)) == {} else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    asyncio.run(client.close())
