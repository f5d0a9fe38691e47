"""``POST /events`` and ``/batch_events``: decode, publish, and spoil it where a fault is due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import assert_never

from .answers import json_answer
from .connections import Connections
from .core import Core
from .decoding import check_content_type, decode_batch, decode_event
from .faults import Fault
from .publishing import Spoiled, Stopped
from .refusal import Refusal

__all__ = ["PublishApi", "wait_for_departure"]

#: What ``garbage`` answers: no JSON, and no answer of this server.
GARBAGE = b"\x00<html>\xff{"


class PublishApi:
    """The two calls. ``read`` gives the app that signed a request, and the body."""

    def __init__(
        self, core: Core, connections: Connections, read: Callable[[Request], Awaitable[tuple[str, bytes]]]
    ) -> None:
        self._core = core
        self._connections = connections
        self._read = read

    async def handle(self, request: Request, *, is_batch: bool) -> Response | None:
        """The answer; ``None`` if the connection is gone instead."""
        fault = self._core.faults.take()
        if fault is None:
            return json_answer(await self._publish(request, is_batch, Spoiled()))
        self._core.log.count_fault(fault.name)
        return await self._spoil(fault, request, is_batch)

    async def _publish(self, request: Request, is_batch: bool, spoiled: Spoiled) -> Any:
        app_id, body = await self._read(request)
        check_content_type(request.headers.get("content-type", ""))
        if self._core.is_draining:
            raise Refusal(503, "draining", "Server is draining", retry_after=self._core.config.shutdown_grace_s)
        publisher = self._core.publishers[app_id]
        header = request.headers.get("x-idempotency-key")
        key = header if header is not None and header.isascii() else None
        if is_batch:
            return await publisher.publish_batch(decode_batch(body), key, spoiled)
        return await publisher.publish(decode_event(body), key, spoiled)

    async def _spoil(self, fault: Fault, request: Request, is_batch: bool) -> Response | None:
        match fault.name:
            case "hang":
                gone = asyncio.ensure_future(wait_for_departure(request))
                await asyncio.wait([gone], timeout=fault.seconds)
                gone.cancel()
            case "delay":
                await asyncio.sleep(fault.seconds or 0)
                return json_answer(await self._publish(request, is_batch, Spoiled()))
            case "lose_requests":
                await request.body()
            case "lose_answers":
                await self._publish(request, is_batch, Spoiled())
            case "reset":
                self._connections.drop(request.scope, resets=True)
            case "stop_in_batch":
                with suppress(Stopped):
                    await self._publish(request, is_batch, Spoiled(stop_at=fault.item))
            case "answer":
                await request.body()
                raise Refusal(fault.status, "fault", "A fault was asked for", retry_after=fault.retry_after)
            case "garbage":
                await self._publish(request, is_batch, Spoiled())
                return Response(GARBAGE, 200, media_type="application/json")
            case "fail_item":
                spoiled = Spoiled(fail_at=fault.item, status=fault.status)
                return json_answer(await self._publish(request, is_batch, spoiled))
            case _:
                assert_never(fault.name)
        self._connections.drop(request.scope)
        await wait_for_departure(request)
        return None


async def wait_for_departure(request: Request) -> None:
    """Read until the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
