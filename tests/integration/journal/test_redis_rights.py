"""A Redis that denies or renames commands: what only helps is done without, the rest is named, and told truly."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import redis

from sockudo_publisher.errors import BacklogFull, JournalUnavailable
from sockudo_publisher.journal.app.workers import Target, WorkerRegistry
from sockudo_publisher.journal.holder import DeadLetterFields, Holder
from sockudo_publisher.journal.layout.layout import Layout, Retired, Span
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.redis import memory as memory_module
from sockudo_publisher.journal.redis.link import RedisLink, evalsha
from tests.integration.journal.one_lane import OneLane, bodies_of
from tests.integration.journal.raw import assert_size_is_kept, check_lane
from tests.support.redis_user import as_redis_user

pytestmark = pytest.mark.integration


@pytest.fixture
def as_user(redis_url: str, client: redis.Redis) -> Iterator[Callable[..., str]]:
    """``as_user("-info")``: the URL of a user who may do everything but that; called again it changes the user."""
    names = set()

    def make(*rights: str, name: str = "limited") -> str:
        names.add(name)
        client.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", "~*", "&*", "+@all", *rights)
        return as_redis_user(redis_url, name, "pw")

    yield make
    for name in names:
        client.acl_deluser(name)


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process warns once."""
    monkeypatch.setattr(memory_module, "_warned", set())


def raised(call: Callable[[], object]) -> JournalUnavailable:
    with pytest.raises(JournalUnavailable) as caught:
        call()
    return caught.value


def drain_on(lane: OneLane, holder: Holder) -> list[bytes]:
    """What the holder still delivers."""
    found: list[bytes] = []
    while (batch := lane.taken(holder).batch) is not None:
        found += bodies_of(batch)
        lane.journal.settle(holder, batch)
    return found


