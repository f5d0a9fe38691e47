"""The edge: routes, bodies, headers, WebSockets. The other modules of this room decide what they mean."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from .config import AppConfig, ServerConfig
from .decoding import check_content_type, decode_batch, decode_event
from .dedup import DedupStore
from .frames import ACTIVITY_TIMEOUT_S, PING, error
from .publishing import Publisher
from .refusal import Refusal, TextRefusal
from .registry import Registry
from .request_auth import authenticated_app
from .session import Session

__all__ = ["create_app"]

#: Bytes of a request's body (``http_api.request_limit_in_mb`` = 10).
MAX_BODY_BYTES = 10 * 1024 * 1024
#: Seconds that a client has to answer a ping.
PONG_TIMEOUT_S = 30
# Close codes of the protocol (docs/server.md, 12).
UNKNOWN_APP, TOO_SLOW, NO_PONG = 4001, 4100, 4201

# The real server closes after every answer under /apps/, so this one does too.
_CLOSE = {"Connection": "close"}


def create_app(config: ServerConfig, *, clock: Callable[[], float] = time.monotonic) -> ASGIApp:
    """The ASGI application of a server with this configuration and an empty dedup memory.

    ``clock`` is what ids expire by, in seconds; requests are checked against the wall clock.
    """
    server = _Server(config, clock)
    routes = [
        Route("/up", server.up, methods=["GET"]),
        Route("/up/{app_id}", server.up, methods=["GET"]),
        Route("/apps/{app_id}/events", server.events, methods=["POST"]),
        Route("/apps/{app_id}/batch_events", server.batch_events, methods=["POST"]),
        WebSocketRoute("/app/{key}", server.websocket),
    ]
    app = Starlette(routes=routes, exception_handlers={Refusal: _refused, HTTPException: _unrouted})
    app.router.redirect_slashes = False
    return _StripSlash(app)


class _Server:
    """The handlers of all routes, with the state of all apps."""

    def __init__(self, config: ServerConfig, clock: Callable[[], float]) -> None:
        self._config = config
        dedup = DedupStore(config.dedup_ttl_s, config.dedup_capacity, clock)
        self._registries = {app.id: Registry() for app in config.apps}
        self._publishers = {app.id: Publisher(app, self._registries[app.id], dedup) for app in config.apps}

    async def up(self, request: Request) -> Response:
        """``/up``, ``/up/{app}``: OK, or NOT_FOUND for an unknown app. Not signed."""
        app_id = request.path_params.get("app_id")
        known = app_id is None or self._config.app_by_id(app_id) is not None
        word = "OK" if known else "NOT_FOUND"
        return Response(word, 200 if known else 404, {"X-Health-Check": word})

    async def events(self, request: Request) -> Response:
        """``POST /apps/{app}/events``."""
        app, body = await self._authenticated(request)
        check_content_type(request.headers.get("content-type", ""))
        return _answer(await self._publishers[app.id].publish(decode_event(body)))

    async def batch_events(self, request: Request) -> Response:
        """``POST /apps/{app}/batch_events``."""
        app, body = await self._authenticated(request)
        check_content_type(request.headers.get("content-type", ""))
        return _answer(await self._publishers[app.id].publish_batch(decode_batch(body)))

    async def websocket(self, websocket: WebSocket) -> None:
        """``/app/{key}``: protocol 7, or any number except 2."""
        if not _is_protocol_7(websocket.query_params.get("protocol")):
            refusal = Response("Failed to deserialize query string: protocol", 400, media_type="text/plain")
            await websocket.send_denial_response(refusal)
            return
        app = self._config.app_by_key(websocket.path_params["key"])
        await websocket.accept()
        if app is None:
            # The real server closes the connection without an error (seen on 5.2.0). This one names a developer's
            # most likely mistake, with the protocol's code for it.
            await websocket.send_text(error(UNKNOWN_APP, "Application key not found or invalid"))
            await websocket.close(UNKNOWN_APP)
            return
        session = Session(app, self._registries[app.id])
        sending = asyncio.create_task(_send(websocket, session))
        try:
            await _receive(websocket, session)
        except WebSocketDisconnect:
            pass
        finally:
            session.end()
            sending.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sending

    async def _authenticated(self, request: Request) -> tuple[AppConfig, bytes]:
        body = await _body(request)
        raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
        app = authenticated_app(
            self._config.app_by_key,
            method=request.method,
            path=raw_path.partition(b"?")[0].decode("latin-1"),
            app_id=request.path_params["app_id"],
            query=request.scope["query_string"].decode("latin-1"),
            body=body,
            now=time.time(),
        )
        return app, body


async def _body(request: Request) -> bytes:
    """The whole body, read to its end even where it is too long: an answer in mid-request would be lost."""
    body = bytearray()
    is_too_long = False
    async for chunk in request.stream():
        is_too_long = is_too_long or len(body) + len(chunk) > MAX_BODY_BYTES
        if not is_too_long:
            body += chunk
    if is_too_long:
        raise TextRefusal(413, "Failed to buffer the request body: length limit exceeded")
    return bytes(body)


async def _send(websocket: WebSocket, session: Session) -> None:
    while True:
        for frame in await session.next_frames():
            await websocket.send_text(frame)
        if session.is_overrun:
            await websocket.close(TOO_SLOW)
            return


async def _receive(websocket: WebSocket, session: Session) -> None:
    """Receive until the client disconnects, or does not answer a ping."""
    timeout_s = ACTIVITY_TIMEOUT_S
    while True:
        try:
            message = await asyncio.wait_for(websocket.receive(), timeout_s)
        except asyncio.TimeoutError:
            if timeout_s != ACTIVITY_TIMEOUT_S:
                await websocket.close(NO_PONG)
                return
            session.put(PING)
            timeout_s = PONG_TIMEOUT_S
            continue
        timeout_s = ACTIVITY_TIMEOUT_S
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") is not None:
            session.receive(message["text"])


def _is_protocol_7(protocol: str | None) -> bool:
    """Whether the number is a byte except 2 (another protocol); the real server accepts all of these."""
    return protocol is None or (
        protocol.isascii() and protocol.isdigit() and int(protocol) <= 255 and int(protocol) != 2
    )


def _answer(body: dict[str, Any]) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, 200, _CLOSE, "application/json")


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    headers = dict(_CLOSE)
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(refusal.body(), refusal.status, {**headers, "Content-Type": refusal.media_type})


async def _unrouted(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404:
        return Response("404 NOT FOUND", 404, media_type="text/plain")
    headers = {**(problem.headers or {}), **(_CLOSE if request.url.path.startswith("/apps/") else {})}
    return Response(b"", problem.status_code, headers)


class _StripSlash:
    """Remove one trailing slash of a path, for the routes and the signature."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path[:-1]}
        await self._app(scope, receive, send)
