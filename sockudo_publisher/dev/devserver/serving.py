"""uvicorn around the server: listens, notes connections, stops listening for a while when a fault wants it."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import ServerApp
from .connections import Connections
from .core import Core, CoreControl
from .gathering import GatheringTransport

__all__ = ["LoopControl", "Serving", "listen"]

#: Bytes of one frame of a client.
MAX_FRAME_BYTES = 16 << 20
#: Connections that may wait to be accepted: clients make one for each request.
BACKLOG = 1024
#: Seconds that requests have to end when the server stops.
SHUTDOWN_S = 1
#: Seconds between two looks whether the grace period is to end early.
DRAIN_POLL_S = 0.05
#: Seconds that the server's thread has for an order of another.
ORDER_S = 10.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class Serving(uvicorn.Server):
    """One run of the server, on a socket that listens. ``on_ready`` is called in its loop."""

    def __init__(self, core: Core, app: ServerApp, connections: Connections, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_noting(connections),
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                # The default uses an interface that websockets has deprecated.
                ws="websockets-sansio",
                ws_max_size=MAX_FRAME_BYTES,
                # The protocol has pings of its own.
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        self._core = core
        self._app = app
        self._on_ready = on_ready
        self._accepting_again: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._address: tuple[str, int] = ("", 0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, and then say that it is ready."""
        await super().startup(sockets)
        if sockets:
            self._address = sockets[0].getsockname()[:2]
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse for the grace period, close the WebSockets as the real server does, then stop as uvicorn does."""
        if self._core.config.shutdown_grace_s:
            await self._drain(self._core.config.shutdown_grace_s)
        for server in self.servers:
            server.close()
        self.close_websockets()
        await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def close_websockets(self) -> None:
        """Close every connection of a subscriber with 4200. In the loop."""
        self._app.websockets.close_all()

    async def _drain(self, seconds: int) -> None:
        """Answer 503 for this time, or until Ctrl-C is pressed a second time."""
        self._core.is_draining = True
        self.close_websockets()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(DRAIN_POLL_S)

    def refuse(self, seconds: float | None) -> None:
        """Close the listening socket; with ``seconds``, listen again after them. In the loop."""
        for server in self.servers:
            server.close()
        if seconds is not None:
            self._accepting_again = asyncio.get_running_loop().call_later(seconds, self.accept)

    def accept(self) -> None:
        """Listen again on the same port, if it was closed. In the loop."""
        if self._accepting_again is not None:
            self._accepting_again.cancel()
            self._accepting_again = None
        if self.should_exit or any(server.is_serving() for server in self.servers):
            return
        listener = listen(*self._address)  # from here on clients can connect
        protocol: Any = self.config.http_protocol_class
        make = functools.partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

        async def serve() -> None:
            loop = asyncio.get_running_loop()
            self.servers = [await loop.create_server(make, sock=listener, backlog=BACKLOG)]

        task = asyncio.get_running_loop().create_task(serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class LoopControl(CoreControl):
    """What faults do at once, from any thread: it is done in the server's loop, while that runs."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self.serving: Serving | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def attach(self, serving: Serving) -> None:
        """The run that has begun, in this thread."""
        self.serving, self.loop, self._thread = serving, asyncio.get_running_loop(), threading.current_thread()

    def detach(self) -> None:
        """It has ended."""
        self.serving = self.loop = self._thread = None

    def forget_ids(self) -> None:
        """Empty the dedup memory."""
        self._do(super().forget_ids)

    def shrink_memory(self, capacity: int) -> None:
        """Keep at most this number of ids."""
        self._do(functools.partial(super().shrink_memory, capacity))

    def reset(self) -> None:
        """Make the server as new: its connections are closed, nothing is remembered."""
        self._do(self._reset)

    def _reset(self) -> None:
        self._core.reset()
        if self.serving is not None:
            self.serving.close_websockets()

    def refuse(self, seconds: float | None) -> None:
        """Refuse connections."""
        serving = self.serving
        if serving is None:
            raise ValueError("refuse: the server does not run")
        self._do(lambda: serving.refuse(seconds))

    def accept(self) -> None:
        """Accept them again."""
        serving = self.serving
        if serving is not None:
            self._do(serving.accept)

    def _do(self, action: Callable[[], None]) -> None:
        loop = self.loop
        if loop is None or threading.current_thread() is self._thread:
            action()
            return
        done: Future[None] = Future()

        def run() -> None:
            try:
                action()
            except BaseException as problem:  # noqa: BLE001 -- raised where the order came from
                done.set_exception(problem)
            else:
                done.set_result(None)

        loop.call_soon_threadsafe(run)
        done.result(ORDER_S)


def _noting(connections: Connections) -> type[H11Protocol]:
    """The HTTP protocol, telling of its connections, with gathered writes."""

    class Noting(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            gathering = GatheringTransport(transport)
            super().connection_made(gathering)
            connections.add(gathering)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.remove(self.transport)
            super().connection_lost(exc)

    return Noting
