"""The router: FastAPI's dependencies find the user, its errors are what a refusal looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from ...client.sockudo import Sockudo
from ...client.wire.form import MAX_FORM_BYTES
from ..endpoints import Endpoints
from ..permissions import HEADERS, Answer
from ..permissions.ask import TIMEOUT_S
from ..permissions.authorize import UserData
from ..starlette import Permissions, as_permissions, json_response, read_body, too_large, user_of_request
from ..webhooks import MAX_WEBHOOK_BYTES, WebhookHandler, WebhookHandlers
from .shapes import CHANNEL_FORM, RESPONSES, SIGN_IN_FORM, WEBHOOK_BODY, AuthorizedChannel, BatchItem, SignedUser

__all__ = ["router"]


def _user_of_request(request: Request) -> Any:
    return user_of_request(request)


def router(
    may_join: Permissions = None,
    *,
    user: Callable[..., Any] = _user_of_request,
    user_data: UserData | None = None,
    webhooks: WebhookHandlers | WebhookHandler | None = None,
    app: str | None = None,
    client: Sockudo | None = None,
    allow_anonymous: bool = False,
    timeout_s: float = TIMEOUT_S,
    webhook_credentials: Sequence[tuple[str, str]] = (),
    webhook_max_age_s: float | None = None,
    prefix: str = "",
) -> APIRouter:
    """Routes ``/auth``, and ``/user-auth`` and ``/webhook`` where they have a function.

    ``may_join``: permission functions or registries; by default all that ``@channel`` decorates. ``user``: a dependency
    that gives the user of the request, or raises ``HTTPException``; by default ``request.user`` of Starlette's
    ``AuthenticationMiddleware``. ``user_data(user)``: what a sign-in signs, a mapping with ``id``. ``webhooks``:
    handlers. ``timeout_s``: seconds for the permission functions of a request. Others: :class:`Endpoints`.

    Answers: a malformed form 422 as FastAPI's own; no user 401; not allowed 403; a form above 64 KiB or a webhook above
    4 MiB 413; a webhook with a wrong signature 401. Raises ``ConfigurationError`` for patterns that overlap.
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
    made = APIRouter(prefix=prefix, tags=["sockudo"])

    @made.post(
        "/auth",
        name="sockudo-auth",
        summary="May a browser subscribe to a channel?",
        response_model=AuthorizedChannel | dict[str, BatchItem],
        responses=RESPONSES,
        openapi_extra=CHANNEL_FORM,
    )
    async def auth(request: Request, current: Any = Depends(user)) -> Response:  # noqa: B008 -- FastAPI's way
        return _response(await endpoints.authorize_async(await _form(request), current))

    if endpoints.has_sign_in:

        @made.post(
            "/user-auth",
            name="sockudo-user-auth",
            summary="Who is a browser's connection?",
            response_model=SignedUser,
            responses=RESPONSES,
            openapi_extra=SIGN_IN_FORM,
        )
        async def user_auth(request: Request, current: Any = Depends(user)) -> Response:  # noqa: B008
            return _response(await endpoints.sign_in_async(await _form(request), current))

    if endpoints.has_webhooks:

        @made.post(
            "/webhook",
            name="sockudo-webhook",
            summary="Sockudo reports what happened",
            responses={400: {}, 401: {}, 413: {}, 500: {}},
            openapi_extra=WEBHOOK_BODY,
        )
        async def webhook(request: Request) -> Response:
            body = await read_body(request, MAX_WEBHOOK_BYTES)
            if body is None:
                return _response(too_large(MAX_WEBHOOK_BYTES))
            return _response(await endpoints.receive_webhook_async(request.headers, body))

    return made


async def _form(request: Request) -> bytes:
    body = await read_body(request, MAX_FORM_BYTES)
    return body if body is not None else b" " * (MAX_FORM_BYTES + 1)


def _response(answer: Answer) -> Response:
    """The answer, or the error that FastAPI's handlers, and those of the application, make it from."""
    if answer.status == 200:
        return json_response(answer)
    message = str(answer.body.get("error", ""))
    if answer.status == 400 and answer.field is not None:
        location = ("body", answer.field)
        raise RequestValidationError([{"type": "value_error", "loc": location, "msg": message, "input": None}])
    raise HTTPException(answer.status, message, headers=dict(HEADERS))
