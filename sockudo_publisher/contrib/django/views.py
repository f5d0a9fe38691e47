"""pusher-js' two endpoints: may this socket subscribe (``auth``), and who is it (``user_auth``)?

The user is the session's, so each request needs Django's CSRF token, whatever the project's middleware is. With another
kind of authentication (a token in a header), call :func:`auth_response` from a view of your own: docs/django.md.
``aauth`` and ``user_aauth`` are the same as coroutines, for ASGI.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware

from ...client.sockudo import Sockudo
from ...client.wire.form import MAX_FORM_BYTES
from ...errors import ConfigurationError
from ...wiring.app import app_named
from ..permissions import (
    HEADERS,
    Answer,
    Registry,
    authorize,
    authorize_async,
    default_registry,
    sign_in,
    sign_in_async,
)
from .bodies import read_body, refuse
from .setting import django_setting

__all__ = [
    "aauth",
    "aauth_response",
    "auth",
    "auth_response",
    "user_aauth",
    "user_aauth_response",
    "user_auth",
    "user_auth_response",
]

FORM_TYPE = "application/x-www-form-urlencoded"


class _CsrfCheck(CsrfViewMiddleware):  # type: ignore[misc]
    """Django's check; the reason of a refusal in place of a page."""

    def _reject(self, _request: HttpRequest, reason: str) -> Any:
        return reason


def auth(request: HttpRequest, app: str | None = None) -> HttpResponse:
    """Authorize a subscription of the session's user. ``app``: a name in ``SOCKUDO_APPS``."""
    return _refuse_request(request) or auth_response(request, getattr(request, "user", None), app=app)


async def aauth(request: HttpRequest, app: str | None = None) -> HttpResponse:
    """As :func:`auth`, as a coroutine."""
    refused = await sync_to_async(_refuse_request)(request)
    return refused or await aauth_response(request, getattr(request, "user", None), app=app)


def user_auth(request: HttpRequest, app: str | None = None) -> HttpResponse:
    """Sign the session's user in (``pusher.signin()``)."""
    return _refuse_request(request) or user_auth_response(request, getattr(request, "user", None), app=app)


async def user_aauth(request: HttpRequest, app: str | None = None) -> HttpResponse:
    """As :func:`user_auth`, as a coroutine."""
    refused = await sync_to_async(_refuse_request)(request)
    return refused or await user_aauth_response(request, getattr(request, "user", None), app=app)


# They check the token themselves, so that the answer is JSON. No decorator: Django 4.2's hide a coroutine.
for _view in (auth, aauth, user_auth, user_aauth):
    vars(_view)["csrf_exempt"] = True


# -- for views that know the user by other means ---------------------------------------------------------


def auth_response(
    request: HttpRequest, user: object, *, app: str | None = None, registry: Registry = default_registry
) -> HttpResponse:
    """The answer to a channel authorization of ``user``, whom the caller has authenticated. Checks no CSRF token.

    200 with the signature; 400 malformed form; 401 no user; 403 not allowed; 413, 415 no form of pusher-js.
    """
    body = _read_form(request)
    if isinstance(body, HttpResponse):
        return body
    return _respond(authorize(registry, _client(app), body, user, call_async=_run_async))


async def aauth_response(
    request: HttpRequest, user: object, *, app: str | None = None, registry: Registry = default_registry
) -> HttpResponse:
    """As :func:`auth_response`, as a coroutine. Synchronous permission functions run by ``sync_to_async``."""
    body = await sync_to_async(_read_form)(request)
    if isinstance(body, HttpResponse):
        return body
    return _respond(await authorize_async(registry, _client(app), body, user, call_sync=_run_sync))


def user_auth_response(request: HttpRequest, user: object, *, app: str | None = None) -> HttpResponse:
    """The answer to a sign-in of ``user``. ``SOCKUDO["USER_DATA"]`` says what is signed (default: the id)."""
    body = _read_form(request)
    if isinstance(body, HttpResponse):
        return body
    return _respond(sign_in(_client(app), body, user, django_setting().user_data, call_async=_run_async))


async def user_aauth_response(request: HttpRequest, user: object, *, app: str | None = None) -> HttpResponse:
    """As :func:`user_auth_response`, as a coroutine."""
    body = await sync_to_async(_read_form)(request)
    if isinstance(body, HttpResponse):
        return body
    return _respond(await sign_in_async(_client(app), body, user, django_setting().user_data, call_sync=_run_sync))


def _refuse_request(request: HttpRequest) -> HttpResponse | None:
    """The answer to a request that is no POST of a form with a CSRF token; else ``None``, and the user is loaded."""
    if request.method != "POST":
        refused = refuse(405, "expected POST")
        refused["Allow"] = "POST"
        return refused
    body = _read_form(request)
    if isinstance(body, HttpResponse):
        return body
    check = _CsrfCheck(lambda _request: HttpResponse())
    check.process_request(request)
    if reason := check.process_view(request, None, (), {}):
        return refuse(403, f"{reason} pusher-js: channelAuthorization.headers with {_csrf_header()}")
    # A lazy object, which reads the session and the database here: not later, in a coroutine.
    getattr(getattr(request, "user", None), "is_authenticated", False)
    return None


def _csrf_header() -> str:
    name: str = settings.CSRF_HEADER_NAME
    return name.removeprefix("HTTP_").replace("_", "-")


def _read_form(request: HttpRequest) -> bytes | HttpResponse:
    if request.content_type not in ("", FORM_TYPE):
        return refuse(415, f"Content-Type: expected {FORM_TYPE}")
    return read_body(request, MAX_FORM_BYTES)


def _client(app: str | None) -> Sockudo:
    try:
        return app_named(app).client
    except ConfigurationError as error:
        raise ImproperlyConfigured(str(error)) from None


def _respond(answer: Answer) -> HttpResponse:
    return JsonResponse(answer.body, status=answer.status, headers=dict(HEADERS))


def _run_async(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return async_to_sync(function)()


def _run_sync(function: Callable[[], Any]) -> Any:
    return sync_to_async(function)()
