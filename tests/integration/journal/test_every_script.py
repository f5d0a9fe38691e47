"""Every script, as it is really called: against its header, in one slot, over both protocols, with no script loaded."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
import redis
from redis.crc import key_slot
from redis.exceptions import NoScriptError

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.errors import JournalUnavailable
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis import link as link_module
from sockudo_publisher.journal.redis import scripts
from sockudo_publisher.journal.redis.link import Command, RedisLink
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.every_script import walk
from tests.integration.journal.one_lane import OneLane
from tests.unit.journal.lua_header import Header, read_header

pytestmark = pytest.mark.integration

#: Names that would break a key if they were written into it as they are.
APPS = ["app", "{app}", "an app/with:{odd} names", "}{", "%7B:0}", "ü", "a:0"]

MakeLane = Callable[..., OneLane]


class Call(NamedTuple):
    """One script call: what was sent, and what came back."""

    name: str
    keys: list[str]
    args: list[Any]
    answer: Any


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Every script call from now on."""
    found: list[Call] = []
    names = {one.sha1: one.name for one in scripts.all_scripts()}
    exchange = link_module._exchange

    def recorded(connection: Any, commands: Sequence[Command]) -> list[Any]:
        answers = exchange(connection, commands)
        for command, answer in zip(commands, answers, strict=True):
            if command[0] == "EVALSHA":
                _, sha1, count, *rest = command
                found.append(Call(names[sha1], rest[:count], rest[count:], answer))
        return answers

    monkeypatch.setattr(link_module, "_exchange", recorded)
    return found


def numbers_fit(header: Header, kind: str, sent: int) -> bool:
    """Whether this number is what the header says."""
    slots = header.slots(kind)
    if not slots or not slots[-1].repeats:
        return sent == len(slots)
    return sent >= len(slots) - 1 and (sent - len(slots) + 1) % slots[-1].repeats == 0


def key_pattern(described: str, repeated: int) -> list[re.Pattern[str]]:
    """What keys may stand where a header has this text: one pattern, or one for each of a group."""
    if described.startswith("per "):
        parts = described.partition(": ")[2].split(", ")
        return [pattern for part in parts for pattern in key_pattern(part, 0)]
    name = re.sub(r"^(?:the|its) hold's (\w+).*", r"{app:lane}:hold:CHANNEL:\1", described).split()[0]
    if "{" not in name:
        name = f"{{app:lane}}(:hold:CHANNEL)?:{name}"
    tag = {"{app:lane}": r"sockudo:\{[^{}:]+:\d+\}", "{app}": r"sockudo:\{[^{}:]+\}"}
    tag["{app:due}"] = r"sockudo:\{[^{}:]+:due\d+\}"
    for word, pattern in tag.items():
        name = name.replace(word, pattern)
    return [re.compile(re.sub("CHANNEL|KEY|RIGHT|NAME", "[^:]+", name))]


def test_calls_are_what_the_headers_say(lane: OneLane, calls: list[Call]) -> None:
    """The numbers of keys and arguments, which key is which, and what is answered: for every script, at least once."""
    walk(lane)
    assert {name for name, *_ in calls} == set(scripts.NAMES), "a new script belongs into the walk"
    for name, keys, args, answer in calls:
        header = read_header(name)
        assert numbers_fit(header, "KEYS", len(keys)), (name, keys)
        assert numbers_fit(header, "ARGV", len(args)), (name, args)
        patterns = [pattern for slot in header.keys for pattern in key_pattern(slot.text, slot.repeats)]
        while len(patterns) < len(keys):
            patterns += key_pattern(header.keys[-1].text, header.keys[-1].repeats)
        for key, pattern in zip(keys, patterns, strict=False):
            assert pattern.fullmatch(key), (name, key, pattern.pattern)
        if not isinstance(answer, NoScriptError):  # it is loaded, and called again
            assert Answer(answer[0]).name in header.answers, (name, answer)


