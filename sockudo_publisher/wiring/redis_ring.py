"""Rings lanes through the journal's Redis, where it is the Celery broker too, without Celery and kombu.

Theirs takes ten times as long to send, and to load the two costs a command more CPU than the rest of it. The messages
are those that kombu's Redis transport stores for :mod:`.doorbell`; a test compares them field by field.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

from ..config.settings import Settings
from ..journal.redis.link import RedisLink

__all__ = ["DRAIN_TASK", "RedisRing", "is_broker_the_journal"]

DRAIN_TASK: Final = "sockudo_publisher.drain"


def is_broker_the_journal(settings: Settings) -> bool:
    """Whether the broker is the journal's Redis, by its address."""
    return settings.broker_url in (settings.redis_url, settings.redis_address.broker_url())


class RedisRing:
    """Pushes doorbells onto the queue, over one connection."""

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._queue = settings.queue
        self._link = RedisLink(settings.redis_url, timeout_s=timeout_s, namespace=settings.namespace)

    def ring(self, app: str, lanes: Iterable[int], channel: str | None = None) -> None:
        """Ring lanes, or a held channel of each. Raises :class:`JournalUnavailable`."""
        messages = [_message(self._queue, app, lane, channel) for lane in lanes]
        if messages:
            self._link.call("LPUSH", self._queue, *messages)

    def close(self) -> None:
        """Close the idle connections of this process; the next ring connects again."""
        self._link.close()


def _message(queue: str, app: str, lane: int, channel: str | None) -> str:
    """A drain's message: Celery's task protocol 2, in kombu's envelope for Redis."""
    task_id = str(uuid.uuid4())
    args = [app, lane, channel]
    body = [args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    return json.dumps(
        {
            "body": b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": DRAIN_TASK,
                "id": task_id,
                "shadow": None,
                "eta": None,
                "expires": None,
                "group": None,
                "group_index": None,
                "retries": 0,
                "timelimit": [None, None],
                "root_id": task_id,
                "parent_id": None,
                "argsrepr": repr(tuple(args)),
                "kwargsrepr": "{}",
                "origin": f"gen{os.getpid()}@{socket.gethostname()}",
                "ignore_result": True,
                "replaced_task_nesting": 0,
                "stamped_headers": None,
                "stamps": {},
            },
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )
