"""What a process shares with its signal handlers and forked children: the worker's stop, the doorbell's lock."""

from __future__ import annotations

import os

import pytest

from sockudo_publisher.wiring.stop import StopFlag
from tests.support.warm import run_python

pytestmark = pytest.mark.unit

INTERRUPTED = """
import signal, time
from sockudo_publisher.wiring.stop import StopFlag
flag = StopFlag()
signals = 0
def on_signal(*_):
    global signals
    signals += 1
    flag.set()
signal.signal(signal.SIGALRM, on_signal)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
while signals < 500: flag.is_set()
signal.setitimer(signal.ITIMER_REAL, 0)
print(flag.is_set())
"""


def test_signal_that_comes_while_the_flag_is_read_sets_it() -> None:
    """The gevent pool reads it in the thread that takes signals: a lock would wait for itself."""
    assert run(INTERRUPTED) == "True\n"


FORKED = """
import os
from sockudo_publisher.wiring.stop import StopFlag
flag = StopFlag()
started, start = os.pipe()
going, go = os.pipe()
if os.fork() == 0:
    before = flag.is_set()
    os.write(start, b".")
    os.read(going, 1)
    os._exit(0 if (before, flag.is_set()) == (False, True) else 1)
os.read(started, 1)
flag.set()
os.write(go, b".")
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_forked_child_sees_the_flag_that_is_set_later() -> None:
    """A prefork child sees the warm shutdown that Celery announces to its parent only."""
    assert run(FORKED) == "0\n"


LOCKED = """
import os
from sockudo_publisher.wiring.doorbell import doorbell
doorbell._lock.acquire()  # as a thread does that waits for a frozen broker
if os.fork() == 0:
    doorbell._skip_until = 0
    doorbell.ring("default", ())
    os._exit(0 if doorbell._lock.acquire(timeout=0) else 1)  # a lock of its own, which no thread holds
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_child_of_a_process_that_was_ringing_rings_itself() -> None:
    """A lock that another thread held at the fork is not waited for at every ring of the child."""
    assert run(LOCKED) == "0\n"


def run(source: str) -> str:
    """What a Python process of its own prints (a fork of pytest's would have its threads)."""
    environ = {**os.environ, "SOCKUDO_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = run_python(["-c", source], env=environ, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cold_stop_is_a_stop_and_stays_cold() -> None:
    """A later warm stop (the sweep's own end) does not undo it."""
    flag = StopFlag()
    flag.set()
    assert (flag.is_set(), flag.is_cold()) == (True, False)
    flag.set_cold()
    flag.set()
    assert (flag.is_set(), flag.is_cold()) == (True, True)
