"""The edge: requests and WebSockets in, answers out. The other modules of this room decide what they mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from ...redaction import package_logger
from . import history_api, query_api
from .answers import CORS, PREFLIGHT, json_answer, refusal_answer, with_server_headers
from .config import ServerConfig
from .connections import Connections
from .core import Core
from .decoding import check_content_type
from .dev_api import DevApi
from .health import memory_answer, stats_answer
from .publish_api import PublishApi
from .query_string import parameters_of
from .refusal import Refusal, TextRefusal
from .request_auth import authenticated_app
from .routes import route_of
from .websockets import WebSockets, refuse_path

__all__ = ["ServerApp", "create_app"]

#: Bytes of a request's body (``http_api.request_limit_in_mb`` = 10).
MAX_BODY_BYTES = 10 * 1024 * 1024

_log = package_logger(__name__)


def create_app(config: ServerConfig, *, clock: Callable[[], float] = time.monotonic) -> ASGIApp:
    """The ASGI application of a server with this configuration and an empty dedup memory.

    ``clock`` is what ids expire by, in seconds; requests are checked against the wall clock.
    """
    return ServerApp(Core(config, clock=clock))


class ServerApp:
    """The ASGI application around a core."""

    def __init__(self, core: Core, connections: Connections | None = None) -> None:
        self._core = core
        self.websockets = WebSockets(core)
        self._dev = DevApi(core)
        self._publishing = PublishApi(core, connections or Connections(), self._read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one WebSocket."""
        raw_path = (scope.get("raw_path") or scope.get("path", "/").encode()).partition(b"?")[0].decode("latin-1")
        if scope["type"] == "websocket":
            await self._websocket(WebSocket(scope, receive, send), raw_path)
        elif scope["type"] == "http":
            response = await self._answer(Request(scope, receive), raw_path)
            if response is not None:
                await with_server_headers(response, raw_path)(scope, receive, send)

    async def _websocket(self, websocket: WebSocket, raw_path: str) -> None:
        try:
            route = route_of("GET", raw_path)
        except Refusal:
            route = None
        if route is None or route.handler != "no_websocket":
            await refuse_path(websocket)
        else:
            await self.websockets.serve(websocket, route.names["appKey"])

    async def _answer(self, request: Request, raw_path: str) -> Response | None:
        try:
            if request.method == "OPTIONS" and not raw_path.startswith("/dev"):
                return Response(b"", 200, {**CORS, **PREFLIGHT})
            route = route_of(request.method, raw_path)
            return await self._handle(request, route.handler, route.names)
        except Refusal as refusal:
            self._core.log.count_refusal()
            return refusal_answer(refusal)
        except ClientDisconnect:
            return None
        except Exception:  # noqa: BLE001 -- any mistake in this server is one answer, and one line of the log
            _log.exception("request failed method=%s", request.method)
            return refusal_answer(Refusal(500, "internal_error", "Internal server error"))

    async def _handle(self, request: Request, handler: str, names: Mapping[str, str]) -> Response | None:
        app_id = names.get("appId")
        match handler:
            case "events" | "batch_events":
                return await self._publishing.handle(request, is_batch=handler == "batch_events")
            case "page" | "dev_state" | "dev_faults" | "dev_add_fault":
                return await self._handle_dev(request, handler)
            case "up" | "ready" | "accept_traffic" if self._core.is_draining:
                return Response("DRAINING", 503, {"X-Health-Check": "DRAINING"} if handler == "up" else None)
            case "up":
                known = app_id is None or self._core.config.app_by_id(app_id) is not None
                word = "OK" if known else "NOT_FOUND"
                return Response(word, 200 if known else 404, {"X-Health-Check": word})
            case "live":
                return Response(b"")
            case "ready":
                return Response("OK")
            case "accept_traffic":
                return Response("ACCEPTING")
            case "usage":
                return json_answer({"memory": memory_answer()})
            case "stats":
                return json_answer(stats_answer(self._core))
            case "no_websocket":
                raise TextRefusal(400, "Missing Upgrade header")
        app_id, body = await self._read(request)
        return json_answer(self._query(request, handler, names, app_id, body))

    async def _handle_dev(self, request: Request, handler: str) -> Response:
        self._dev.check_client(request)
        match handler:
            case "page":
                return self._dev.page()
            case "dev_state":
                return self._dev.state()
            case "dev_faults":
                return self._dev.faults()
            case _:
                return await self._dev.add_fault(request)

    def _query(
        self, request: Request, handler: str, names: Mapping[str, str], app_id: str, body: bytes
    ) -> dict[str, Any]:
        """The answers to signed requests that publish nothing."""
        state, query = self._core.states[app_id], request.scope["query_string"].decode("latin-1")
        channel = names.get("channelName", "")
        page_size = self._core.config.max_page_size
        match handler:
            case "channels":
                return query_api.channels_answer(state, parameters_of(query))
            case "channel":
                return query_api.channel_answer(state, channel, parameters_of(query))
            case "channel_users":
                return query_api.users_answer(state, channel)
            case "terminate_connections" | "force_reconnect":
                return query_api.close_user(state, names["userId"], handler)
            case "history":
                return history_api.history_page(history_api.history_of(state, channel), channel, query, page_size)
            case "history_state":
                return history_api.history_state(history_api.history_of(state, channel), channel)
            case "history_reset" | "history_purge":
                check_content_type(request.headers.get("content-type", ""))
                act = history_api.reset_history if handler == "history_reset" else history_api.purge_history
                return act(history_api.history_of(state, channel), channel, body)
        members = history_api.presence_history_of(state, channel)
        match handler:
            case "presence_history":
                return history_api.presence_page(members, channel, query, page_size)
            case "presence_history_state":
                return history_api.presence_state(members, channel)
            case "presence_history_snapshot":
                return history_api.presence_snapshot(members, channel, query)
            case _:
                check_content_type(request.headers.get("content-type", ""))
                return history_api.reset_history(members, channel, body)

    async def _read(self, request: Request) -> tuple[str, bytes]:
        """The id of the app that signed the request, and the body. Raises :class:`Refusal`."""
        body = await _body(request)
        raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
        path = raw_path.partition(b"?")[0].decode("latin-1")
        app = authenticated_app(
            self._core.config.app_by_key,
            method=request.method,
            path=path,
            app_id=path.split("/")[2],
            query=request.scope["query_string"].decode("latin-1"),
            body=body,
            now=self._core.now_s,
        )
        return app.id, body


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
