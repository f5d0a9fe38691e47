"""A stack whose workers reach their server through a proxy, and what the journal says of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from sockudo_publisher.canaries.ask import CHANNEL
from sockudo_publisher.dev.embedded import SockudoServer

from .proxy import Connection, Proxy
from .stack import Stack


@dataclass(frozen=True)
class Proxied:
    """`stack.environ` names the proxy; subscribers do not come through it."""

    stack: Stack
    sockudo: SockudoServer
    proxy: Proxy

    def batches(self) -> list[Connection]:
        """The connections with a whole batch of events: no canaries, no looks at history."""
        return batches(self.proxy.connections)

    def sent(self) -> list[list[int]]:
        """The `n` of each event's data, batch by batch, as they came to the proxy."""
        return [[json.loads(item["data"])["n"] for item in one.batch()] for one in self.batches()]

    def counts(self) -> dict[str, int]:
        """The journal's counters, over all lanes."""
        with redis.Redis.from_url(self.stack.redis_server.url) as client:
            return counts(client)

    def depth(self) -> int:
        """Entries in all lanes."""
        with redis.Redis.from_url(self.stack.redis_server.url) as client:
            return sum(client.xlen(key) for key in client.scan_iter("sockudo:*:stream"))


def batches(connections: Sequence[Connection]) -> list[Connection]:
    """Those with a whole batch of events."""
    return [
        one
        for one in tuple(connections)
        if one.whole and b"/batch_events?" in one.request and CHANNEL.encode() not in one.request
    ]


def counts(client: redis.Redis) -> dict[str, int]:
    """The counters of all lanes in this Redis."""
    total: Counter[str] = Counter()
    for key in client.scan_iter("sockudo:*:counts"):
        total.update({name.decode(): int(value) for name, value in client.hgetall(key).items()})
    return dict(total)
