"""Remove secrets and payloads from texts before they are stored, logged or raised. Pure."""

from __future__ import annotations

import re

__all__ = ["redact", "without_credentials"]

# Patterns are compiled at their first use: every publisher loads this module, few ever redact.

# A proxy's error page may quote the URL, which contains key and signature.
_SIGNED_QUERY = r"auth_[a-z]+=[^\s\"'<>]*"

# Sockudo's JSON reader (serde) quotes the value that it refuses: `extras.headers: invalid type: string "…",
# expected a map`, `integer `5``, `unknown variant `…``. Strings are escaped as in Rust; the end may be cut off.
_GIVEN_VALUE = (
    r"(\binvalid (?:type|value): (?:[a-z]+ )+)(?:\"(?:[^\"\\]|\\.)*(?:\"|\\?$)|`[^`]*(?:`|$))"
    r"|(\bunknown variant )`(?:.*`(?=, (?:expected|there are))|.*$)"
)


def redact(text: str) -> str:
    """Return an answer's text in one line, without the request's signed query and without values of its body."""
    text = re.sub(_SIGNED_QUERY, "auth_…", " ".join(text.split()))
    return re.sub(_GIVEN_VALUE, lambda match: f"{match[1] or match[2]}…", text)


def without_credentials(url: str) -> str:
    """``url`` without user name and password, and without its query, which may contain them too."""
    # One URL may name several servers (Sentinel), separated by semicolons.
    return re.sub(r"//[^/;]*@", "//", re.sub(r"\?[^;]*", "", url))
