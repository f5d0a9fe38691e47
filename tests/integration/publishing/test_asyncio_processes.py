"""Group commit in processes that end, fork, or are forked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.parts import need_module
from tests.support.stack import Stack
from tests.support.stored import stored_data
from tests.support.timing import BUSY_S
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

COMMON = """
import asyncio, os, signal, sys, threading, time
from sockudo_publisher import *

def in_child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return pid

def other_loop():
    '''A loop in a daemon thread, as some frameworks have.'''
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop
"""


def run(stack: Stack, source: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_in_environ({**stack.python(), **env}, source)


def run_in_environ(environ: Mapping[str, str], source: str) -> subprocess.CompletedProcess[str]:
    return run_python(["-c", COMMON + source], env=environ, timeout=120)


def test_end_of_the_process_flushes_what_waits(stack: Stack) -> None:
    """Calls of a loop in a daemon thread: the main thread ends at once, all are stored, and their lanes are rung."""
    done = run(
        stack,
        """
loop = other_loop()
async def begin():
    for n in range(500):
        asyncio.ensure_future(publish.adelay("c", "e", n))
    await asyncio.sleep(0)
asyncio.run_coroutine_threadsafe(begin(), loop).result()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [int(data) for data in stored_data(stack.redis)["c"]] == list(range(500))
    assert stack.redis.llen("sockudo") == 1


def test_last_event_of_a_short_program_is_rung(stack: Stack) -> None:
    done = run(stack, 'asyncio.run(publish.adelay("c", "e", 1))')
    assert (done.returncode, done.stderr) == (0, "")
    assert stack.redis.llen("sockudo") == 1


def test_end_with_a_frozen_redis_says_what_is_lost(stack: Stack, tmp_path: Path) -> None:
    """It ends within its bound, and does not pretend."""
    with RedisServer(tmp_path / "journal") as journal:
        journal.pause()
        done = run(
            stack,
            """
loop = other_loop()
async def begin():
    for n in range(3):
        asyncio.ensure_future(publish.adelay("c", "e", n))
    await asyncio.sleep(0)
asyncio.run_coroutine_threadsafe(begin(), loop).result()
loop.call_soon_threadsafe(loop.stop)
while loop.is_running(): time.sleep(0.01)
loop.close()
""",
            SOCKUDO_REDIS_URL=journal.url,
            SOCKUDO_BROKER_URL=stack.redis_server.url,
        )
        journal.resume()
        assert "event not stored" in done.stderr or "were not stored" in done.stderr


def test_fork_under_a_running_flush(stack: Stack) -> None:
    """Parent and child go on, each with a thread and a connection of its own; each event is stored once."""
    done = run(
        stack,
        """
def work():
    async def all_of_it():
        await asyncio.gather(*(publish.adelay("child", "e", n) for n in range(50)))
    asyncio.run(all_of_it())

async def main():
    children = []
    for round in range(6):
        calls = [asyncio.ensure_future(publish.adelay("parent", "e", round * 100 + n)) for n in range(100)]
        await asyncio.sleep(0)          # they wait, and the thread appends
        children.append(in_child(work))
        await asyncio.gather(*calls)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
asyncio.run(main())
""",
    )
    assert done.returncode == 0, done.stderr
    waiting = stored_data(stack.redis)
    assert [int(data) for data in waiting["parent"]] == list(range(600))
    assert sorted(int(data) for data in waiting["child"]) == sorted(list(range(50)) * 6)


def test_fork_under_a_lone_call(stack: Stack) -> None:
    """Its append is under way in the parent's loop: the answer is the parent's; the child's call has its own."""
    done = run(
        stack,
        """
async def main():
    await publish.adelay("parent", "e", 0)
    children = []
    for round in range(1, 9):
        call = asyncio.ensure_future(publish.adelay("parent", "e", round))
        await asyncio.sleep(0)          # it is sent
        children.append(in_child(lambda: asyncio.run(publish.adelay("child", "e", round))))
        await call
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
asyncio.run(main())
""",
    )
    assert done.returncode == 0, done.stderr
    waiting = stored_data(stack.redis)
    assert [int(data) for data in waiting["parent"]] == list(range(9))
    assert sorted(int(data) for data in waiting["child"]) == list(range(1, 9))


