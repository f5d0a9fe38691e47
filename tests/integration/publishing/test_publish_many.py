"""Bulk: lazy, resumable, in order, and clear about how far it came."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sockudo_publisher import BulkError, BulkReceipt, Event, IdempotencyConflict, configure, publish, publish_many
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.producer import Producer
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


def test_events_tuples_and_dicts_arrive_in_the_iterables_order(stack: Stack) -> None:
    """One channel, three forms, keyed and plain in turn: the order is the iterable's."""
    channel = stack.channel()
    seen = stack.subscribe(channel)

    def mixed() -> Iterator[object]:
        for n in range(600):
            yield (
                (channel, "e", n),
                Event(channel, "e", n, key=f"{channel}-{n}"),
                {"channel": channel, "name": "e", "data": n, "tags": {"t": "x"}},
            )[n % 3 if n < 300 else 0]

    assert publish_many(mixed()) == BulkReceipt(600, 0)  # type: ignore[arg-type]
    stack.worker()
    seen.wait_for_count(600, 30)
    assert [int(data) for data in seen.data()] == list(range(600))


class Row(NamedTuple):
    """An event as a database gives it."""

    channel: str
    name: str
    data: Any


def test_event_has_the_same_forms_as_in_a_direct_batch(stack: Stack) -> None:
    """A named tuple too; and a mapping may call the key what it is called on the wire."""
    assert publish_many([Row("c", "e", 1), {"channel": "c", "name": "e", "data": 2, "message_id": "m"}]).count == 2
    assert publish.delay("c", "e", 2, key="m").id == "m"
    (key,) = stack.redis.keys("*:state")
    assert stack.redis.hget(key, "depth") == b"2", "the key had stored it already"


def test_iterable_is_taken_lazily_and_progress_is_told_seldom(stack: Stack) -> None:
    """No more than a flush is held; `progress` grows, comes at most ten times a second, and ends with all."""
    taken = 0
    told: list[tuple[float, int, int]] = []

    def endless() -> Iterator[tuple[str, str, int]]:
        nonlocal taken
        for n in range(60_000):
            taken += 1
            yield ("c", "e", n)

    publish_many(endless(), progress=lambda stored: told.append((time.monotonic(), stored, taken)))
    assert told[-1][1] == 60_000
    assert [stored for _, stored, _ in told] == sorted(stored for _, stored, _ in told)
    assert all(drawn - stored <= 2000 for _, stored, drawn in told)
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(told[:-1])]
    assert all(gap >= 0.1 for gap in gaps)


def test_key_prefix_makes_a_repeat_store_nothing(stack: Stack) -> None:
    """A second run stores what the first had not; another payload under the same key is refused at its index."""
    events = [(f"c{n % 7}", "e", n) for n in range(3000)]
    assert publish_many(events[:1700], key_prefix="job") == BulkReceipt(1700, 0)
    assert publish_many(events, key_prefix="job") == BulkReceipt(3000, 1700)
    changed = [*events[:2500], ("c1", "e", "another"), *events[2501:]]
    with pytest.raises(IdempotencyConflict) as caught:
        publish_many(changed, key_prefix="job")
    assert caught.value.index == 2500
    assert caught.value.stored == 2500


def test_conflict_stores_everything_before_it(stack: Stack) -> None:
    """The events before the conflict are stored, in all lanes; what follows is not."""
    publish.delay("c3", "e", "other", key="k:40")
    with pytest.raises(IdempotencyConflict) as caught:
        publish_many(((f"c{n % 8}", "e", n) if n != 40 else ("c3", "e", n) for n in range(100)), key_prefix="k")
    assert (caught.value.index, caught.value.stored) == (40, 40)
    depths = [int(stack.redis.hget(key, "depth") or 0) for key in stack.redis.keys("*:state")]
    assert sum(depths) == 41


def test_conflict_after_the_look_counts_each_event_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process uses the key between the look at all lanes and the append: the other lanes have stored theirs."""
    look = Producer._all_take

    def look_then_lose(self: Producer, *args: Any) -> bool:
        monkeypatch.setattr(Producer, "_all_take", look)
        can_append = look(self, *args)
        publish.delay("c3", "e", "another", key="k:40")
        return can_append

    monkeypatch.setattr(Producer, "_all_take", look_then_lose)
    with pytest.raises(IdempotencyConflict) as caught:
        publish_many(((f"c{n % 8}", "e", n) if n != 40 else ("c3", "e", n) for n in range(100)), key_prefix="k")
    assert (caught.value.index, caught.value.stored) == (40, 40)


def test_redis_that_dies_midway_is_a_bulk_error_until_a_repeat(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All before `.index` are stored; run again with the same prefix, each event is seen once."""
    channel = stack.channel()
    with RedisServer(tmp_path / "journal") as journal:
        stack.environ["SOCKUDO_REDIS_URL"] = journal.url
        monkeypatch.setenv("SOCKUDO_REDIS_URL", journal.url)
        monkeypatch.setenv("SOCKUDO_BROKER_URL", journal.url)
        configure()
        seen = stack.subscribe(channel)

        def events() -> Iterator[tuple[str, str, int]]:
            for n in range(5000):
                if n == 3000 and journal.is_running and not died:
                    died.append(n)
                    journal.stop()
                yield (channel, "e", n)

        died: list[int] = []
        with pytest.raises(BulkError) as caught:
            publish_many(events(), key_prefix=channel)
        assert caught.value.index == caught.value.stored == 2000
        journal.start()
        assert publish_many(events(), key_prefix=channel) == BulkReceipt(5000, 2000)
        stack.worker()
        seen.wait_for_count(5000, 60)
        seen.wait_until_quiet(1.0)
        assert [int(data) for data in seen.data()] == list(range(5000))


def test_failure_of_the_iterable_is_raised_with_the_rest_stored(stack: Stack) -> None:
    """As with a loop over `delay`: what was given before the failure is published."""

    def breaks() -> Iterator[tuple[str, str, int]]:
        yield ("c", "e", 1)
        yield ("c", "e", 2)
        raise LookupError("the file ended")

    with pytest.raises(LookupError):
        publish_many(breaks())
    (state,) = stack.redis.keys("*:state")
    assert int(stack.redis.hget(state, "depth")) == 2


def test_channels_share_an_id_and_encrypted_ones_are_readable(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """One event to several channels: one item each, duplicates merged; an encrypted one opens with its secret."""
    from sockudo_publisher.client.wire.encryption import decode_master_key, open_envelope, shared_secret

    master = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
    monkeypatch.setenv("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", master)
    stack.environ["SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"] = master
    configure()
    one, two = stack.channels(2)
    hidden = f"private-encrypted-{stack.unique}"
    seen = stack.subscribe(one, two, hidden)
    publish.delay([one, two, one], "e", "both")
    publish.delay(hidden, "e", {"n": "secret"})
    assert all(
        b"secret" not in entry[b"b"] for key in stack.redis.keys("*:stream") for _, entry in stack.redis.xrange(key)
    )
    stack.worker()
    seen.wait_for_count(3, 30)
    assert seen.data(one) == seen.data(two) == ["both"]
    secret = shared_secret(hidden, decode_master_key(master))
    assert json.loads(open_envelope(seen.data(hidden)[0], secret)) == {"n": "secret"}
