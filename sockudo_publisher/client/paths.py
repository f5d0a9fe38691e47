"""Names as segments of a request's path, percent-encoded once: what is sent is what is signed.

Pure. Imports the error tree alone.
"""

from __future__ import annotations

from urllib.parse import quote

from ..errors import ValidationError

__all__ = ["segment"]


def segment(text: str, *, field: str) -> str:
    """One segment of a path: ``text`` percent-encoded, ``/`` included.

    Raises ``ValidationError`` for an empty one, and for ``.`` and ``..``: HTTP libraries resolve these
    even when they are escaped, and the request would reach another endpoint (docs/sdks.md, P21).
    """
    if not text or text in (".", ".."):
        raise ValidationError(f"{field}: {'empty' if not text else 'a dot segment'}, cannot be part of a path")
    return quote(text, safe="")
