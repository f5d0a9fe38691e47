"""Leases of processes that are dead: a test need not wait for what only time would end."""

from __future__ import annotations

import redis

#: The last parts of the keys that name a holder and expire (`sockudo_publisher/journal/keys.py`).
RIGHTS = ("lease", "probe", "due_holder", "canary_holder", "dead_reporter")


def end_leases(client: redis.Redis) -> None:
    """Every lease and right is free, as seconds after the death of its holder. No other worker may run."""
    for name in RIGHTS:
        for key in client.scan_iter(f"sockudo:*:{name}"):
            client.delete(key)
