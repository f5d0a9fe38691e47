"""The journal's Redis and its replica: what a failover takes, with `SOCKUDO_REDIS_WAIT` and without it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from sockudo_publisher import JournalUnavailable, configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import Producer
from tests.support.oracle import compare, numbers
from tests.support.proxy import Proxy
from tests.support.publisher import Publisher
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


#: Seconds between two bursts of a caller: it goes on publishing while the workers wait for leases that have to end.
PAUSE_S = 0.1
#: Seconds between two looks at all that has arrived.
LOOK_S = 0.3


class Pair:
    """A primary and its replica, each with its append-only file."""

    def __init__(self, directory: Path, ends: ExitStack) -> None:
        self.directory = directory
        self._ends = ends
        self._count = 0
        self.primary = self._start("primary")
        self.replica = self.new_replica()

    def new_replica(self) -> RedisServer:
        """Another replica of the primary, in step with it."""
        self._count += 1
        port = str(self.primary.port)
        replica = self._start(f"replica{self._count}", "--replicaof", "127.0.0.1", port)
        client = self.client(self.primary)
        client.set("begun", self._count)
        assert wait_for(lambda: client.wait(1, 500) == 1, 60)
        return replica

    def _start(self, name: str, *args: str, port: int | None = None) -> RedisServer:
        more = ["--repl-diskless-sync-delay", "0", *args]
        server = RedisServer(self.directory / name, port, args=more, password="")
        self._ends.callback(server.kill)
        return server.start()

    def client(self, server: RedisServer) -> redis.Redis:
        client = redis.Redis.from_url(server.url)
        self._ends.callback(client.close)
        return client

    def fail_over(self, until: Callable[[], bool]) -> None:
        """The primary is killed; when ``until`` is true, what the replica has is served at its address.

        So a caller has met the gap, on a machine of any speed.
        """
        self.primary.kill()
        self.replica.stop()
        assert wait_for(until, 60), "the fault must have been noticed"
        name = self.replica.directory.name
        self.primary = self._start(name, port=self.primary.port)

    def cut_off(self) -> None:
        """The replica is frozen and gets nothing any more: what is on the way to a frozen one it would read later."""
        self.replica.pause()
        self.client(self.primary).client_kill_filter(_type="replica")

    def promote(self) -> None:
        """The primary is killed; the replica goes on at its own address."""
        self.primary.kill()
        self.client(self.replica).replicaof("NO", "ONE")
        self.primary = self.replica


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as ends:
        yield Pair(tmp_path, ends)


@pytest.fixture
def producer(pair: Pair) -> Callable[..., Producer]:
    def make(wait: tuple[int, int] | None) -> Producer:
        return Producer(pair.primary.url, "app", lanes=1, max_backlog=0, key_ttl_ms=60_000, wait=wait)

    return make


def append(producer: Producer, number: int) -> None:
    appended = producer.append([Item("c", b"%d" % number)])
    assert appended.failure is None


def bodies(url: str) -> list[bytes]:
    """What a worker finds in the lane."""
    journal = Journal(url, "app", lanes=1)
    holder = journal.acquire(0)
    assert holder is not None
    batch = journal.take(holder, max_items=1000, max_bytes=10**6).batch
    journal.hand_over(holder)
    return [item.body for item in batch.items()] if batch else []


def test_with_wait_what_a_caller_was_told_survives_the_primary(pair: Pair, producer: Callable[..., Producer]) -> None:
    """SIGKILL right after each append has returned: the replica has all of them, in order."""
    one = producer((1, 5000))
    for n in range(50):
        append(one, n)
    pair.promote()
    assert bodies(pair.primary.url) == [b"%d" % n for n in range(50)]


def test_failover_without_wait_loses_what_the_replica_lacked(pair: Pair, producer: Callable[..., Producer]) -> None:
    """`delay` had returned: as durable as the Redis it is in. What is left is in order, and goes on."""
    safe, fast = producer((1, 5000)), producer(None)
    for n in range(5):
        append(safe, n)
    pair.cut_off()
    for n in range(5, 9):
        append(fast, n)
    pair.primary.kill()
    pair.replica.resume()
    pair.promote()
    assert bodies(pair.primary.url) == [b"%d" % n for n in range(5)]


def test_wait_that_is_not_reached_reports_unknown(pair: Pair, producer: Callable[..., Producer]) -> None:
    """`stored` is None, though the primary has it: a failover may still take it. It names the setting and numbers."""
    one = producer((1, 1200))  # longer than callers wait for an ordinary answer
    append(one, 0)
    pair.replica.pause()
    began = time.monotonic()
    with pytest.raises(JournalUnavailable, match=r"SOCKUDO_REDIS_WAIT: 0 replicas have it within 1200 ms") as caught:
        append(one, 1)
    assert time.monotonic() - began >= 1.2
    assert caught.value.stored is None
    pair.replica.resume()
    append(one, 2)
    assert bodies(pair.primary.url) == [b"0", b"1", b"2"]


def test_wait_is_about_the_append_also_when_scripts_were_flushed(pair: Pair, producer: Callable[..., Producer]) -> None:
    """The append is sent twice then, and so is the question who has it."""
    one = producer((1, 5000))
    append(one, 0)
    client = pair.client(pair.primary)
    client.script_flush()
    client.config_resetstat()
    append(one, 1)
    stats = client.info("commandstats")
    # By its SHA-1, then with its text.
    calls = [stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval", "wait")]
    assert (sum(calls[:2]), calls[2]) == (2, 2)


@pytest.fixture
def on_pair(stack: Stack, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack with its journal on the primary, and the broker apart."""
    own = {"SOCKUDO_REDIS_URL": pair.primary.url, "SOCKUDO_BROKER_URL": stack.redis_server.url}
    stack.environ.update(own)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    configure()
    return stack


def test_event_that_missed_its_replicas_is_sent_once_if_repeated(
    on_pair: Stack, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the error says: with its message id as key, after the replica came back."""
    monkeypatch.setenv("SOCKUDO_REDIS_WAIT", "1:100")
    configure()
    channel = on_pair.channel()
    seen = on_pair.subscribe(channel)
    on_pair.worker()
    publish.delay(channel, "n", {"n": 0})
    pair.replica.pause()
    with pytest.raises(JournalUnavailable) as caught:
        publish.delay(channel, "n", {"n": 1})
    assert caught.value.message_id
    seen.wait_for_count(2, 60)
    pair.replica.resume()
    publish.delay(channel, "n", {"n": 1}, key=caught.value.message_id)
    publish.delay(channel, "n", {"n": 2})
    seen.wait_for_count(3, 60)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events())[channel] == [0, 1, 2]


def test_failover_in_traffic_with_wait_loses_nothing(
    on_pair: Stack, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers and callers find the new primary at the old address; settled batches it never heard of are resent."""
    monkeypatch.setenv("SOCKUDO_REDIS_WAIT", "1:2000")
    configure()
    channels = on_pair.channels(16)
    seen = on_pair.subscribe(*channels)
    on_pair.worker()
    publisher = Publisher(channels, 1_000_000, 40, PAUSE_S)
    publisher.start()
    assert wait_for(lambda: seen.count > 200, 60)
    pair.fail_over(until=lambda: publisher.repeats > 0)
    pair.replica = pair.new_replica()
    before = seen.count
    assert wait_for(lambda: seen.count > before + 200, 60)
    publisher.stop.set()
    publisher.join(60)
    assert publisher.error is None
    wait_for(lambda: compare(publisher.promised, numbers(seen.events())).lost == 0, 60, LOOK_S)
    seen.wait_until_quiet(1.0)
    verdict = compare(publisher.promised, numbers(seen.events()))
    assert verdict.is_exact, verdict


#: Events of a call, or of the few beside it.
BURST = 40
#: An event in an entry of a lane: its channel, and the number in its data.
STORED = re.compile(rb'"channel":"([^"]+)"[^{}]*\{\\"n\\": ?(\d+)')


def of(events: Mapping[str, Sequence[int]]) -> set[tuple[str, int]]:
    """Channel and number of each."""
    return {(channel, n) for channel, numbers in events.items() for n in numbers}


def stored(client: redis.Redis) -> set[tuple[str, int]]:
    """The channel and number of each event in the lanes of this Redis."""
    entries = (fields for key in client.scan_iter("sockudo:*:stream") for _, fields in client.xrange(key))
    return {(found[1].decode(), int(found[2])) for fields in entries for found in STORED.finditer(fields[b"b"])}


def test_failover_in_traffic_without_wait_loses_nothing_else(
    on_pair: Stack, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that fell behind is promoted, with callers and workers running.

    What it still had though it was delivered is sent again, and seen once; what it had not is lost, unless it was
    delivered before.
    """
    channels = on_pair.channels(16)
    seen = on_pair.subscribe(*channels)
    with Proxy(on_pair.server.port) as proxy:
        on_pair.environ["SOCKUDO_URL"] = proxy.url(on_pair.server.url)
        monkeypatch.setenv("SOCKUDO_URL", on_pair.environ["SOCKUDO_URL"])
        configure()
        on_pair.worker()
        publisher = Publisher(channels, 1_000_000, BURST, PAUSE_S)
        publisher.start()

        def more(count: int) -> None:
            """Until that number of further events is promised."""
            wanted = publisher.count + count
            assert wait_for(lambda: publisher.count >= wanted, 60)

        assert wait_for(lambda: seen.count > 200, 60)
        proxy.refuse()  # so that events are waiting when the replica is cut off: it keeps them
        more(200)
        safe = {channel: got.copy() for channel, got in publisher.promised.items()}
        primary = pair.client(pair.primary)
        assert wait_for(lambda: primary.wait(1, 500) == 1, 60)
        pair.cut_off()
        proxy.listen()  # and are delivered, which it does not hear of
        assert wait_for(lambda: of(safe) <= of(numbers(seen.events())), 60, LOOK_S)
        more(200)
        proxy.refuse()  # these never arrive, here or elsewhere
        more(200)
        pair.primary.kill()
        until = publisher.count + BURST  # one may be half stored
        pair.replica.resume()
        replica = stored(pair.client(pair.replica))
        assert len(replica & of(numbers(seen.events()))) >= 100, "delivered, and still there"
        pair.fail_over(until=lambda: publisher.repeats > 0)
        proxy.listen()
        more(200)
        publisher.stop.set()
        publisher.join(60)
        assert publisher.error is None
        promised = of(publisher.promised)
        lacked = {(channel, n) for channel, n in promised - of(safe) - replica if n < until}
        assert wait_for(lambda: promised - lacked <= of(numbers(seen.events())), 60, LOOK_S)
        seen.wait_until_quiet(1.0)
    lost = promised - of(numbers(seen.events()))
    assert len(lost) >= 100, "and no other node had them"
    assert lost <= lacked
    verdict = compare(publisher.promised, numbers(seen.events()))
    assert (verdict.duplicated, verdict.reordered, verdict.unexpected) == (0, 0, 0), verdict


def test_journal_on_a_replica_is_refused_until_promoted(
    on_pair: Stack, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stored, and callers get an error; the worker waits, and drains what was there all along."""
    channel = on_pair.channel()
    seen = on_pair.subscribe(channel)
    publish.delay(channel, "n", {"n": 0})
    assert wait_for(lambda: pair.client(pair.primary).wait(1, 1000) == 1, 60)
    monkeypatch.setenv("SOCKUDO_REDIS_URL", pair.replica.url)
    on_pair.environ["SOCKUDO_REDIS_URL"] = pair.replica.url
    configure()
    with pytest.raises(JournalUnavailable, match="Redis refused: ReadOnlyError") as caught:
        publish.delay(channel, "n", {"n": 1})
    assert caught.value.stored is False
    worker = on_pair.worker()
    assert wait_for(lambda: "ReadOnlyError" in worker.log_text(), 60)
    assert worker.is_running
    pair.promote()
    publish.delay(channel, "n", {"n": 1}, key=caught.value.message_id)
    seen.wait_for_count(2, 60)
    assert numbers(seen.events())[channel] == [0, 1]


def test_empty_replica_says_why_it_stores_nothing(tmp_path: Path) -> None:
    """Not even the number of lanes is in it."""
    with RedisServer(tmp_path, args=["--replicaof", "127.0.0.1", "1"]) as orphan:
        producer = Producer(orphan.url, "app", lanes=1, max_backlog=0, key_ttl_ms=60_000)
        with pytest.raises(JournalUnavailable, match="Redis refused") as caught:
            append(producer, 0)
    assert caught.value.stored is False
