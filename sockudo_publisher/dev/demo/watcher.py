"""A WebSocket subscriber that hands on what it sees: Pusher protocol 7, in a thread of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

__all__ = ["Watcher", "WatcherError"]

#: Seconds to connect, and to have every channel subscribed.
READY_S = 15.0
#: Bytes of one message: far above any event's.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class WatcherError(RuntimeError):
    """The subscriber could not connect, was refused, or lost its connection."""


class Watcher:
    """Subscribes to ``channels`` and calls ``seen(channel, data)`` for each event, in the order of arrival.

    ``data`` is the text as it came. ``last_seen`` is the monotonic time of the latest event.
    """

    def __init__(
        self, host: str, port: int, key: str, channels: Sequence[str], seen: Callable[[str, str], None]
    ) -> None:
        self._host, self._port, self._key = host, port, key
        self._channels = tuple(channels)
        self._seen = seen
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.error: Exception | None = None
        self.last_seen = time.monotonic()

    def start(self) -> None:
        """Connect and subscribe. Raises :class:`WatcherError` unless all channels are confirmed in time."""
        self._thread.start()
        if not self._ready.wait(READY_S) or self.error is not None:
            self.stop()
            raise WatcherError(f"cannot subscribe: {self.error or 'no answer in time'}")

    def stop(self) -> None:
        """Close the connection and end the thread."""
        self._stop.set()
        self._thread.join(READY_S)

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._watch()
        except (OSError, ConnectionClosed, ValueError, KeyError, WatcherError) as error:
            if not self._stop.is_set():
                self.error = error
        finally:
            self._ready.set()

    def _watch(self) -> None:
        # A socket of our own: the client would otherwise go through the environment's proxy.
        raw = socket.create_connection((self._host, self._port), timeout=READY_S)
        url = f"ws://{self._host}:{self._port}/app/{quote(self._key, safe='')}?protocol=7&client=watcher&version=1"
        with connect(url, sock=raw, max_size=MAX_MESSAGE_BYTES, compression=None, open_timeout=READY_S) as ws:
            waiting = set(self._channels)
            while not self._stop.is_set():
                try:
                    frame = json.loads(ws.recv(timeout=0.2))
                except TimeoutError:
                    continue
                event = frame["event"]
                if not event.startswith("pusher"):
                    self.last_seen = time.monotonic()
                    self._seen(frame["channel"], frame["data"])
                elif event == "pusher:connection_established":
                    for channel in self._channels:
                        ws.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
                elif event == "pusher_internal:subscription_succeeded":
                    waiting.discard(frame["channel"])
                    if not waiting:
                        self._ready.set()
                elif event == "pusher:ping":
                    ws.send('{"event":"pusher:pong","data":{}}')
                elif event == "pusher:error":
                    raise WatcherError("refused by the server")
