"""Entries are packs of at most a hundred items, whichever script made them."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.journal.pack import MAX_ITEMS, Item, KeyedItem
from sockudo_publisher.journal.producer import Producer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("keyed", [False, True])
def test_an_entry_holds_at_most_a_hundred_items(redis_url: str, keyed: bool) -> None:
    """250 items are three entries, and the earliest expiry of each is its own."""
    producer = Producer(redis_url, "packs", lanes=1, max_backlog=0, key_ttl_ms=60_000)
    items = [Item("c", b'{"n":%d}' % n, 5000 if n == 249 else 0) for n in range(250)]
    if keyed:
        producer.append([KeyedItem(item, f"k{n}", "f") for n, item in enumerate(items)])
        assert producer.append([KeyedItem(items[7], "k7", "f")]).already_stored == [0]
    else:
        producer.append(items)
    with redis.Redis.from_url(redis_url) as client:
        entries = [entry for _, entry in client.xrange("sockudo:{packs:0}:stream")]
        assert client.hget("sockudo:{packs:0}:state", "depth") == b"250"
    assert [int(entry[b"n"]) for entry in entries] == [MAX_ITEMS, MAX_ITEMS, 50]
    assert [int(entry[b"x"]) for entry in entries] == [0, 0, 5000]
    assert b",".join(entry[b"b"] for entry in entries) == b",".join(item.body for item in items)
