"""Every request passes here first: access is decided, and every response gets the headers that protect the page."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import AccessRules, Refuse, RequestFacts, decide_access, is_loopback
from .session import Sessions

__all__ = ["COOKIE", "Guard", "path_below"]

COOKIE = "sockudo_dashboard"

#: No script, style or picture from elsewhere, none inline; no frame; nothing is kept by caches between.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: a form's Origin would be "null" then.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

#: Headers by which a proxy says that it has passed a request on.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Guard:
    """Wraps the application; refuses before any of its code runs."""

    def __init__(self, app: ASGIApp, *, rules: AccessRules, sessions: Sessions) -> None:
        self._app = app
        self._rules = rules
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the beginning and end of the server."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        decision = decide_access(self._facts(scope), self._rules)
        if isinstance(decision, Refuse):
            await _refusal(scope, decision)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _facts(self, scope: Scope) -> RequestFacts:
        headers = Headers(scope=scope)
        client = scope.get("client")
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        return RequestFacts(
            method=scope["method"],
            path=path_below(scope),
            hosts=tuple(headers.getlist("host")),
            origin=headers.get("origin"),
            fetch_site=headers.get("sec-fetch-site", ""),
            content_type=headers.get("content-type", ""),
            is_local=client is not None and is_loopback(client[0]),
            is_forwarded=any(name in headers for name in _FORWARDED),
            has_bearer=scheme.lower() == "bearer" and self._sessions.is_token(credentials.strip()),
            has_session=self._sessions.is_session(_cookie(headers)),
        )


def path_below(scope: Scope) -> str:
    """The path without that at which the dashboard is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie("; ".join(headers.getlist("cookie"))).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _refusal(scope: Scope, decision: Refuse) -> Response:
    if decision.status == 401:
        if path_below(scope) in ("", "/") and scope["method"] == "GET":
            return RedirectResponse("login", status_code=303)
        headers = {"WWW-Authenticate": "Bearer"}
        return JSONResponse({"error": decision.why}, status_code=401, headers=headers)
    return JSONResponse({"error": decision.why}, status_code=decision.status)
