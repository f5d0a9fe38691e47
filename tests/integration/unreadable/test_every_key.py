"""Every key that the journal writes, spoiled in every way: no other lane is stopped, and an error is logged.

A journal of two lanes with everything in it; one key is spoiled; then an application publishes, workers drain and
sweep, and a person looks. The other lane always flows, no traceback comes out, and the bad thing is named or gone.
``SPOIL_ALL=1`` plays every value of every field (ten minutes); `make test-depth` every twelfth, and every wrong type;
`make test` one of either for each key.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from sockudo_publisher import configure, operations, publish
from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.cli import main
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.delivery import run as run_module
from sockudo_publisher.delivery import watch
from sockudo_publisher.dev.embedded import DevServerProcess
from sockudo_publisher.doctor.facts.journal import collect_journal_facts
from sockudo_publisher.errors import JournalUnreadable, SockudoError
from sockudo_publisher.journal import producer as producer_module
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.app.rate import Rate
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.journal.keys import APPS, AppKeys, lane_keys, lane_of, ledger_key
from sockudo_publisher.operations import pausing, replaying
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.wiring.doorbell import Doorbell
from sockudo_publisher.workerapp import run_drain, slots, worker_control
from sockudo_publisher.workerapp.presence import Presence
from sockudo_publisher.workerapp.steps.canaries import beat_once
from sockudo_publisher.workerapp.steps.sweep import sweep_once, trim_once
from tests.support.cases import in_depth

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

APP = "default"
LANES = 2
CHANNELS = {lane: next(f"c{n}" for n in range(99) if lane_of(f"c{n}", LANES) == lane) for lane in range(LANES)}
HELD = next(f"held{n}" for n in range(99) if lane_of(f"held{n}", LANES) == 0)
LANE, OTHER = lane_keys(APP, 0), lane_keys(APP, 1)
HOLD, APP_KEYS = LANE.hold(HELD), AppKeys.of(APP)

VALUES = [
    b"",
    b"x",
    b"-1",
    b"0",
    b"1.5",
    b"nan",
    b"inf",
    b"1e999",
    b"9" * 30,
    b"\xff\xfe",
    b"{",
    b"null",
    b"[1]",
    b"1 2 3",
]

#: Every n-th of the ways to spoil a key that are not another type is played in depth.
STRIDE = 1 if os.environ.get("SPOIL_ALL") else 12
#: Other types than a key's own.
TYPES = 5

#: Keys whose loss of type stops the lane or the app, with an error; anything else is put right by itself.
STOPPING = {
    *(LANE.stream, LANE.state, LANE.gone, LANE.holds, LANE.dead, HOLD.stream, HOLD.state, HOLD.gone, APP_KEYS.lanes),
}


@pytest.fixture(scope="module")
def server(devserver: DevServerProcess) -> DevServerProcess:
    return devserver


@pytest.fixture
def client(redis_url: str, server: DevServerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """An empty Redis, an app of two lanes on it, and nothing that is waited for."""
    environ = {
        "SOCKUDO_URL": server.url,
        "SOCKUDO_REDIS_URL": redis_url,
        "SOCKUDO_LANES": str(LANES),
        "SOCKUDO_MAX_RATE": "1000000",
        "SOCKUDO_TIMEOUT": "5",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for module in (replaying, pausing, worker_control):
        monkeypatch.setattr(module, "doorbell", Doorbell())
    monkeypatch.setattr(watch, "HOT_S", 0.0)
    monkeypatch.setattr(watch, "SCARCE_HOT_S", 0.0)
    monkeypatch.setattr(producer_module, "LAYOUT_LOOK_S", -1.0)
    configure()
    with redis.Redis.from_url(redis_url) as client:
        yield client
    monkeypatch.undo()
    configure()


def event(message_id: str, channel: str) -> bytes:
    return json.dumps({"channel": channel, "name": "n", "data": "d", "message_id": message_id}).encode()


def live_in(client: redis.Redis) -> None:
    """Everything that a journal can hold, once."""
    client.flushall()
    configure()
    app = app_named()
    journal = app.journal
    publish.delay(CHANNELS[0], "n", "of a dead letter")
    publish.delay(HELD, "n", "held")
    holder = journal.acquire(0)
    assert holder is not None
    batch = journal.take(holder, max_items=1, max_bytes=10**6).batch
    assert batch is not None
    journal.bury(holder, batch, DeadLetterFields("refused", "words", 1, 7, maybe_delivered=True))
    batch = journal.take(holder, max_items=1, max_bytes=10**6).batch
    assert batch is not None
    journal.hold(holder, batch, retry_in_s=0.0)
    publish.delay(CHANNELS[0], "n", "sent", key="the-key")
    assert journal.take(holder, max_items=5, max_bytes=10**6).batch is not None  # marked
    for n in range(3):
        publish.delay(CHANNELS[0], "n", n)
    journal.hand_over(holder)
    journal.forget(holder)
    client.hset(LANE.gone, "1-1:0", "1")
    client.hset(LANE.state, "head", "0")
    own = journal.acquire(0, HELD)
    assert own is not None
    journal.hand_over(own)
    journal.forget(own)
    journal.sweep([0])
    client.hset(LANE.state, mapping={"unanswered": 1, "unheard": 1, "failures": 1, "failing_since": 1, "failure": "x"})
    client.hset(LANE.state, "retry_at", 1)
    client.hset(LANE.dead_size, "aged", "1-1")
    presence().beat(APP)
    client.zadd(LANE.holds, {HELD: 1})
    client.hset(LANE.state, "rung", 1)
    journal.shared.learn(Limits(events=400, bytes=10**6))
    Rate(journal.link, APP, 10**6).take(1)
    beat_once(APP, "worker")
    memory = DedupMemory(journal.link, APP)
    memory.record_report(memory.report(), peak_ms=1)
    client.hset(APP_KEYS.memory, "forgets_until", 0)
    client.hset(APP_KEYS.pause, mapping={"reason": "busy", "message": "w", "since": 1, "until": 1, "count": 1})
    OperatorRecords(journal.link, APP).record(action="purge", by="ana@host", what="all")
    client.set(LANE.lease, "1-x", px=1)
    client.delete(LANE.lease)


def presence() -> Presence:
    """A worker's, which has just been started."""
    return Presence("worker@host")


def state_of(client: redis.Redis) -> dict[str, int]:
    """Where the events of the spoiled lane are."""

    def length(key: str) -> int:
        return client.xlen(key) if client.type(key) == b"stream" else 0

    return {"waiting": length(LANE.stream), "held": length(HOLD.stream), "dead": length(LANE.dead)}


def run(*args: str) -> tuple[int, str]:
    """One command; its exit code and its words. A traceback fails the test."""
    for options in ([], ["--json"]) if args[0] == "status" else (["--json"],):
        result = CliRunner().invoke(main, [*args, *options])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise AssertionError(f"{args}: {''.join(traceback.format_exception(result.exception))}")
    return result.exit_code, result.output


def names_the_layout(error: JournalUnreadable) -> None:
    """A malformed layout stops its app, and nothing else raises."""
    assert APP_KEYS.lanes in str(error)


def act(client: redis.Redis, what: str) -> None:
    """An application publishes, workers work, a person looks."""
    is_stopped = True
    try:
        for n in range(3):
            publish.delay(CHANNELS[1], "n", n)
        is_stopped = False
    except JournalUnreadable as error:
        names_the_layout(error)
    for channel, key in ((CHANNELS[0], None), (CHANNELS[0], "the-key"), (CHANNELS[0], "another")):
        try:
            publish.delay(channel, "n", "sent", key=key)
        except SockudoError:
            continue
    for _ in range(2):
        presence().beat(APP)
        try:
            sweep_once(APP)
            assert trim_once(APP)
        except JournalUnreadable as error:
            names_the_layout(error)
        for lane in range(LANES):
            run_drain.run_guarded(APP, lane)
        run_drain.run_guarded(APP, 0, HELD)
        try:
            beat_once(APP, "worker")
        except JournalUnreadable as error:
            names_the_layout(error)
    if not is_stopped:
        assert client.xlen(OTHER.stream) == 0, what
    collect_journal_facts(get_settings(), APP)
    code, said = run("status")
    assert code in (0, 1), (what, said)
    if is_stopped:
        assert (code, APP_KEYS.lanes in said) == (1, True), what
    letters = [letter.id for letter in operations.dead_list(get_settings(), APP, 50)] if not is_stopped else []
    for args in (["dead", "list"], ["dead", "replay", "--all"], ["resume"]):
        assert run(*args)[0] in (0, 1), what
    for letter in letters[:2]:
        assert run("dead", "show", letter, "--payload")[0] in (0, 1), what
        assert run("dead", "replay", letter)[0] in (0, 1, 2), what
    assert run("dead", "purge", "--all", "--yes")[0] in (0, 1), what
    run_drain.run_guarded(APP, 0)  # what was replayed


def fields_of(client: redis.Redis, key: str) -> list[bytes]:
    return sorted(client.hkeys(key))