class TestPrecaution:
    @pytest.mark.parametrize("denied", ["-info", "-@dangerous"])
    def test_appends_go_on_without_info(self, make_lane, as_user, caplog, denied: str) -> None:
        """As managed services have it; one line for the process, whatever the number of apps and calls."""
        url = as_user(denied)
        caplog.set_level(logging.WARNING)
        for app in ("one", "two"):
            lane = make_lane(url, app=app)
            lane.producer._memory._looked_at = float("-inf")
            assert lane.append(b"1").count == 1
            assert lane.append_once(("k", b"2")).count == 1
            holder = lane.acquire()
            batch = lane.take(holder)
            assert bodies_of(batch) == [b"1", b"2"]
            lane.journal.settle(holder, batch)
        [warned] = [record for record in caplog.records if "INFO memory" in record.getMessage()]
        assert "appends go on" in warned.getMessage()

    def test_info_that_was_renamed(self, make_lane, as_user, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same without an ACL: Redis calls it unknown."""
        lane = make_lane(as_user())
        run = lane.producer._link.run
        monkeypatch.setattr(
            lane.producer._link,
            "run",
            lambda commands, **options: run(
                [("RENAMED", *one[1:]) if one[0] == "INFO" else one for one in commands], **options
            ),
        )
        assert lane.append(b"1").count == 1

    def test_it_is_looked_at_again(self, make_lane, as_user, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rights are changed while a process runs: then a full Redis is seen again."""
        lane = make_lane(as_user("-info"))
        assert lane.append(b"1").count == 1
        as_user()
        lane.client.config_set("maxmemory", int(lane.client.info("memory")["used_memory"] / 0.95))
        try:
            monkeypatch.setattr(memory_module, "REFUSED_LOOK_S", -1.0)
            with pytest.raises(BacklogFull):
                lane.append(b"2")
        finally:
            lane.client.config_set("maxmemory", 0)

    @pytest.mark.parametrize("answer", [b"", b"used_memory:many\r\n", None, 7, [b"used_memory:1"], {"maxmemory": "x"}])
    def test_an_answer_that_is_none_stops_nothing(self, answer: object) -> None:
        """A proxy's, say."""
        assert memory_module.memory_share(answer) in (None, 0.0)


class TestUnknownScripts:
    def test_without_script_load(self, make_lane, as_user, client: redis.Redis) -> None:
        """EVAL makes it known; the next call is by its SHA-1 again."""
        lane = make_lane(as_user("-script"))
        client.script_flush()
        assert lane.append(b"1").count == 1
        client.execute_command("ACL", "SETUSER", "limited", "-eval")
        assert lane.append(b"2").count == 1
        assert lane.bodies == [b"1", b"2"]

    def test_an_append_that_ran_never_runs_twice(self, redis_url: str, client: redis.Redis) -> None:
        """One script of a round trip was known, another not; WAIT comes after both."""
        client.script_flush()
        link = RedisLink(redis_url, timeout_s=5.0)
        count, learn = evalsha("count", ("c",), ("n", 1)), evalsha("learn", ("l",), (60, "events", 5))
        assert link.run([count]) == [[1]]
        answers = link.run([count, learn, count], then=("WAIT", 0, 1))
        assert answers == [[1], [1], [1], 0]
        assert client.hget("c", "n") == b"3"

    def test_lanes_of_one_flush_are_stored_once_each(self, make_producer, client: redis.Redis) -> None:
        """All of them were unknown, with WAIT behind them."""
        producer = make_producer(wait=(1, 1), lanes=4)
        producer.layout()
        client.script_flush()
        error = raised(lambda: producer.append([Item(channel, b"1") for channel in "dbea"]))
        assert error.stored is None
        assert [client.xlen(f"sockudo:{{app:{lane}}}:stream") for lane in range(4)] == [1, 1, 1, 1]

    @pytest.mark.parametrize("denied", ["eval", "evalsha"])
    def test_the_right_that_is_missing_is_named(self, make_lane, as_user, denied: str) -> None:
        """Nothing was stored; the error says what to allow, and show no user."""
        lane = make_lane(as_user(f"-{denied}"))
        lane.client.script_flush()
        error = lane.append(b"1").failure
        assert isinstance(error, JournalUnavailable)
        assert error.stored is False
        assert f"`ACL SETUSER <user> +{denied}`" in str(error)
        assert "limited" not in str(error)
        assert lane.bodies == []

    def test_keys_that_are_denied(self, make_lane, redis_url: str, client: redis.Redis) -> None:
        """The key pattern is named."""
        client.execute_command("ACL", "SETUSER", "elsewhere", "reset", "on", ">pw", "~other:*", "+@all")
        try:
            lane = make_lane(as_redis_user(redis_url, "elsewhere", "pw"))
            error = raised(lambda: lane.append(b"1"))
            assert "~sockudo:*" in str(error)
            assert error.stored is False
        finally:
            client.acl_deluser("elsewhere")

    @pytest.mark.parametrize(
        ("text", "advice"),
        [
            ("Error compiling script (new function): user_script:1: unexpected symbol near '#'", "Redis 7 or later"),
            ("unknown command `EVAL`, with args beginning with: `x`", "needs EVAL under its own name"),
            ("unknown command 'EVALSHA', with args beginning with: 'x'", "needs EVALSHA under its own name"),
        ],
        ids=["Redis 6", "renamed", "renamed in Redis 7"],
    )
    def test_what_older_servers_say(self, text: str, advice: str) -> None:
        """Such a server is not at hand: with its text."""
        from sockudo_publisher.journal.redis.refusal import describe_refusal

        assert advice in describe_refusal(redis.ResponseError(text))


#: What a user may not run -> (call, whether it comes after a write of the script).
DENIED_INSIDE = {
    "append": ["-hmget", "-xadd", "-hincrby", "-hsetnx"],
    "append_once": ["-hmget", "-xadd", "-hincrby", "-hsetnx", "-set"],
    "schedule_once": ["-set", "-hget"],
    "replay": ["-xadd", "-hincrby", "-hsetnx", "-xdel"],
}


@pytest.mark.parametrize(
    ("what", "denied"), [(what, right) for what, rights in DENIED_INSIDE.items() for right in rights]
)
def test_a_script_that_fails_says_that_it_is_unknown(make_lane, as_user, what: str, denied: str) -> None:
    """Redis takes no write back; the right is named; a repeat under the key leaves one event."""
    lane = make_lane(as_user())
    lane.producer.layout()
    lane.append(b"dead")
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
    [letter] = lane.dead.oldest(10)
    as_user(denied)

    def call() -> object:
        match what:
            case "append":
                done = lane.append(b"1")
            case "append_once":
                done = lane.append_once(("k", b"1"))
            case "schedule_once":
                return lane.schedule_once("k")
            case _:
                return lane.dead.replay(letter, letter.item)
        if done.failure is not None:
            raise done.failure
        return done

    error = raised(call)
    assert error.stored is None
    assert f"`ACL SETUSER <user> +{denied[1:]}`" in str(error)
    assert f"script {what}" in str(error)
    as_user()
    if what == "replay":
        assert lane.dead.oldest(10) == [letter] or lane.bodies == [b"dead"], "it is never lost"
    elif what == "append":
        assert lane.bodies == [], "what may be refused comes before the event"
        lane.append_once(("k", b"1"))
        assert lane.bodies == [b"1"]
    elif what == "append_once":
        expected = 2 if denied == "-set" else 1  # the second has the first's message id: the server's work
        lane.append_once(("k", b"1"))
        lane.append_once(("k", b"1"))
        assert lane.bodies == [b"1"] * expected


@pytest.mark.parametrize("what", ["append", "append_once"])
def test_a_key_of_another_type_is_unknown_too(lane: OneLane, what: str) -> None:
    """WRONGTYPE out of a script: whether it had written before is not told."""
    lane.producer.layout()
    lane.client.set(f"{lane.base}:stream", "text")
    error = (lane.append(b"1") if what == "append" else lane.append_once(("k", b"1"))).failure
    assert isinstance(error, JournalUnavailable)
    assert error.stored is None
    lane.client.delete(f"{lane.base}:stream")
    assert lane.append_once(("k", b"1")).failure is None
    assert lane.bodies == [b"1"]


class TestNothingIsDeletedForARight:
    """A record that cannot be read begins anew; one that may not be read stays."""

    def test_counters_stay(self, make_lane, as_user) -> None:
        lane = make_lane(as_user())
        lane.journal.count(0, "settled", 5)
        as_user("-hincrby")
        assert "+hincrby" in str(raised(lambda: lane.journal.count(0, "settled", 1)))
        assert lane.now.counts == {"settled": 5}

    def test_workers_stay(self, make_lane, as_user) -> None:
        lane = make_lane(as_user())
        registry = WorkerRegistry(lane.journal.link, "app")
        registry.announce("one", "node", Target("id", "host"))
        as_user("-hgetall")
        assert "+hgetall" in str(raised(lambda: registry.announce("two", "node", Target("id", "host"))))
        as_user()
        assert [one.owner for one in registry.alive()] == ["one"]

    def test_no_letter_comes_and_none_uncounted(self, make_lane, as_user) -> None:
        """Each try of the drain would have left another one."""
        lane = make_lane(as_user())
        lane.append(b"1", b"2")
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
        as_user("-hincrby")
        for _ in range(3):
            error = raised(lambda: lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused")))
            assert "+hincrby" in str(error)
        assert len(lane.now.dead) == 1
        assert lane.bodies == [b"2"]
        assert_size_is_kept(lane.client, lane.app, 0)
        as_user()
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
        check_lane(lane.client, lane.app, 0)


class TestNothingComesTwice:
    """What a script cannot finish it does not begin: Redis takes no write back, and a drain tries again."""

    #: Tries of a drain.
    TRIES = 3

    def repeated(self, as_user, denied: str, call: Callable[[], object]) -> None:
        """It raises each time while the right is missing."""
        as_user(f"-{denied}")
        for _ in range(self.TRIES):
            assert denied in str(raised(call))
        as_user()

    @pytest.mark.parametrize("denied", ["exists", "hdel", "hincrby", "hset", "xadd", "xlen", "xtrim"])
    def test_buried(self, make_lane, as_user, denied: str) -> None:
        lane = make_lane(as_user())
        lane.append(b"1", b"2")
        lane.append(b"3")
        holder = lane.acquire()
        batch = lane.take(holder)
        self.repeated(as_user, denied, lambda: lane.journal.bury(holder, batch, DeadLetterFields("refused")))
        assert (lane.bodies, lane.now.dead) == ([b"1", b"2", b"3"], ())
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
        assert [item for _, item in lane.now.dead] == [b"1"]
        assert drain_on(lane, holder) == [b"2", b"3"]

    @pytest.mark.parametrize("denied", ["exists", "hdel", "hincrby", "hset", "xadd", "xlen", "xtrim", "zadd"])
    def test_held(self, make_lane, as_user, denied: str) -> None:
        lane = make_lane(as_user())
        lane.append(b"1", b"2")
        lane.append_to(("d", b"3"))
        holder = lane.acquire()
        batch = lane.take(holder)
        self.repeated(as_user, denied, lambda: lane.journal.hold(holder, batch, retry_in_s=0.0))
        assert sorted(lane.now.all_waiting) == [b"1", b"2", b"3"]
        lane.hold_first(holder)
        assert drain_on(lane, holder) == [b"3"]
        assert lane.now.holds["c"].bodies == [b"1", b"2"]

    @pytest.mark.parametrize("denied", ["hincrby", "hset", "xadd"])
    def test_moved_into_a_hold(self, make_lane, as_user, denied: str) -> None:
        lane = make_lane(as_user())
        lane.append(b"1")
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.append(b"2", b"3")
        self.repeated(as_user, denied, lambda: lane.taken(holder))
        assert lane.now.holds["c"].bodies == [b"1"]
        assert drain_on(lane, holder) == []
        assert lane.now.holds["c"].bodies == [b"1", b"2", b"3"]

    @pytest.mark.parametrize("denied", ["hincrby", "xadd", "xdel"])
    def test_quarantined(self, make_lane, as_user, denied: str) -> None:
        lane = make_lane(as_user())
        lane.append(b"1")
        [entry] = [entry for entry, _ in lane.client.xrange(f"{lane.base}:stream")]
        holder = lane.acquire()
        self.repeated(as_user, denied, lambda: lane.journal.quarantine(holder, entry))
        assert (lane.bodies, lane.now.dead) == ([b"1"], ())
        lane.journal.quarantine(holder, entry)
        assert len(lane.now.dead) == 1
        assert lane.bodies == []

    @pytest.mark.parametrize("denied", ["hincrby", "hsetnx", "xadd", "xdel"])
    def test_replayed(self, make_lane, as_user, denied: str) -> None:
        lane = make_lane(as_user())
        lane.append(b"1")
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
        [letter] = lane.dead.oldest(1)
        self.repeated(as_user, denied, lambda: lane.dead.replay(letter, letter.item))
        assert (lane.bodies, lane.dead.oldest(1)) == ([], [letter])
        lane.dead.replay(letter, letter.item)
        assert (lane.bodies, lane.dead.oldest(1)) == ([b"1"], [])


class TestSeveralLanes:
    """The failure that a caller gets is one whose lane may have stored something, if there is one."""

    @pytest.fixture
    def broken_state(self, make_producer, client: redis.Redis):
        """Lane 0 is full, lane 1 fails in its script."""
        producer = make_producer(max_backlog=1)
        producer.append([Item("d", b"1")])
        client.set("sockudo:{app:1}:stream", "text")
        return producer

    def test_unknown_outranks_full(self, broken_state) -> None:
        done = broken_state.append([Item("d", b"2"), Item("a", b"3")])
        assert isinstance(done.refused[0], BacklogFull)
        assert isinstance(done.failure, JournalUnavailable)
        assert done.failure is done.refused[1]
        assert done.failure.stored is None

    def test_a_look_stores_nothing(self, broken_state, client: redis.Redis) -> None:
        """Several lanes are looked at first: what fails then is certain."""
        client.set("sockudo:{app:1}:state", "text")
        keyed = [KeyedItem(Item("d", b"2"), "q", "f"), KeyedItem(Item("a", b"3"), "k", "f")]
        client.hset("sockudo:{app:0}:state", "depth", 0)
        done = broken_state.append(keyed)
        assert isinstance(done.failure, JournalUnavailable)
        assert done.failure.stored is False
        assert done.count == 0

    def test_a_look_without_an_answer_stores_nothing(self, make_producer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of several lanes, and of an earlier layout's ledgers: nothing was appended yet, whatever became of it."""
        producer = make_producer()
        keyed = [KeyedItem(Item(channel, b"1"), "k", "f") for channel in "da"]
        producer.layout()
        run, asked = producer._link.run, []

        def lose(commands: list, **options: object) -> list:
            asked.append(commands)
            if commands[0][0] == "INFO":
                return run(commands, **options)
            raise JournalUnavailable("Redis did not answer", stored=None)

        monkeypatch.setattr(producer._link, "run", lose)
        assert raised(lambda: producer.append(keyed)).stored is False
        assert raised(lambda: producer.append(keyed[:1])).stored is None, "this was no look"
        producer._layout = Layout(Span(2, 2), retired=(Retired(Span(0, 2), 1),))
        assert raised(lambda: producer.append(keyed[:1])).stored is False
        assert asked[-1][0][0] == "GET"
