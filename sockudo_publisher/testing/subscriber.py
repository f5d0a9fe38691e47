"""A subscriber for tests: what a browser would get, with waits and assertions. Built on ``dev.subscriber``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ..client.sockudo import Sockudo
from ..config.settings import get_settings
from ..errors import ConfigurationError, SockudoConnectionError, ValidationError
from .event import subscriber_data
from .extra import require_extra

__all__ = ["AsyncSubscriber", "EventSubscriber", "ReceivedEvent", "Subscriber"]

#: Seconds that a wait takes at most, on a machine with a lot to do.
TIMEOUT_S = 30.0
#: Seconds in which nothing may come, for ``assert_nothing_more``.
QUIET_S = 0.25
_POLL_S = 0.005


class ServerLike(Protocol):
    """A server of this package's: embedded or real."""

    @property
    def url(self) -> str:
        """``SOCKUDO_URL``."""

    def ws_url(self) -> str:
        """Where subscribers connect."""


@dataclass(frozen=True)
class ReceivedEvent:
    """One event as a subscriber got it: ``data`` decrypted and parsed. ``at``: monotonic seconds of its arrival."""

    channel: str
    name: str
    data: Any
    at: float


class EventSubscriber:
    """One connection to ``server`` with any number of channels, closed with its block.

    It signs for private and presence channels itself, with the app's secret; ``user`` is the member of presence
    channels. ``authorize(channel, socket_id)`` asks your own endpoint instead, and returns its answer. ``master_key``:
    base64, to decrypt; by default that of the settings.

    Raises :class:`SockudoConnectionError` without a server, and ``SubscriptionRefused``.
    """

    def __init__(
        self,
        server: ServerLike,
        *channels: str,
        user: Mapping[str, Any] | None = None,
        authorize: Callable[[str, str], Mapping[str, Any]] | None = None,
        master_key: str | None = None,
    ) -> None:
        require_extra("Subscriber")
        from ..dev import subscriber

        if master_key is None:
            with suppress(ConfigurationError):
                master_key = get_settings().encryption_master_key_base64
        self._client = Sockudo.from_url(server.url, encryption_master_key_base64=master_key)
        self._user = {"user_id": "1"} if user is None else dict(user)
        self._authorize = authorize
        self._waiting: list[ReceivedEvent] = []
        self._connection = subscriber.Subscriber(server.ws_url())
        try:
            self.subscribe(*channels)
        except BaseException:
            self.close()
            raise

    @property
    def socket_id(self) -> str:
        """Of this connection: an event with it as ``socket_id=`` is not sent here."""
        return self._connection.socket_id

    def subscribe(self, *channels: str) -> None:
        """Subscribe, and wait until the server has confirmed each. Raises ``SubscriptionRefused``."""
        for channel in channels:
            auth: Mapping[str, Any] = {}
            if self._authorize is not None and channel.startswith(("presence-", "private-")):
                auth = self._authorize(channel, self.socket_id)
            elif channel.startswith("presence-"):
                auth = self._client.authenticate(channel, self.socket_id, self._user)
            elif channel.startswith("private-"):
                auth = self._client.authenticate(channel, self.socket_id)
            self._connection.subscribe(channel, auth=auth.get("auth"), channel_data=auth.get("channel_data"))

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe, and wait until the server has done it."""
        self._connection.unsubscribe(channel)

    def wait_for(
        self, channel: str | None = None, name: str | None = None, *, count: int = 1, timeout_s: float = TIMEOUT_S
    ) -> list[ReceivedEvent]:
        """Wait for the next ``count`` events, of a channel or name if given; returns them, oldest first.

        Each event is returned once: a second call waits for further ones. Raises :class:`AssertionError` with what came
        instead, after ``timeout_s``.
        """
        __tracebackhide__ = True
        until = time.monotonic() + timeout_s
        while True:
            found = [event for event in self._received() if _fits(event, channel, name)]
            if len(found) >= count:
                for event in found[:count]:
                    self._waiting.remove(event)
                return found[:count]
            if time.monotonic() > until:
                what = " ".join(filter(None, [f"{count} events", channel and f"on {channel!r}", name and repr(name)]))
                raise AssertionError(f"waited {timeout_s:g} s for {what}, {len(found)} came\n{self._listed()}")
            if self._connection.error is not None:
                raise AssertionError(f"the connection has ended: {self._connection.error}\n{self._listed()}")
            time.sleep(_POLL_S)

    def assert_nothing_more(self, channel: str | None = None, *, quiet_s: float = QUIET_S) -> None:
        """Nothing has come, or comes within ``quiet_s``, that :meth:`wait_for` has not returned."""
        __tracebackhide__ = True
        with suppress(SockudoConnectionError):
            self._connection.ping()  # what the server has sent before is here now
        until = time.monotonic() + quiet_s
        while True:
            if any(_fits(event, channel, None) for event in self._received()):
                raise AssertionError(f"expected nothing more{f' on {channel!r}' if channel else ''}\n{self._listed()}")
            if time.monotonic() > until:
                return
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._client.close()

    def __enter__(self) -> EventSubscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _received(self) -> list[ReceivedEvent]:
        for event in self._connection.pop_events():
            data = event.data if isinstance(event.data, str) else json.dumps(event.data)
            try:
                shown = subscriber_data(data, event.channel, self._client.encoder.channel_secret)
            except ValidationError:
                shown = data
            self._waiting.append(ReceivedEvent(event.channel, event.event, shown, event.at))
        return self._waiting.copy()

    def _listed(self) -> str:
        events = self._received()
        lines = [f"  {number}. {one.channel!r} {one.name!r} data={one.data!r}" for number, one in enumerate(events, 1)]
        return "\n".join([f"received ({len(events)}):" if events else "received: nothing", *lines])


#: The public name. The class has another one than that of the room ``dev``, which it uses.
Subscriber = EventSubscriber


class AsyncSubscriber:
    """:class:`Subscriber` for coroutines: ``async with AsyncSubscriber(server, "orders") as subscriber``."""

    def __init__(self, server: ServerLike, *channels: str, **options: Any) -> None:
        self._arguments = server, channels, options
        self._subscriber: EventSubscriber | None = None

    @property
    def socket_id(self) -> str:
        """Of this connection."""
        return self._connected.socket_id

    async def subscribe(self, *channels: str) -> None:
        """As :meth:`Subscriber.subscribe`."""
        await asyncio.to_thread(self._connected.subscribe, *channels)

    async def unsubscribe(self, channel: str) -> None:
        """As :meth:`Subscriber.unsubscribe`."""
        await asyncio.to_thread(self._connected.unsubscribe, channel)

    async def wait_for(
        self, channel: str | None = None, name: str | None = None, *, count: int = 1, timeout_s: float = TIMEOUT_S
    ) -> list[ReceivedEvent]:
        """As :meth:`Subscriber.wait_for`."""
        return await asyncio.to_thread(self._connected.wait_for, channel, name, count=count, timeout_s=timeout_s)

    async def assert_nothing_more(self, channel: str | None = None, *, quiet_s: float = QUIET_S) -> None:
        """As :meth:`Subscriber.assert_nothing_more`."""
        await asyncio.to_thread(self._connected.assert_nothing_more, channel, quiet_s=quiet_s)

    async def close(self) -> None:
        """Close the connection."""
        if self._subscriber is not None:
            await asyncio.to_thread(self._subscriber.close)

    async def __aenter__(self) -> AsyncSubscriber:
        server, channels, options = self._arguments
        self._subscriber = await asyncio.to_thread(EventSubscriber, server, *channels, **options)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def _connected(self) -> EventSubscriber:
        if self._subscriber is None:
            raise RuntimeError("AsyncSubscriber: not connected, use `async with`")
        return self._subscriber


def _fits(event: ReceivedEvent, channel: str | None, name: str | None) -> bool:
    return channel in (None, event.channel) and name in (None, event.name)