def spoilings(client: redis.Redis, key: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every way to spoil a key, each on a journal that has just been lived in."""
    kind = client.type(key).decode()
    assert kind != "none", f"{key} is not there to be spoiled"
    others: dict[str, Callable[[], Any]] = {
        "string": lambda: client.set(key, b"\xff no journal's"),
        "hash": lambda: client.hset(key, b"\xff", b"\xfe"),
        "list": lambda: client.rpush(key, b"\xff"),
        "set": lambda: client.sadd(key, b"\xff"),
        "zset": lambda: client.zadd(key, {b"\xff": float("inf")}),
        "stream": lambda: client.xadd(key, {b"\xff": b"\xfe"}),
    }
    for other, make in others.items():
        if other != kind:
            yield f"a {other}", lambda make=make: (client.delete(key), make())
    match kind:
        case "string":
            for value in VALUES:
                yield repr(value), lambda value=value: client.set(key, value)
        case "hash":
            for field in [*fields_of(client, key), b"\xff"]:
                for value in VALUES:
                    yield f"{field!r} {value!r}", lambda field=field, value=value: client.hset(key, field, value)
        case "zset":
            for member in (b"", b"\xff", b"x", b"x y", b"x 1e9 1", b"x 1 2", b"{"):
                for score in (float("-inf"), -1, 0, 1.5, 1e300, float("inf")):
                    yield f"{member!r} {score}", lambda member=member, score=score: client.zadd(key, {member: score})
        case "set":
            yield "a member", lambda: client.sadd(key, b"\xff\xfe", b"", b"no app")
        case "stream":
            yield "no field of the package", lambda: client.xadd(key, {b"\xff": b""})
            [(_, sound)] = client.xrange(key, count=1)
            for field in sound:
                without = {name: value for name, value in sound.items() if name != field}
                yield f"without {field!r}", lambda without=without: client.xadd(key, without)
                for value in VALUES:
                    changed = {**sound, field: value}
                    yield f"{field!r} {value!r}", lambda changed=changed: client.xadd(key, changed)


SPOILED = {
    "stream": LANE.stream,
    "state": LANE.state,
    "gone": LANE.gone,
    "holds": LANE.holds,
    "dead": LANE.dead,
    "dead_size": LANE.dead_size,
    "counts": LANE.counts,
    "hold's stream": HOLD.stream,
    "hold's state": HOLD.state,
    "ledger": ledger_key(APP, 0, CHANNELS[0], "the-key"),
    "apps": APPS,
    **{name: getattr(APP_KEYS, name) for name in ("pause", "limits", "lanes", "rate", "memory", "workers", "audit")},
    **{name: getattr(APP_KEYS, name) for name in ("canaries", "canary_answers", "canary_holder")},
}


def chosen(count: int, place: int, stride: int | None) -> list[int]:
    """Which of the ways to spoil a key are played: every wrong type and each ``stride``-th of the others.

    Without a stride one of either, and not the same ones at each place among the keys.
    """
    if stride is None:
        return [place % TYPES, TYPES + place * 7 % (count - TYPES)]
    return [index for index in range(count) if index < TYPES or (index - TYPES) % stride == 0]


@pytest.mark.parametrize("stride", [None, pytest.param(STRIDE, marks=pytest.mark.long)], ids=["quick", "depth"])
@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_key_stops_no_other_lane(client: redis.Redis, name: str, stride: int | None) -> None:
    """In every way; see the module."""
    key = SPOILED[name]
    played = 0
    while True:
        live_in(client)
        if name == "canary_answers":
            client.zadd(key, {"x 5 1": 7})
        ways = list(spoilings(client, key))
        indexes = chosen(len(ways), list(SPOILED).index(name), stride)
        way, spoil = ways[indexes[played]]
        spoil()
        act(client, f"{name}: {way}")
        check_spoiled(client, key, f"{name}: {way}", is_wrong_type=indexes[played] < TYPES)
        played += 1
        if played == len(indexes):
            return


def check_spoiled(client: redis.Redis, key: str, what: str, *, is_wrong_type: bool) -> None:
    """Of another type it is named, and stops its lane or app; else nothing is left waiting."""
    left = state_of(client)
    if is_wrong_type and key in STOPPING:
        code, said = run("status")
        assert (code, key in said) == (1, True), (what, said)
    elif key != APP_KEYS.lanes:
        shown = operations.status()[0]
        if any(lane.newer_version for lane in shown.lanes):
            assert ": b'v' b'9" in what, "a number is a version, however high"
            return
        assert (left["waiting"], left["held"]) == (0, 0), (what, left)
        assert not shown.is_failing, (what, shown)


AS_TYPES: dict[str, Callable[[redis.Redis, str], Any]] = {
    "string": lambda client, key: client.set(key, "x"),
    "hash": lambda client, key: client.hset(key, "a", "b"),
    "list": lambda client, key: client.rpush(key, "a"),
}
#: Each right as each type; in `make test` each right once, and each type once.
RIGHTS = in_depth(
    {f"{right}, a {kind}": (right, kind) for right in ("probe", "canary_holder", "lease") for kind in AS_TYPES},
    quick=["probe, a string", "canary_holder, a hash", "lease, a list"],
)


@pytest.mark.parametrize("case", RIGHTS)
def test_right_without_an_end_is_nobodys(client: redis.Redis, case: tuple[str, str]) -> None:
    """Of any type."""
    live_in(client)
    right, kind = case
    key = LANE.lease if right == "lease" else getattr(APP_KEYS, right)
    client.delete(key)
    AS_TYPES[kind](client, key)
    act(client, right)
    if right == "lease":
        assert 0 < client.pttl(key) <= 6000
    client.delete(LANE.lease)
    act(client, "after it")
    assert client.xlen(LANE.stream) == 0


def test_layout_that_is_none_is_named_to_everybody(client: redis.Redis) -> None:
    """The app stands still: nothing is stored, delivered or lost, and what is set right goes on."""
    live_in(client)
    sound = client.get(APP_KEYS.lanes)
    waiting = state_of(client)
    for value in (
        b"0",
        b"-3",
        b"1e3",
        b"true",
        b'"2"',
        b"{bad",
        b"[]",
        b"null",
        b"1000000000",
        b"\xff",
        b"2.0",
        b"{}",
        b"",
    ):
        client.set(APP_KEYS.lanes, value)
        configure()
        with pytest.raises(JournalUnreadable, match="not a layout of lanes") as caught:
            publish.delay(CHANNELS[0], "n", "x")
        assert caught.value.stored is False
        assert caught.value.message_id
        code, said = run("dead", "list")
        assert (code, "not a layout of lanes" in said) == (1, True)
    act(client, "lanes that are none")
    for layout in (
        {"first": 0, "count": 2},
        {"first": 2, "count": 2, "phase": "steady", "retired": [[1, 2, 0]]},
        {"first": 2, "count": 2, "phase": "closing", "retired": []},
        {"first": 2, "count": 2, "phase": "x", "retired": [[0, 2, 0]]},
        {"first": 2, "count": 2, "phase": "steady", "retired": [[0, 2]]},
        {"first": "2", "count": 2, "phase": "steady", "retired": []},
        {"first": 2, "count": 257, "phase": "steady", "retired": [[0, 2, 0]]},
        {"first": 2, "count": 2, "phase": "steady", "retired": [[0, 2, None]]},
    ):
        client.set(APP_KEYS.lanes, json.dumps(layout))
        configure()
        with pytest.raises(JournalUnreadable):
            publish.delay(CHANNELS[0], "n", "x")
    assert state_of(client) == waiting
    client.set(APP_KEYS.lanes, sound)
    configure()
    client.hdel(LANE.state, "retry_at")
    act(client, "set right")
    assert client.xlen(LANE.stream) == 0


def test_other_apps_flow_beside_a_layout_that_is_none(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain looks at other apps' lanes; theirs are not its own."""
    monkeypatch.setenv("SOCKUDO_APPS", json.dumps({"other": get_settings().url}))
    configure()
    client.set(AppKeys.of("other").lanes, "{bad")
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    monkeypatch.setattr(slots, "count", 100)  # else it yields without a look at the others
    publish.delay(CHANNELS[0], "n", "x")
    run_drain.run_guarded(APP, 0)
    assert client.xlen(LANE.stream) == 0
    code, said = run("status", "--app", "other")
    assert (code, "not a layout of lanes" in said) == (1, True)


def test_failing_lane_is_told_and_makes_status_fail(client: redis.Redis) -> None:
    """With how long, how often, and why; no more when it flows again."""
    live_in(client)
    client.delete(APP_KEYS.pause)
    client.delete(LANE.gone)
    client.set(LANE.gone, "x")
    client.hdel(LANE.state, "failures", "failing_since", "failure", "retry_at")
    run_drain.run_guarded(APP, 0)
    code, said = run("status")
    lane = json.loads(said)["apps"][0]["lanes"][0]
    assert (code, lane["failures"]) == (1, 1)
    assert lane["failure"] == f"{LANE.gone} holds a string, expected a hash"
    assert lane["unreadable"] == [lane["failure"]]
    assert "failing" in CliRunner().invoke(main, ["status"]).output
    client.delete(LANE.gone)
    run_drain.run_guarded(APP, 0)
    client.xtrim(LANE.dead, 0)
    code, said = run("status")
    lane = json.loads(said)["apps"][0]["lanes"][0]
    assert (lane["failures"], lane["failure"], lane["unreadable"]) == (0, "", [])
