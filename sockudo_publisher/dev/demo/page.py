"""The web server of the board: one page and one snapshot, for this machine only.

Starlette under uvicorn, in a thread. The page's events do not pass through here: it takes them from
Sockudo over its own WebSocket.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

__all__ = ["HOST", "PageServer", "bind_from", "page_app"]

HOST = "127.0.0.1"
#: Ports tried from the wished one on, before the system chooses.
PORTS_TRIED = 50
#: Seconds for the server to start, and to end.
START_S, STOP_S = 10.0, 3.0


def page_app(snapshot: Callable[[], dict[str, Any]], ws_port: int) -> Starlette:
    """The application: ``/`` and ``/board.json``. ``ws_port`` is where the page may open a WebSocket."""
    html = (resources.files("sockudo_publisher.dev.demo") / "page" / "board.html").read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": _policy(html, ws_port), "Cache-Control": "no-store"}

    async def page(_request: Request) -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    async def board(_request: Request) -> JSONResponse:
        return JSONResponse(snapshot(), headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[Route("/", page), Route("/board.json", board)],
        middleware=[
            # A page elsewhere must not read this one under a name that it has pointed at 127.0.0.1.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(GZipMiddleware),
        ],
    )


def _policy(html: str, ws_port: int) -> str:
    """The Content-Security-Policy: only the page's own script and style, and one WebSocket."""

    def sources(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
        return " ".join(f"'sha256-{digest}'" for digest in hashes)

    return (
        f"default-src 'none'; script-src {sources('script')}; style-src {sources('style')}; img-src data:; "
        f"connect-src 'self' ws://{HOST}:{ws_port} ws://localhost:{ws_port}; base-uri 'none'; frame-ancestors 'none'"
    )


def bind_from(wished: int) -> socket.socket:
    """A socket on ``wished``, else on the next free port. Bound at once, so no other program can take it."""
    for port in (*range(wished, min(wished + PORTS_TRIED, 65536)), 0):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Not SO_REUSEADDR's other meaning, stealing: on Linux it only forgives TIME_WAIT.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
            bound.listen(128)
        except OSError:
            bound.close()
            continue
        return bound
    raise OSError("no free port for the page")


class PageServer:
    """The page's server, in a thread, between ``__enter__`` and ``__exit__``."""

    def __init__(self, app: Starlette, bound: socket.socket) -> None:
        self._socket = bound
        self.port: int = bound.getsockname()[1]
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1, ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="page", daemon=True)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> PageServer:
        self._thread.start()
        until = time.monotonic() + START_S
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                self.__exit__()
                raise RuntimeError("the page's server did not start")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_S)
        with suppress(OSError):
            self._socket.close()
