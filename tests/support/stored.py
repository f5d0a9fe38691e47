"""What waits in a journal, read from Redis."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import redis


def stored_items(client: redis.Redis) -> dict[str, list[dict[str, Any]]]:
    """The items of all lanes by channel, each channel's in its order."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key in client.keys("*:stream"):
        for _, fields in client.xrange(key):
            for item in json.loads(b"[" + fields[b"b"] + b"]"):
                found[item["channel"]].append(item)
    return dict(found)


def stored_data(client: redis.Redis) -> dict[str, list[str]]:
    """The data of what waits, by channel."""
    return {channel: [item["data"] for item in items] for channel, items in stored_items(client).items()}
