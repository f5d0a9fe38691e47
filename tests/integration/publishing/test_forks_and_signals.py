"""A fork or a signal in the middle of a process' first connection: the next call returns, or raises in time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.cases import in_depth
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

#: Seconds for a program below: they take a few; one that waits for ever is ended.
PROGRAM_S = 90.0

COMMON = """
import faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)  # where it waits
import redis
from sockudo_publisher import JournalUnavailable, publish
from sockudo_publisher.wiring.doorbell import doorbell

def in_child(work):
    '''Fork, work there, and answer its exit code; a child that waits for ever is ended by its own alarm.'''
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitpid(pid, 0)[1]

class Gate:
    '''Lets one thread stop in the middle of a function, until it is opened.'''
    def __init__(self, holder, name):
        self.inside, self.opened = threading.Event(), threading.Event()
        function = getattr(holder, name)
        first = [True]
        def stopping(*args, **kwargs):
            if first and first.pop():
                self.inside.set()
                self.opened.wait(30)
            return function(*args, **kwargs)
        setattr(holder, name, stopping)
"""


def run(program: str, redis_url: str, broker_url: str = "", *, fresh: bool = False) -> None:
    """Run it in a process of its own, as a fork of pytest would have all of pytest's threads.

    It is forked from one that has imported libraries, and has no threads; `fresh`: a new interpreter, where imports or
    locks of kombu are tested.
    """
    settings = {
        "SOCKUDO_URL": "http://key:secret@127.0.0.1:1/apps/app",
        "SOCKUDO_REDIS_URL": redis_url,
        "SOCKUDO_BROKER_URL": broker_url,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")} | settings
    command = ["-c", COMMON + program]
    if fresh:
        done = subprocess.run(
            [sys.executable, *command], env=environ, capture_output=True, text=True, timeout=PROGRAM_S, check=False
        )
    else:
        done = run_python(command, env=environ, timeout=PROGRAM_S)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers, as ``host:port``."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_fork_while_a_thread_begins_to_connect(redis_url: str) -> None:
    """The child has no such thread, and must not wait for what it held."""
    run(
        """
gate = Gate(redis.ConnectionPool, "from_url")
redis.ConnectionPool.from_url = staticmethod(redis.ConnectionPool.from_url)
thread = threading.Thread(target=publish.delay, args=("c", "e", 1))
thread.start()
assert gate.inside.wait(30)
status = in_child(lambda: publish.delay("c", "e", 2))
gate.opened.set()
thread.join()
assert status == 0, status
""",
        redis_url,
    )


def test_fork_while_a_thread_waits_for_a_silent_redis(silent: str) -> None:
    """Both get an error within the time that a call has."""
    run(
        """
def fails():
    began = time.monotonic()
    try:
        publish.delay("c", "e", 1)
    except JournalUnavailable as error:
        assert error.stored is False, error  # the greeting was not answered
        assert time.monotonic() - began < 20
    else:
        raise AssertionError("stored by a silent server")
thread = threading.Thread(target=fails)
thread.start()
time.sleep(0.3)  # it connects; a moment later or earlier proves less, not more
status = in_child(fails)
thread.join()
assert status == 0, status
""",
        f"redis://{silent}/0",
    )


def test_signal_handler_that_publishes_while_connecting(redis_url: str) -> None:
    """It interrupts the very code that it calls, in the same thread."""
    run(
        """
from_url = redis.ConnectionPool.from_url
stored = []
def interrupted(*args, **kwargs):
    redis.ConnectionPool.from_url = from_url
    signal.raise_signal(signal.SIGUSR1)
    return from_url(*args, **kwargs)
redis.ConnectionPool.from_url = interrupted
signal.signal(signal.SIGUSR1, lambda *_: stored.append(publish.delay("c", "e", 2)))
publish.delay("c", "e", 1)
assert len(stored) == 1
""",
        redis_url,
    )


def test_signal_handler_that_publishes_during_a_ring(redis_url: str, silent: str) -> None:
    """The broker does not answer: the handler's event is stored at once, and its ring is left to the sweep."""
    run(
        """
took = []
def handler(*_):
    began = time.monotonic()
    assert publish.delay("d", "e", 2).id
    took.append(time.monotonic() - began)
signal.signal(signal.SIGALRM, handler)
open_ = doorbell._open
def opened():
    signal.raise_signal(signal.SIGALRM)
    return open_()
doorbell._open = opened
assert publish.delay("c", "e", 1).id
assert len(took) == 1
assert took[0] < 0.25, f"it waited {took[0]:.2f} s for its own thread"
assert doorbell._lock.acquire(timeout=0), "given back"
""",
        redis_url,
        f"redis://{silent}/0",
    )


@pytest.mark.parametrize("transport", in_depth(["redis", "amqp"], quick=["redis"]))
def test_fork_while_a_thread_rings_a_silent_broker(redis_url: str, silent: str, transport: str) -> None:
    """The fork waits until the ring is over; the child stores, and its broker is silent as well."""
    run(
        """
open_ = doorbell._open
ringing = threading.Event()
def opened():
    ringing.set()
    return open_()
doorbell._open = opened
thread = threading.Thread(target=publish.delay, args=("c", "e", 1))
thread.start()
assert ringing.wait(30)
def stores():
    assert not doorbell._lock.locked()
    doorbell._skip_until = 0.0
    assert publish.delay("d", "e", 2).id
    try:
        publish.apply_async(("c", "e", 3), group_id="g")
    except JournalUnavailable:
        pass
    else:
        raise AssertionError("sent to a silent broker")
status = in_child(stores)
thread.join()
assert status == 0, status
""",
        redis_url,
        f"{transport}://{silent}",
        fresh=True,
    )


def test_fork_waits_for_a_thread_inside_kombu(redis_url: str) -> None:
    """Locks of Celery's and kombu's properties, held in the parent, would be locked in the child for ever."""
    run(
        """
from sockudo_publisher.wiring import fork_gate

inside, left = threading.Event(), threading.Event()
def slow():
    with fork_gate.inside_client:
        inside.set()
        time.sleep(0.3)
        left.set()
thread = threading.Thread(target=slow)
thread.start()
assert inside.wait(30)
def looks():
    assert left.is_set(), "the fork came while the thread was inside"
    assert not fork_gate._inside
    assert publish.delay("c", "e", 1).id
assert in_child(looks) == 0
thread.join()

forever = threading.Thread(target=lambda: (fork_gate.inside_client.__enter__(), time.sleep(20)), daemon=True)
forever.start()
began = time.monotonic()
assert in_child(lambda: None) == 0
assert time.monotonic() - began < 15, "a bounded time"
""",
        redis_url,
        fresh=True,
    )


def test_nothing_is_imported_at_the_first_delay(redis_url: str) -> None:
    """A fork in the middle of an import leaves that module locked in the child."""
    run(
        """
before = set(sys.modules)
assert publish.delay("c", "e", 1).id
assert set(sys.modules) == before, set(sys.modules) - before
""",
        redis_url,
        fresh=True,
    )


#: A call of each kind, with a broker of each.
FIRST_CALLS = {
    f"{name} with {broker}": (call, url)
    for broker, url in {"redis": "", "amqp": "amqp://guest:guest@127.0.0.1:1//"}.items()
    for name, call in {
        "delay": "delay('c', 'e', 1)",
        "countdown": "apply_async(('c', 'e', 1), countdown=60)",
        "group": "apply_async(('c', 'e', 1), group_id='g')",
    }.items()
}


@pytest.mark.parametrize("first", in_depth(FIRST_CALLS, quick=["countdown with redis", "group with amqp"]))
def test_first_call_imports_where_forks_wait(first: tuple[str, str], redis_url: str) -> None:
    """What a message or a broker of another kind needs is imported inside the gate."""
    call, broker_url = first
    run(
        f"""
from contextlib import suppress
from sockudo_publisher.errors import JournalUnavailable
from sockudo_publisher.wiring import fork_gate
class Watch:
    outside = []
    def find_spec(self, name, path=None, target=None):
        if threading.get_ident() not in fork_gate._inside:
            self.outside.append(name)
sys.meta_path.insert(0, Watch())
with suppress(JournalUnavailable):
    publish.{call}
assert not Watch.outside, Watch.outside
""",
        redis_url,
        broker_url,
        fresh=True,
    )


def test_message_below_one_that_loads_is_refused(redis_url: str) -> None:
    """A signal handler that interrupts the first message's imports would find half a module."""
    run(
        """
from sockudo_publisher.errors import JournalUnavailable
def handle(*_):
    try:
        publish.apply_async(("c", "e", 1), group_id="g")
    except JournalUnavailable as error:
        refused.append(error.stored)
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "celery.events.receiver" and not refused:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.01)
refused = []
signal.signal(signal.SIGUSR1, handle)
sys.meta_path.insert(0, Interrupt())
assert publish.apply_async(("c", "e", 1), group_id="g").id
assert refused == [False], refused
assert publish.apply_async(("c", "e", 1), group_id="g").id
""",
        redis_url,
        fresh=True,
    )


def test_fork_while_a_thread_adds_a_lease(redis_url: str) -> None:
    """A worker's sweep drains in the parent while the pool forks a new child."""
    run(
        """
from sockudo_publisher.journal.holder import Journal
journal = Journal(os.environ["SOCKUDO_REDIS_URL"], "app", lanes=1)
keeper = journal._keeper
locked, over = threading.Event(), threading.Event()
def add():
    with keeper._lock:
        locked.set()
        over.wait(30)
thread = threading.Thread(target=add)
thread.start()
assert locked.wait(30)
def drains():
    holder = journal.acquire(0)
    assert holder is not None
    assert keeper._thread.is_alive(), "renewed by a thread of its own"
    journal.release(holder)
status = in_child(drains)
over.set()
thread.join()
assert status == 0, status
""",
        redis_url,
    )
