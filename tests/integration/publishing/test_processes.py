"""What a process shares, and must not: forks, and what an import loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.caller import call
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


def test_parent_and_children_publish_after_a_fork(stack: Stack) -> None:
    """As under gunicorn's preload: the app is used before the fork, then by all; each event arrives once."""
    seen = stack.subscribe(stack.channel())
    stack.worker()
    call(
        stack,
        """
import os
publish.delay(C, "e", "before"); publish(C, "e", "before, now")
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        for n in range(25): publish.delay(C, "e", f"{child}:{n}")
        publish(C, "e", f"{child} now")
        os._exit(0)
    children.append(pid)
for n in range(25): publish.delay(C, "e", f"parent:{n}")
for pid in children: assert os.waitpid(pid, 0)[1] == 0
""",
    )
    seen.wait_for_count(131, 30)
    seen.wait_until_quiet(0.5)
    assert len(set(seen.data())) == len(seen.data()) == 131


def test_many_threads_publish_at_once(stack: Stack) -> None:
    """Threads share the connections; each thread's events keep their order."""
    seen = stack.subscribe(*stack.channels(8))
    stack.worker()
    call(
        stack,
        f"""
from concurrent.futures import ThreadPoolExecutor
def job(channel):
    for n in range(100): publish.delay(channel, "e", n)
with ThreadPoolExecutor(8) as pool: list(pool.map(job, {stack.channels(8)!r}))
""",
    )
    seen.wait_for_count(800, 30)
    for channel in stack.channels(8):
        assert [int(data) for data in seen.data(channel)] == list(range(100))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pool_is_given_publish_itself(stack: Stack, method: str) -> None:
    """`submit(publish.delay, ...)`, whether the pool's processes are forked or begin anew."""
    said = call(
        stack,
        f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context({method!r})) as pool:
        stored = [pool.submit(publish.delay, C, "e", n, key=f"k-{{n}}") for n in range(4)]
        say([one.result().id for one in stored])
        say(pool.submit(publish, C, "e", "now", key="k-now").result().message_id)
""",
    )
    assert said == [["k-0", "k-1", "k-2", "k-3"], "k-now"]


@pytest.mark.parametrize(
    "use", ["import sockudo_publisher", "from sockudo_publisher import Sockudo, Event; Sockudo('a', 'k', 's')"]
)
def test_the_client_loads_neither_celery_nor_redis(use: str) -> None:
    """Who only talks to Sockudo pays for neither."""
    source = f"import sys; {use}; print(sorted({{'celery', 'redis', 'kombu'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
