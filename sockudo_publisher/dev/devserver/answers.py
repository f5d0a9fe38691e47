"""HTTP answers in the real server's form: JSON, its CORS headers, and which of them end the connection. Pure."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from .refusal import Refusal
from .routes import WrongMethod

__all__ = ["CORS", "PREFLIGHT", "json_answer", "refusal_answer", "with_server_headers"]

_VARY = "origin, access-control-request-method, access-control-request-headers"
#: Every answer of a known path may be read by every page: who may act is the signature's question.
CORS = {"Vary": _VARY, "Access-Control-Allow-Origin": "*"}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,OPTIONS",
    "Access-Control-Allow-Headers": "authorization,content-type,x-requested-with,accept,x-idempotency-key",
}


def json_answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Response(text, status, media_type="application/json")


def refusal_answer(refusal: Refusal) -> Response:
    """The answer of a refused request."""
    if isinstance(refusal, WrongMethod):
        return Response(b"", 405, {"Allow": refusal.allowed})
    headers = {"Content-Type": refusal.media_type}
    if refusal.status == 404 and refusal.text == "404 NOT FOUND":
        headers["Content-Type"] = "text/plain"
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(refusal.body(), refusal.status, headers)


def with_server_headers(response: Response, path: str) -> Response:
    """The headers that depend on the path: under ``/apps/`` the connection ends, under ``/dev`` no page may read."""
    is_unknown = response.status_code == 404 and response.headers.get("content-type") == "text/plain"
    if path.startswith("/apps/") and not is_unknown:
        response.headers["Connection"] = "close"
    if not is_unknown and path != "/" and not path.startswith("/dev"):
        for name, value in CORS.items():
            response.headers[name] = value
    return response
