"""Names as segments of a request's path, percent-encoded once: the sent path is the signed path.

Pure. Imports the error tree alone.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from ...errors import ValidationError

__all__ = ["normal_path", "segment"]

# What RFC 3986 allows in a path as it is, escaped: a proxy that rewrites a path sends these as they are.
_NEEDLESS_ESCAPE = re.compile(r"%(?:2[146789ABC]|3[ABD]|40)")


def segment(text: str, *, field: str) -> str:
    """One segment of a path: ``text`` percent-encoded, ``/`` included.

    Raises ``ValidationError`` for an empty one, and for ``.`` and ``..``: HTTP libraries resolve these
    even when they are escaped, and the request would reach another endpoint (docs/sdks.md, P21).
    """
    if not text or text in (".", ".."):
        raise ValidationError(f"{field}: {'empty' if not text else 'a dot segment'}, cannot be part of a path")
    return quote(text, safe="")


def normal_path(path: str) -> str:
    """The path without needless escapes, as a proxy makes it that decodes and encodes the path again."""
    return _NEEDLESS_ESCAPE.sub(lambda found: unquote(found[0]), path)