def test_keys_have_the_types_that_the_headers_name(
    lane: OneLane, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at after every round trip, as most are gone at the end."""
    kinds: dict[str, str] = {}
    run = RedisLink.run

    def looked(self: RedisLink, commands: Sequence[Command], **options: Any) -> list[Any]:
        answers = run(self, commands, **options)
        for _, keys, *_ in calls[-3:]:
            kinds.update({key: kind for key in keys if (kind := lane.client.type(key).decode()) != "none"})
        return answers

    monkeypatch.setattr(RedisLink, "run", looked)
    walk(lane)
    named = 0
    for name, keys, *_ in calls:
        for slot, key in zip(read_header(name).keys, keys, strict=False):
            said = re.match(r"\S+ +(string|hash|stream|zset)\b", slot.text)
            if said and key in kinds:
                assert kinds[key] == said[1], (name, key)
                named += 1
    assert named > 20


@pytest.mark.parametrize("app", APPS)
def test_all_keys_of_a_call_are_in_one_slot(make_lane: MakeLane, app: str, calls: list[Call]) -> None:
    """By the hash tag of app and lane, whatever the app's name: a Redis Cluster refuses anything else."""
    walk(make_lane(app=app))
    assert calls
    for name, keys, *_ in calls:
        assert len({key_slot(key.encode()) for key in keys}) == 1, (name, keys)
        assert all(key.count("{") == key.count("}") == 1 for key in keys), "one tag, and nothing that looks like one"


def test_apps_share_no_key(make_lane: MakeLane, client: redis.Redis) -> None:
    """However alike their names are: each drains its own events."""
    lanes = [make_lane(app=app) for app in APPS]
    for number, lane in enumerate(lanes):
        lane.append(b"%d" % number, channel="0}:x{")
    for number, lane in enumerate(lanes):
        assert lane.drain() == [b"%d" % number]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster of one node, which is as strict about slots as one of many."""
    args = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with RedisServer(tmp_path_factory.mktemp("cluster"), appendonly=False, args=args) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            assert wait_for(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 60)
        yield server


@pytest.mark.parametrize("app", ["app", "an app/with:{odd} names"])
def test_every_script_runs_in_a_cluster(make_lane: MakeLane, cluster: RedisServer, app: str, calls: list[Call]) -> None:
    """It refuses a script whose keys are in two slots, or that touches a key it was not given."""
    lane = make_lane(cluster.url, app)
    lane.client.flushall()
    with pytest.raises(redis.ResponseError, match="slot"):
        lane.client.eval("#!lua\nreturn redis.call('GET', KEYS[1])", 2, "one", "two")
    with pytest.raises(redis.ResponseError, match="slot"):
        lane.client.eval("#!lua\nredis.call('GET', KEYS[1]) return redis.call('GET', 'two')", 1, "one")
    walk(lane)
    assert {name for name, *_ in calls} == set(scripts.NAMES)
    for key in {key for _, keys, *_ in calls for key in keys}:
        assert lane.client.execute_command("CLUSTER", "KEYSLOT", key) == key_slot(key.encode())


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_answer_is_read_over_both_protocols(make_lane: MakeLane, redis_url: str, protocol: int) -> None:
    """RESP3 answers maps and doubles where RESP2 has flat lists and texts."""
    lane = make_lane(f"{redis_url}?protocol={protocol}")
    walk(lane)
    assert isinstance(lane.journal.link.call("HGETALL", "nothing"), dict if protocol == 3 else list)


class TestScriptFlush:
    def test_between_any_two_calls(self, lane: OneLane, monkeypatch: pytest.MonkeyPatch) -> None:
        """A restart, a failover, an operator: the script is sent with its text and the call is made once."""
        run, texts = RedisLink.run, []
        exchange = link_module._exchange

        def flushed(self: RedisLink, commands: Sequence[Command], **options: Any) -> list[Any]:
            if (
                threading.current_thread() is threading.main_thread()
            ):  # not by the keeper, in the middle of a test's call
                lane.client.script_flush()
            return run(self, commands, **options)

        def counted(connection: Any, commands: Sequence[Command]) -> list[Any]:
            texts.extend(command for command in commands if command[0] == "EVAL")
            assert not [command for command in commands if command[0] == "SCRIPT"], "managed services deny it"
            return exchange(connection, commands)

        monkeypatch.setattr(RedisLink, "run", flushed)
        monkeypatch.setattr(link_module, "_exchange", counted)
        walk(lane)
        assert {command[1] for command in texts} == {one.text for one in scripts.all_scripts()}, "each of them"

    def test_of_what_is_in_order_nothing_comes_before(self, lane: OneLane) -> None:
        """The take that follows a settle in one round trip must not be made before it."""
        lane.append(b"1", b"2")
        holder = lane.acquire()
        batch = lane.take(holder, max_items=1)
        lane.client.script_flush()
        taken = lane.journal.settle_and_take(holder, batch, max_items=1, max_bytes=100)
        assert taken.batch is not None
        assert not taken.batch.resent, "2 was taken once, after 1 was settled"
        assert [item.body for item in taken.batch.items()] == [b"2"]

    def test_what_did_its_work_is_not_done_twice(self, link: RedisLink, client: redis.Redis) -> None:
        """Only what Redis did not know is called again, where the order does not matter."""
        client.script_flush()
        count = link_module.evalsha("count", ("c",), ("n", 1))
        assert link.run([("INCR", "plain"), count, ("INCR", "plain")]) == [1, [1], 2]
        assert (client.get("plain"), client.hget("c", "n")) == (b"2", b"1")

    def test_an_append_of_two_lanes_is_made_once_each(self, make_producer, client: redis.Redis) -> None:
        """Both scripts were unknown; each lane has its event once."""
        producer: Producer = make_producer()
        producer.layout()
        client.script_flush()
        assert producer.append([Item("d", b"1"), Item("a", b"2")]).count == 2
        assert [client.xlen(f"sockudo:{{app:{lane}}}:stream") for lane in (0, 1)] == [1, 1]


class TestErrors:
    def test_what_redis_refuses_is_told_without_values(self, link: RedisLink, client: redis.Redis) -> None:
        """By the error's own first line; a payload or an address is in none of them."""
        client.set("text", "x")
        with pytest.raises(JournalUnavailable, match="Redis refused") as caught:
            link.call("HGETALL", "text")
        assert caught.value.stored is False

    def test_one_refusal_hides_no_other_answer(self, link: RedisLink, client: redis.Redis) -> None:
        """Each command has its own; the connection is as good as before."""
        client.set("text", "x")
        first, second, third = link.run([("GET", "text"), ("HGETALL", "text"), ("GET", "text")])
        assert (first, third) == (b"x", b"x")
        assert isinstance(second, redis.ResponseError)
        assert link.call("PING") == b"PONG"

    def test_an_interrupted_call_leaves_no_answer_to_the_next(
        self, link: RedisLink, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A signal between question and answer: the connection is not used again."""
        link.call("PING")
        [connection] = link._free
        read = connection.read_response

        def interrupted(*args: Any, **options: Any) -> Any:
            monkeypatch.setattr(connection, "read_response", read)
            raise KeyboardInterrupt

        monkeypatch.setattr(connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            link.call("ECHO", "lost")
        assert link.call("ECHO", "mine") == b"mine"
