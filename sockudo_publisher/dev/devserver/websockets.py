"""WebSockets: who may connect, and the two loops of a connection. The session says what its frames mean."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from .config import AppConfig
from .core import Core
from .frames import PING, error
from .origins import is_allowed_origin, matches_pattern
from .query_string import protocol_of
from .refusal import Refusal, TextRefusal, not_here
from .session import Session
from .state import AppState

__all__ = ["WebSockets"]

#: Seconds that a client has to answer a ping, and to answer a close.
PONG_TIMEOUT_S = 30
# Close codes of the protocol (docs/server.md, 12).
UNKNOWN_APP, TOO_MANY, UNAUTHORIZED, TOO_SLOW, NO_PONG, RESTARTING = 4001, 4004, 4009, 4100, 4201, 4200


class WebSockets:
    """The connections of all apps."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def serve(self, websocket: WebSocket, key: str) -> None:
        """``/app/{key}``: protocol 7, or any number except 2."""
        if self._core.is_draining:
            await refuse(websocket, TextRefusal(503, ""))
            return
        try:
            if protocol_of(websocket.scope["query_string"].decode("latin-1")) == 2:
                raise not_here("protocol 2")
        except Refusal as refusal:
            await refuse(websocket, refusal)
            return
        app = self._core.config.app_by_key(key)
        complaint = self._complaint(websocket, app)
        await websocket.accept()
        if app is None or complaint is not None:
            code, text = complaint or (UNKNOWN_APP, "Application key not found or invalid")
            with suppress(WebSocketDisconnect, RuntimeError):
                await websocket.send_text(error(code, text))
                await websocket.close(code, text)
            return
        await self._converse(websocket, self._core.states[app.id])

    def _complaint(self, websocket: WebSocket, app: AppConfig | None) -> tuple[int, str] | None:
        """Why this client may not connect: a code and a text."""
        if app is None:
            # The real server closes the connection without an error (seen on 5.2.0). This one names a developer's
            # most likely mistake, with the protocol's code for it.
            return UNKNOWN_APP, "Application key not found or invalid"
        origin, host = websocket.headers.get("origin"), websocket.headers.get("host")
        config = self._core.config
        if app.allowed_origins:
            allowed = any(matches_pattern(origin or "", pattern) for pattern in app.allowed_origins)
        else:
            allowed = is_allowed_origin(origin, host, config.host, config.allow_origins)
        if not allowed:
            return UNAUTHORIZED, "Origin not allowed"
        limit = app.limits.max_connections
        if limit and len(self._core.states[app.id].registry.connections) >= limit:
            return TOO_MANY, "Application is over adapter quota"
        return None

    def close_all(self) -> None:
        """Close every connection, as a server that stops does."""
        for state in self._core.states.values():
            for socket in state.registry.connections:
                socket.close(RESTARTING, "Server shutting down")

    async def _converse(self, websocket: WebSocket, state: AppState) -> None:
        session = Session(state, activity_timeout_s=self._core.config.activity_timeout_s)
        sending = asyncio.create_task(_send(websocket, session))
        try:
            await self._receive(websocket, session)
        except WebSocketDisconnect:
            pass
        finally:
            session.end()
            sending.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sending

    async def _receive(self, websocket: WebSocket, session: Session) -> None:
        """Receive until the client disconnects, or does not answer a ping."""
        activity_s = float(self._core.config.activity_timeout_s)
        timeout_s, is_asked = activity_s, False
        while True:
            try:
                message = await asyncio.wait_for(websocket.receive(), timeout_s)
            except asyncio.TimeoutError:
                if session.closing is not None:
                    return
                if is_asked:
                    session.close(NO_PONG, "Pong reply not received in time")
                else:
                    session.put(PING)
                timeout_s, is_asked = PONG_TIMEOUT_S, True
                continue
            timeout_s, is_asked = activity_s, False
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            session.receive(text if text is not None else message.get("bytes") or b"")


async def refuse(websocket: WebSocket, refusal: Refusal) -> None:
    """Answer the handshake with a status instead of a connection."""
    response = Response(refusal.body(), refusal.status, media_type=refusal.media_type)
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close()


async def refuse_path(websocket: WebSocket) -> None:
    """No WebSocket is on this path."""
    await refuse(websocket, TextRefusal(404, "404 NOT FOUND"))


async def _send(websocket: WebSocket, session: Session) -> None:
    while True:
        for frame in await session.next_frames():
            await websocket.send_text(frame)
        if session.is_overrun:
            await websocket.close(TOO_SLOW, "Over capacity")
            return
        if session.closing is not None:
            await websocket.close(*session.closing)
            return
