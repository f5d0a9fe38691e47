"""The ASGI application: the page, its files, the form for the token, and the paths below ``/api/``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..config.kinds import KINDS
from ..config.settings import get_settings
from ..errors import ConfigurationError, JournalUnavailable, JournalUnreadable, SockudoError, ValidationError
from ..outbox.figures import ReadFigures
from ..redaction import package_logger
from ..redaction.frame_locals import clear_locals
from .access import LOOPBACK_NAMES, AccessRules, host_name
from .actions import ACTIONS, READS, Action
from .fields import MAX_BODY, RequestFields
from .guard import COOKIE, Guard
from .looking import LookReader
from .session import SESSION_S, Sessions, is_secure
from .watching import SharedLook

__all__ = ["asgi_app"]

logger = package_logger("sockudo_publisher.dashboard")

#: The files of the pages, with their types: no other file of the directory is served.
_FILES: Final = {
    "icon.svg": "image/svg+xml",
    "login.css": "text/css",
    "style.css": "text/css",
    "charts.js": "text/javascript",
    "dom.js": "text/javascript",
    "flow.js": "text/javascript",
    "letters.js": "text/javascript",
    "main.js": "text/javascript",
    "panels.js": "text/javascript",
    "records.js": "text/javascript",
    "server.js": "text/javascript",
}

#: Bytes of the form with the token.
_MAX_FORM: Final = 8192

#: In login.html: hides the text about a wrong token.
_HIDDEN: Final = " hidden"


def asgi_app(
    *,
    read_only: bool = False,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    takes_addresses: bool = False,
    outbox: Sequence[ReadFigures] = (),
) -> ASGIApp:
    """Make the dashboard, to be served alone or to be mounted in an application.

    ``token``: 16 to 512 characters, default ``SOCKUDO_DASHBOARD_TOKEN``. Without one, only requests from this machine
    to a loopback name, through no proxy, are answered. ``allowed_hosts``: further names, without ports, under which
    browsers reach it; ``takes_addresses``: any IP address too. Both need a token. ``read_only``: every action is
    refused with 403. ``outbox``: functions that count the rows of an outbox.

    Uses the settings of this process. Raises :class:`ConfigurationError` for a malformed token or host, and for a host
    without a token.
    """
    checked = get_settings().dashboard_token if token is None else KINDS["dashboard_token"].check(token, "token")
    sessions = Sessions(checked)
    names = [_checked_host(one) for one in allowed_hosts]
    if (takes_addresses or not LOOPBACK_NAMES.issuperset(names)) and not sessions.needs_token:
        raise ConfigurationError(
            "SOCKUDO_DASHBOARD_TOKEN: not set, needed where the dashboard is reached from other machines: 16 or more "
            "characters, as from `openssl rand -hex 32` (or SOCKUDO_DASHBOARD_TOKEN_FILE)"
        )
    rules = AccessRules(frozenset({*LOOPBACK_NAMES, *names}), takes_addresses, sessions.needs_token, read_only)
    look = SharedLook(LookReader(outbox).read)
    facts = {"is_read_only": read_only, "needs_token": sessions.needs_token}

    async def show_look(_request: Request) -> Response:
        seen = await look.get()
        return JSONResponse({**facts, "number": seen.number, "look": seen.value, "error": seen.error})

    routes = [
        Route("/", _page),
        Route("/login", _login_form(sessions), methods=["GET"]),
        Route("/login", _sign_in(sessions), methods=["POST"]),
        Route("/logout", _sign_out, methods=["POST"]),
        Route("/page/{name}", _file),
        Route("/api/look", show_look),
        *(Route(f"/api/{name}", _read(action)) for name, action in READS.items()),
        *(Route(f"/api/{name}", _act(action), methods=["POST"]) for name, action in ACTIONS.items()),
    ]
    return Guard(Starlette(routes=routes), rules=rules, sessions=sessions)


def _checked_host(host: str) -> str:
    name = host_name(f"[{host}]" if ":" in host and not host.startswith("[") else host)
    if not name:
        raise ConfigurationError("allowed_hosts: expected names or addresses without a port")
    return name


def _text_of(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text(encoding="utf-8")


async def _page(_request: Request) -> Response:
    return Response(_text_of("index.html"), media_type="text/html")


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    kind = _FILES.get(name)
    if kind is None:
        return JSONResponse({"error": "not found"}, status_code=404)
    return Response(_text_of(name), media_type=kind)


# -- signing in ---------------------------------------------------------------------------------------


def _login_form(sessions: Sessions) -> Callable[[Request], Awaitable[Response]]:
    async def show(_request: Request) -> Response:
        if not sessions.needs_token:
            return RedirectResponse("./", status_code=303)
        return Response(_text_of("login.html"), media_type="text/html")

    return show


def _sign_in(sessions: Sessions) -> Callable[[Request], Awaitable[Response]]:
    async def sign_in(request: Request) -> Response:
        body = await _body(request, _MAX_FORM)
        form = parse_qs((body or b"").decode(errors="replace"), max_num_fields=10)
        if not sessions.is_token(form.get("token", [""])[0].strip()):
            logger.warning("dashboard sign-in refused")
            return Response(_text_of("login.html").replace(_HIDDEN, "", 1), status_code=401, media_type="text/html")
        response = RedirectResponse("./", status_code=303)
        response.set_cookie(
            COOKIE,
            sessions.make(),
            max_age=SESSION_S,
            path=_cookie_path(request),
            secure=is_secure(request.headers, str(request.url)),
            httponly=True,
            samesite="strict",
        )
        return response

    return sign_in


async def _sign_out(request: Request) -> Response:
    response = RedirectResponse("login", status_code=303)
    response.delete_cookie(COOKIE, path=_cookie_path(request), httponly=True, samesite="strict")
    return response


def _cookie_path(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/") + "/"


# -- the API ------------------------------------------------------------------------------------------


def _read(action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await _run(action, RequestFields(request.query_params))

    return answer


def _act(action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await _body(request, MAX_BODY)
        if body is None:
            return JSONResponse({"error": f"body: more than {MAX_BODY} bytes"}, status_code=413)
        try:
            fields = RequestFields.of_json(body)
        except ValidationError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return await _run(action, fields)

    return answer


async def _run(action: Action, fields: RequestFields) -> Response:
    try:
        return JSONResponse(await run_in_threadpool(action, fields))
    except SockudoError as error:
        return JSONResponse({"error": str(error)}, status_code=_status_of(error))
    except Exception as error:
        clear_locals(error)
        logger.exception("action failed")
        return JSONResponse({"error": f"failed ({type(error).__name__}): see the log"}, status_code=500)


def _status_of(error: SockudoError) -> int:
    if isinstance(error, ValidationError | ConfigurationError):
        return 400
    if isinstance(error, JournalUnreadable):
        return 409
    return 503 if isinstance(error, JournalUnavailable) else 500


async def _body(request: Request, most: int) -> bytes | None:
    """The body; ``None`` if it is larger."""
    parts: list[Any] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)
