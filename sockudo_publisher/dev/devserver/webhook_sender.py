"""Sends webhooks: collects events for a moment, posts them from threads, and repeats what was not taken."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from . import webhooks
from .config import AppConfig
from .webhooks import Delivery, deliveries, is_final, next_wait_s

__all__ = ["WebhookSender"]

#: Posts at once; posts, and events not yet collected, that may wait: more are dropped and counted.
MAX_AT_ONCE = 8
MAX_WAITING = 10_000


class WebhookSender:
    """The webhooks of all apps. ``start`` and ``stop`` in the server's loop; ``notify`` too."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[AppConfig, int, list[dict[str, Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._is_due = False
        #: Events that found no room.
        self.dropped = 0

    def notifier(self, app: AppConfig) -> Callable[[dict[str, Any]], None]:
        """The function that an app's events go to."""
        if not app.webhooks:
            return lambda _event: None
        return lambda event: self._notify(app, event)

    def _notify(self, app: AppConfig, event: dict[str, Any]) -> None:
        now_ms = time.time_ns() // 1_000_000
        _, _, events = self._events.setdefault(app.id, (app, now_ms, []))
        if len(events) >= MAX_WAITING:
            self.dropped += 1
            return
        events.append(event)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(webhooks.COLLECTING_S, self._flush)

    def _flush(self) -> None:
        self._is_due = False
        collected, self._events = self._events, {}
        for app, time_ms, events in collected.values():
            for delivery in deliveries(app, events, time_ms):
                if len(self._tasks) >= MAX_WAITING:
                    self.dropped += 1
                    continue
                task = asyncio.get_running_loop().create_task(self._send(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send(self, delivery: Delivery) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="webhook")
        loop, start, attempt = asyncio.get_running_loop(), time.monotonic(), 0
        while True:
            attempt += 1
            status = await loop.run_in_executor(self._threads, _post, delivery)
            if is_final(status):
                return
            wait_s = next_wait_s(attempt, time.monotonic() - start)
            if wait_s is None:
                return
            await asyncio.sleep(wait_s)

    async def stop(self) -> None:
        """Send no more. A post in flight ends with its thread."""
        for task in list(self._tasks):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _post(delivery: Delivery) -> int | None:
    """The status of one attempt, ``None`` without an answer. Never through a proxy, never to another address."""
    parts = urlsplit(delivery.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=webhooks.ATTEMPT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, delivery.body, dict(delivery.headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
