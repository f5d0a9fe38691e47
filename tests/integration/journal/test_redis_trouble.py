"""A Redis that refuses, freezes, restarts: an error within bounds, and a true word on what is stored."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.errors import BacklogFull, JournalUnavailable
from sockudo_publisher.journal import holder as journal_module
from sockudo_publisher.journal import producer as producer_module
from sockudo_publisher.journal.lease import LeaseLost
from sockudo_publisher.journal.redis import link as link_module
from sockudo_publisher.journal.redis import memory as memory_module
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.redis.scripts import all_scripts
from tests.integration.journal.one_lane import OneLane, bodies_of
from tests.support.cases import in_depth
from tests.support.redis_user import as_redis_user

pytestmark = pytest.mark.integration

#: Seconds to connect, and to wait for an answer, in these tests.
TIMEOUT_S = 1.0
#: Both together, on a machine that is ten times slower.
BOUND_S = 20.0


@pytest.fixture
def fragile(tmp_path) -> Iterator[RedisServer]:
    """A Redis of the test's own, that keeps what it has over a restart."""
    with RedisServer(tmp_path / "fragile", args=["--appendfsync", "always"], password="") as server:
        yield server


@pytest.fixture
def shaky(fragile: RedisServer, make_lane, monkeypatch: pytest.MonkeyPatch) -> OneLane:
    """A journal on it that has little patience, and looks at memory and layout once."""
    monkeypatch.setattr(producer_module, "CALLER_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(journal_module, "WORKER_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(memory_module, "LOOK_S", 1000.0)
    monkeypatch.setattr(producer_module, "LAYOUT_LOOK_S", 1000.0)
    lane = make_lane(fragile.url)
    for one in all_scripts():  # as after the first calls: a call of an unknown one changes nothing
        lane.client.script_load(one.text)
    return lane


def fails(call: Callable[[], object], *, stored: bool | None) -> None:
    """It raises within the bound, and says this of what is stored."""
    began = time.monotonic()
    with pytest.raises(JournalUnavailable) as caught:
        call()
    assert time.monotonic() - began < BOUND_S
    assert caught.value.stored is stored


def calls(lane: OneLane) -> dict[str, Callable[[], object]]:
    """What is tried while Redis is in trouble; the lane has the items 1 and 2, and 1 is taken."""
    holder = lane.acquire()
    batch = lane.take(holder, max_items=1)
    return {
        "append": lambda: lane.append(b"3"),
        "append once": lambda: lane.append_once(("k", b"3")),
        "schedule": lambda: lane.schedule_once("k"),
        "take": lambda: lane.take(holder, max_items=1),
        "settle": lambda: lane.journal.settle(holder, batch),
        "settle and take": lambda: lane.journal.settle_and_take(holder, batch, max_items=1, max_bytes=100),
        "renew": holder.lease.renew,
        "acquire": lambda: lane.journal.acquire(0),
        "release": lambda: lane.journal.release(holder),
    }


WHAT = ["append", "append once", "schedule", "take", "settle", "settle and take", "renew", "acquire", "release"]


def test_refused_nothing_is_stored(shaky: OneLane, fragile: RedisServer) -> None:
    """No server: nothing can have arrived, and it goes on as if nothing had been when it is back."""
    shaky.append(b"1", b"2")
    tried = calls(shaky)
    fragile.stop()
    for what in WHAT:
        fails(tried[what], stored=False)
    fragile.start()
    assert shaky.append(b"3").count == 1, "on the same producer"
    assert bodies_of(shaky.take(shaky._holders[0])) == [b"1"], "the marked prefix"
    assert shaky.bodies == [b"1", b"2", b"3"]


def test_frozen_redis_leaves_the_outcome_unknown(shaky: OneLane, fragile: RedisServer, make_lane) -> None:
    """What was sent waits in the socket: when the server wakes, it may be done after all, and done once."""
    lanes = {what: make_lane(fragile.url, app=what) for what in WHAT}
    tried = {}
    for what, lane in lanes.items():
        lane.append(b"1", b"2")
        tried[what] = calls(lane)[what]
    fragile.pause()
    try:
        with ThreadPoolExecutor(len(WHAT)) as threads:
            list(threads.map(lambda what: fails(tried[what], stored=None), WHAT))
    finally:
        fragile.resume()
    wake_up(shaky)
    expected = {
        "append": [b"1", b"2", b"3"],
        "append once": [b"1", b"2", b"3"],
        "settle": [b"2"],
        "settle and take": [b"2"],
    }
    for what, lane in lanes.items():
        assert wait_for(lambda what=what, lane=lane: lane.bodies == expected.get(what, [b"1", b"2"]), BOUND_S), what
        assert lane.now.counts == ({"settled": 1} if "settle" in what else {})
    assert lanes["append once"].append_once(("k", b"3")).already_stored == [0], "repeating it is safe"
    assert lanes["append once"].bodies == [b"1", b"2", b"3"]
    assert lanes["schedule"].schedule_once("k"), "the countdown message is sent again"


def wake_up(lane: OneLane) -> None:
    """Wait until a Redis that was frozen answers; what came before this is done by then, or never."""

    def answers() -> bool:
        try:
            return bool(lane.journal.link.call("PING") == b"PONG")
        except JournalUnavailable:
            return False

    assert wait_for(answers, BOUND_S)


def test_frozen_settle_is_not_made_twice(shaky: OneLane, fragile: RedisServer) -> None:
    """The holder throws its answer away and takes again: it gets what is left, and nothing is lost."""
    shaky.append(b"1", b"2", b"3")
    holder = shaky.acquire()
    batch = shaky.take(holder, max_items=1)
    fragile.pause()
    try:
        fails(lambda: shaky.journal.settle(holder, batch), stored=None)
    finally:
        fragile.resume()
    wake_up(shaky)
    assert wait_for(lambda: shaky.bodies == [b"2", b"3"], BOUND_S)
    try:
        rest = shaky.take(holder)
    except LeaseLost:  # a slow machine: the lease ran out meanwhile
        rest = shaky.take(shaky.acquire())
    assert bodies_of(rest) == [b"2", b"3"]
    assert not rest.resent


def test_frozen_while_connecting(fragile: RedisServer) -> None:
    """A kernel accepts connections for a frozen server: the first command, or the greeting, is not answered."""
    link = RedisLink(fragile.url, timeout_s=TIMEOUT_S)
    fragile.pause()
    try:
        began = time.monotonic()
        with pytest.raises(JournalUnavailable):
            link.call("PING")
        assert time.monotonic() - began < BOUND_S
    finally:
        fragile.resume()
    assert wait_for(lambda: link.run([("PING",)]) == [b"PONG"], BOUND_S)


def test_restart_between_two_calls_is_not_noticed(shaky: OneLane, fragile: RedisServer) -> None:
    """Connections that ended while they were idle are replaced; the scripts are loaded again."""
    shaky.append(b"1")
    holder = shaky.acquire()
    fragile.restart()
    assert shaky.append(b"2").count == 1
    assert bodies_of(shaky.take(holder)) == [b"1", b"2"]


def test_wait_without_replicas_leaves_the_outcome_unknown(make_lane, redis_url: str) -> None:
    """The primary has it, but that is not what was asked for; a repeated key finds it."""
    lane = make_lane(redis_url, wait=(1, 20))
    with pytest.raises(JournalUnavailable, match="SOCKUDO_REDIS_WAIT: 0 replicas have it within 20 ms, wanted 1"):
        lane.append(b"1")
    fails(lambda: lane.append_once(("k", b"2")), stored=None)
    fails(lambda: lane.append_once(("k", b"2")), stored=None)
    assert lane.bodies == [b"1", b"2"], "stored, once"


def test_wait_hides_no_refusal(make_lane) -> None:
    """A lane that took nothing says why; that no replica has it is true of nothing then."""
    lane = make_lane(wait=(1, 1), max_backlog=1)
    fails(lambda: lane.append(b"1"), stored=None)
    assert isinstance(lane.append(b"2").failure, BacklogFull)
    assert isinstance(lane.append_once(("k", b"2")).failure, BacklogFull)


def test_wait_that_redis_refuses_leaves_the_outcome_unknown(make_lane, redis_url: str, client: redis.Redis) -> None:
    """An ACL without the command: what was appended before it is stored all the same."""
    client.acl_setuser("no-wait", enabled=True, nopass=True, categories=["+@all"], commands=["-wait"], keys=["*"])
    try:
        lane = make_lane(as_redis_user(redis_url, "no-wait", "x"), wait=(1, 20))
        with pytest.raises(JournalUnavailable, match="SOCKUDO_REDIS_WAIT: Redis refused: NoPermissionError") as raised:
            lane.append(b"1")
        assert raised.value.stored is None
        fails(lambda: lane.append_once(("k", b"2")), stored=None)
        fails(lambda: lane.append_once(("k", b"2")), stored=None)
        assert lane.bodies == [b"1", b"2"], "stored, once"
    finally:
        client.acl_deluser("no-wait")


def test_connections_beyond_what_is_kept_are_closed(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is kept per thread that publishes at the same time, up to a bound."""
    monkeypatch.setattr(link_module, "MAX_FREE", 1)
    link = RedisLink(redis_url, timeout_s=2.0)
    first, second = link._connect(), link._connect()
    link._give_back(first)
    link._give_back(second)
    assert link._free == [first]
    assert link.call("PING") == b"PONG"


def test_redis_is_reached_again_after_any_number_of_failures(tmp_path) -> None:
    """A caller that went on calling while Redis was away."""
    with RedisServer(tmp_path / "away") as server:
        link = RedisLink(server.url, timeout_s=TIMEOUT_S)
        assert link.call("PING") in (b"PONG", "PONG")
        server.stop()
        for _ in range(300):
            with pytest.raises(JournalUnavailable):
                link.call("PING")
        server.start()
        assert link.call("PING") in (b"PONG", "PONG")


INTERRUPTED = """
import signal, sys
from sockudo_publisher import JournalUnavailable
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.redis.scripts import all_scripts

class TimeIsUp(Exception):
    pass

def time_is_up(*_):
    raise TimeIsUp

signal.signal(signal.SIGALRM, time_is_up)
link = RedisLink(sys.argv[1], timeout_s=5.0)
commands = [("ECHO", 1) for _ in range(5_000)]
wanted, interrupts = int(sys.argv[2]), 0
while interrupts < wanted:
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0007)
            link.run(commands)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (TimeIsUp, JournalUnavailable):
        interrupts += 1
assert RedisLink(sys.argv[1], timeout_s=30.0).run([("ECHO", "whole")]) == [b"whole"]
"""


@pytest.mark.parametrize("interrupts", in_depth([800, 4000], quick=["800"]))
def test_signal_handler_that_raises_ends_the_call_only(redis_url: str, interrupts: int) -> None:
    """Ctrl-C, Celery's soft time limit: hiredis ended the process, in the middle of packing numbers."""
    command = [sys.executable, "-c", INTERRUPTED, redis_url, str(interrupts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


SECRET = "not-to-be-shown"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://u:{}@127.0.0.1:1/3", "Redis cannot be reached: redis://127.0.0.1:1/3: Connection refused"),
        ("unix://:{}@/nowhere/r.sock", "Redis cannot be reached: unix:///nowhere/r.sock: No such file or directory"),
        (
            "redis://:{}@no-such-host.invalid/0",
            "Redis cannot be reached: redis://no-such-host.invalid/0: host not found",
        ),
    ],
)
def test_error_says_where_and_why(url: str, message: str) -> None:
    """As the client's errors do, without credentials."""
    with pytest.raises(JournalUnavailable) as caught:
        RedisLink(url.format(SECRET), timeout_s=TIMEOUT_S).call("PING")
    assert str(caught.value).startswith(message)
    assert SECRET not in str(caught.value)


def test_refused_password_is_not_repeated(fragile: RedisServer) -> None:
    """Nor the answers of a Redis that takes us for another: an unknown command is answered with its arguments."""
    place = f"127.0.0.1:{fragile.port}"
    with redis.Redis(port=fragile.port) as client:
        client.config_set("requirepass", "another")
    with pytest.raises(JournalUnavailable, match=f"redis://{place}/0: refuses the user or password$") as caught:
        RedisLink(f"redis://:{SECRET}@{place}/0", timeout_s=TIMEOUT_S).call("PING")
    assert SECRET not in str(caught.value)
    unknown = redis.ResponseError(f"unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' '{SECRET}'")
    assert link_module.error_words(unknown) == "ResponseError: unknown command 'HELLO'"


def test_frozen_redis_is_named_with_the_time_it_was_given(fragile: RedisServer) -> None:
    """Whether it took the connection or not."""
    link = RedisLink(fragile.url, timeout_s=TIMEOUT_S)
    link.call("PING")
    fragile.pause()
    try:
        with pytest.raises(JournalUnavailable, match=f"{fragile.url}: no answer within 1 s$"):
            link.call("PING")
    finally:
        fragile.resume()
