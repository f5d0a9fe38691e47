"""Endpoints for Starlette, and what FastAPI's router shares with them.

.. code-block:: python

    from sockudo_publisher.contrib.starlette import routes

    app = Starlette(routes=[Mount("/pusher", routes=routes(may_join, user_data=user_data))])
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..client.sockudo import Sockudo
from ..client.wire.form import MAX_FORM_BYTES
from ..config.settings import get_settings
from ..wiring.app import app_named
from .endpoints import MAX_DROPPED_BYTES, Endpoints
from .permissions import HEADERS, Answer, Registry, apps_with_one_secret, refuse_errors
from .permissions.ask import TIMEOUT_S
from .permissions.authorize import UserData
from .permissions.registry import PermissionFunction
from .webhooks import MAX_WEBHOOK_BYTES, WebhookHandler, WebhookHandlers

__all__ = ["Permissions", "as_permissions", "json_response", "lifespan", "read_body", "routes", "user_of_request"]

#: One permission function, a registry, or several of them; ``None``: the default registry.
Permissions: TypeAlias = Registry | PermissionFunction | Sequence[Registry | PermissionFunction] | None

#: ``user(request)``: the user of a request, or ``None``; synchronous (it must not block) or a coroutine function.
UserOfRequest: TypeAlias = Callable[[Request], Any]


def user_of_request(request: Request) -> Any:
    """The user that ``AuthenticationMiddleware`` found (``request.user``); ``None`` without it."""
    return request.scope.get("user")


async def read_body(request: Request, limit: int) -> bytes | None:
    """The body, or ``None`` if it is longer than ``limit`` bytes.

    The rest is read and dropped, up to 32 MiB: a client that is still sending sees a reset in place of the answer.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > MAX_DROPPED_BYTES:
            break
    return b"".join(chunks) if size <= limit else None


def json_response(answer: Answer) -> Response:
    """The answer as a response."""
    return JSONResponse(answer.body, answer.status, headers=dict(HEADERS))


def as_permissions(permissions: Permissions) -> Sequence[Registry | PermissionFunction]:
    """The sources of a registry."""
    if permissions is None:
        return ()
    if isinstance(permissions, Registry) or callable(permissions):
        return (permissions,)
    return tuple(permissions)


def routes(
    may_join: Permissions = None,
    *,
    user: UserOfRequest = user_of_request,
    user_data: UserData | None = None,
    webhooks: WebhookHandlers | WebhookHandler | None = None,
    app: str | None = None,
    client: Sockudo | None = None,
    allow_anonymous: bool = False,
    timeout_s: float = TIMEOUT_S,
    webhook_credentials: Sequence[tuple[str, str]] = (),
    webhook_max_age_s: float | None = None,
) -> list[Route]:
    """Routes for ``Starlette(routes=...)``: ``/auth``, and ``/user-auth`` and ``/webhook`` where they have a function.

    ``may_join``: permission functions or registries; by default all that ``@channel`` decorates. ``user(request)``: the
    user, by default ``request.user``. ``timeout_s``: seconds for the permission functions of a request. Others:
    :class:`Endpoints`. A malformed form is answered 400, one above 64 KiB and a webhook above 4 MiB 413. Raises
    ``ConfigurationError`` for patterns that overlap.
    """
    endpoints = Endpoints(
        permissions=as_permissions(may_join),
        user_data=user_data,
        webhooks=webhooks,
        app=app,
        client=client,
        allow_anonymous=allow_anonymous,
        timeout_s=timeout_s,
        webhook_credentials=webhook_credentials,
        webhook_max_age_s=webhook_max_age_s,
    )

    async def auth(request: Request) -> Response:
        body = await read_body(request, MAX_FORM_BYTES)
        if body is None:
            return json_response(too_large(MAX_FORM_BYTES))
        return json_response(await endpoints.authorize_async(body, await _user(request)))

    async def user_auth(request: Request) -> Response:
        body = await read_body(request, MAX_FORM_BYTES)
        if body is None:
            return json_response(too_large(MAX_FORM_BYTES))
        return json_response(await endpoints.sign_in_async(body, await _user(request)))

    async def webhook(request: Request) -> Response:
        body = await read_body(request, MAX_WEBHOOK_BYTES)
        if body is None:
            return json_response(too_large(MAX_WEBHOOK_BYTES))
        return json_response(await endpoints.receive_webhook_async(request.headers, body))

    async def _user(request: Request) -> Any:
        found = user(request)
        return await found if inspect.isawaitable(found) else found

    found = [Route("/auth", auth, methods=["POST"], name="sockudo-auth")]
    if endpoints.has_sign_in:
        found.append(Route("/user-auth", user_auth, methods=["POST"], name="sockudo-user-auth"))
    if endpoints.has_webhooks:
        found.append(Route("/webhook", webhook, methods=["POST"], name="sockudo-webhook"))
    return found


def too_large(limit: int) -> Answer:
    """413."""
    return Answer(413, {"error": f"body: limit {limit} bytes"})


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:  # noqa: ARG001 -- frameworks give it
    """Check the settings when the application starts, so that it does not start without them.

    Raises ``ConfigurationError`` for a missing or malformed ``SOCKUDO_URL``; logs a warning for apps with one secret.
    Events of ``publish.adelay`` that wait are stored at the end of the process, with or without this. In a lifespan of
    your own: ``async with lifespan(app): yield``.
    """
    settings = get_settings()
    for name in settings.app_urls() or (None,):
        app_named(name).client  # noqa: B018 -- made here
    refuse_errors(apps_with_one_secret(settings))
    yield