@pytest.mark.parametrize("is_frozen", [False, True])
def test_end_under_a_lone_call(tmp_path: Path, is_frozen: bool) -> None:
    """The process waits for its answer, for a bounded time; what is not known to be stored is said."""
    with RedisServer(tmp_path / "journal") as journal:
        settings = {"SOCKUDO_URL": "http://key:secret@127.0.0.1:9/apps/app", "SOCKUDO_REDIS_URL": journal.url}
        done = run_in_environ(
            {**os.environ, **settings},
            f"""
is_frozen, pid = {is_frozen}, {journal.pid}
loop = other_loop()
publish.delay("c", "e", 0)              # a connection, and no thread
async def begin():
    asyncio.ensure_future(publish.adelay("c", "e", 1))
    await asyncio.sleep(0)              # it is sent
    loop.stop()
    has_begun.set()
if is_frozen:
    os.kill(pid, signal.SIGSTOP)
has_begun = threading.Event()
asyncio.run_coroutine_threadsafe(begin(), loop)
has_begun.wait()
while loop.is_running(): time.sleep(0.001)
loop.close()
""",
        )
        journal.resume()
        with redis.Redis.from_url(journal.url) as client:
            assert wait_for(lambda: stored_data(client)["c"] == ["0", "1"], 10)
    assert ("event not stored" in done.stderr) == is_frozen, done.stderr


def test_child_of_a_process_whose_thread_is_idle(stack: Stack) -> None:
    """`fork` after the first call, as a preloading server does it: the child's calls get a thread of their own."""
    done = run(
        stack,
        """
asyncio.run(publish.adelay("c", "e", "parent"))
pids = [in_child(lambda: asyncio.run(publish.adelay("c", "e", "child"))) for _ in range(3)]
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
asyncio.run(publish.adelay("c", "e", "parent again"))
""",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(stored_data(stack.redis)["c"]) == ["child", "child", "child", "parent", "parent again"]


def test_killed_process_leaves_whole_flushes(stack: Stack) -> None:
    """Killed behind the append of a flush: what was stored is stored once, in order, with nothing torn."""
    done = run(
        stack,
        """
async def main():
    for round in range(100):
        await asyncio.gather(*(publish.adelay("c", "e", round * 20 + n) for n in range(20)))
asyncio.run(main())
""",
        SOCKUDO_FAULTPOINT="appended:9",
    )
    assert done.returncode == -9
    data = [int(one) for one in stored_data(stack.redis)["c"]]
    assert data == list(range(len(data)))
    assert data


SERVER = """
import asyncio
from sockudo_publisher import publish
publish.delay("c", "e", "preload")
asyncio.run(publish.adelay("c", "e", "preload"))

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    results = await asyncio.gather(*(publish.adelay("c", "e", "request") for _ in range(10)))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": results[0].id.encode()})
"""


@pytest.mark.long
def test_preloaded_gunicorn_with_uvicorn_workers(stack: Stack, tmp_path: Path) -> None:
    """The master has used both ways before it forks; each worker serves requests."""
    need_module("gunicorn")
    need_module("uvicorn_worker")
    import requests

    from sockudo_publisher.dev.embedded.ports import free_port

    (tmp_path / "served.py").write_text(SERVER)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "served:app", "--preload", "--workers", "3", "--bind"]
    command += [f"127.0.0.1:{port}", "--worker-class", "uvicorn_worker.UvicornWorker", "--log-level", "error"]
    with subprocess.Popen(command, cwd=tmp_path, env=stack.python()) as server:
        try:

            def answers() -> bool:
                try:
                    return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 200
                except requests.ConnectionError:
                    return False

            assert wait_for(answers, 30 + BUSY_S)
            for _ in range(60):
                assert requests.get(f"http://127.0.0.1:{port}/", timeout=10).status_code == 200
        finally:
            server.terminate()
            assert server.wait(30) == 0
    with redis.Redis.from_url(stack.redis_server.url) as client:
        data = stored_data(client)["c"]
    assert data.count("preload") == 2
    assert data.count("request") >= 610
