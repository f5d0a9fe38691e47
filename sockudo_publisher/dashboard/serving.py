"""Serves the application on a port of its own, until a signal ends it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

__all__ = ["bind", "serve"]

#: Connections at the same time; a further one gets 503.
MAX_CONNECTIONS: Final = 200

#: Seconds between two checks whether the server has started, and whether it still runs; for requests at the end.
START_LOOK_S, LOOK_S, STOP_S = 0.01, 0.2, 3.0


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: any free one. Raises :class:`OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except BaseException:
        bound.close()
        raise
    return bound


def serve(app: ASGIApp, bound: socket.socket, announce: Callable[[], object]) -> bool:
    """Serve until SIGINT, SIGTERM or SIGHUP; ``False``: the server ended by itself. Closes the socket.

    ``announce`` is called when a request is answered and a signal ends the server. Call it in the main thread.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        # What a proxy says of its client is not believed: who is on this machine is decided by the connection.
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # In a thread uvicorn leaves the signals alone: it would raise them again at its end.
    thread = threading.Thread(target=server.run, args=([bound],), name="dashboard", daemon=True)
    try:
        thread.start()
        while thread.is_alive() and not server.started and not ended.wait(START_LOOK_S):
            pass
        if server.started:
            announce()
        while thread.is_alive() and not ended.wait(LOOK_S):
            pass
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        bound.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    return ended.is_set()
