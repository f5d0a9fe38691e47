"""The live workers of an app, and the Sockudo app to which each delivers the journal's events.

Two deployments that share a Redis and a name would deliver each other's events. So each worker announces every few
seconds where it delivers to (``announce.lua``), and reads the others' records. The records are advisory: one that
cannot be read is ignored, and all may be lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..redis.link import RedisLink, checked
from ..unreadable import is_wrong_type

__all__ = ["BEAT_S", "TTL_MS", "LiveWorker", "Target", "WorkerRegistry", "first_rival", "other_hosts"]

#: Seconds between two announcements of a worker.
BEAT_S = 2.0

#: Milliseconds after the last announcement at which a worker counts as dead: a slow Redis may cost several.
TTL_MS = 15_000

assert 3 * BEAT_S < TTL_MS / 1000, "three lost announcements in a row end no worker"


@dataclass(frozen=True)
class Target:
    """The destination of an app's events: the Sockudo app's id, and ``host:port``."""

    app_id: str
    host: str


@dataclass(frozen=True)
class LiveWorker:
    """A worker that has announced itself. ``owner`` is unique, ``node`` its Celery name, ``since_ms`` Redis' time.

    ``is_consuming``: its consumer was attached to the queue of doorbells when it announced itself; ``None``: unknown.
    ``watches``: it can stay at quiet lanes.
    """

    owner: str
    node: str
    target: Target
    since_ms: int
    is_consuming: bool | None = None
    watches: bool = False


class WorkerRegistry:
    """The workers of one app. All methods raise :class:`JournalUnavailable`."""

    def __init__(self, link: RedisLink, app: str) -> None:
        self._link = link
        self._key = link.keyspace.app(app).workers

    def announce(
        self, owner: str, node: str, target: Target, *, is_consuming: bool | None = None, watches: bool = False
    ) -> tuple[LiveWorker, ...]:
        """Announce this worker; answers all live workers, this one among them."""
        facts = {"node": node, "app_id": target.app_id, "host": target.host}
        said = {} if is_consuming is None else {"consuming": is_consuming}
        record = json.dumps({**facts, **said, "watches": watches})
        _, *pairs = self._link.script("announce", (self._key,), (owner, record, TTL_MS))
        return _read(zip(pairs[::2], pairs[1::2], strict=True))

    def leave(self, owner: str) -> None:
        """Delete this worker's announcement, so that a successor need not wait until it expires."""
        self._link.call("HDEL", self._key, owner)

    def alive(self) -> tuple[LiveWorker, ...]:
        """All live workers."""
        answers = self._link.run([("TIME",), ("HGETALL", self._key)])
        time = checked(answers[0])
        found = () if is_wrong_type(answers[1]) else checked(answers[1])  # announce.lua deletes a key of another type
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return _read(pairs, now_ms)


def first_rival(mine: LiveWorker, workers: Iterable[LiveWorker]) -> LiveWorker | None:
    """The live worker that came before ``mine`` and delivers to another Sockudo app, if there is one.

    Of two rivals the later one stops, so that exactly one goes on.
    """
    others = [one for one in workers if one.target.app_id != mine.target.app_id]
    return min((one for one in others if _order(one) < _order(mine)), key=_order, default=None)


def other_hosts(target: Target, workers: Iterable[LiveWorker]) -> tuple[LiveWorker, ...]:
    """The workers that deliver to an app of the same id on another host."""
    return tuple([one for one in workers if one.target.app_id == target.app_id and one.target.host != target.host])


def _order(worker: LiveWorker) -> tuple[int, str]:
    return worker.since_ms, worker.owner


def _read(pairs: Iterable[Sequence[Any]], now_ms: int | None = None) -> tuple[LiveWorker, ...]:
    # Without the time: the script has left out dead workers.
    found = []
    for owner, value in pairs:
        try:
            since_ms, seen_ms, record = value.decode().split(" ", 2)
            said = json.loads(record)
            target = Target(str(said["app_id"]), str(said["host"]))
            if now_ms is None or abs(now_ms - int(seen_ms)) <= TTL_MS:
                consuming = said.get("consuming")
                is_consuming = consuming if isinstance(consuming, bool) else None
                watches = said.get("watches") is True
                found.append(
                    LiveWorker(owner.decode(), str(said["node"]), target, int(since_ms), is_consuming, watches)
                )
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ):  # written by another release, or damaged
            continue
    return tuple(sorted(found, key=_order))
