"""Read a request's body within a limit; what cannot be read is an answer 4xx, never an error of the view."""

from __future__ import annotations

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError

__all__ = ["read_body", "refuse"]

#: Digits of a Content-Length; with more, Python refuses to read the number.
MAX_LENGTH_DIGITS = 18


def refuse(status: int, message: str) -> JsonResponse:
    """An answer with an error text, which holds nothing of the request's content."""
    return JsonResponse({"error": message}, status=status)


def read_body(request: HttpRequest, max_bytes: int | None = None) -> bytes | JsonResponse:
    """The body as received; an answer where there is none: 413 beyond ``max_bytes`` or the project's
    ``DATA_UPLOAD_MAX_MEMORY_SIZE``, 400 where it broke off or was read by other code.
    """
    length = str(request.META.get("CONTENT_LENGTH") or 0)
    if not (length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
        return refuse(400, "Content-Length: not a number of bytes")
    announced = int(length)
    if max_bytes is not None and announced > max_bytes:
        return refuse(413, f"body: {announced} bytes, limit {max_bytes}")
    try:
        body: bytes = request.body
    except RequestDataTooBig:
        return refuse(413, f"body: {announced} bytes, limit DATA_UPLOAD_MAX_MEMORY_SIZE")
    except UnreadablePostError:
        return refuse(400, "body: broke off")
    except RawPostDataException:
        return refuse(400, "body: was read before, expected application/x-www-form-urlencoded or JSON")
    if max_bytes is not None and len(body) > max_bytes:
        return refuse(413, f"body: {len(body)} bytes, limit {max_bytes}")
    return body
