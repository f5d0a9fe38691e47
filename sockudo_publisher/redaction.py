"""Secrets taken out of texts before they are kept, logged or raised. Pure."""

from __future__ import annotations

import re

__all__ = ["redacted", "without_credentials"]

# Patterns are compiled at their first use: every publisher loads this module, few ever redact.

# A proxy's page may quote the URL that it could not serve, and with it key and signature.
_SIGNED_QUERY = r"auth_[a-z]+=[^\s\"'<>]*"

# Sockudo's JSON reader (serde) quotes the value that it could not take: `extras.headers: invalid type: string "…",
# expected a map`, `integer `5``, `unknown variant `…``. Texts are escaped as in Rust; words cut short may not end.
_GIVEN_VALUE = (
    r"(\binvalid (?:type|value): (?:[a-z]+ )+)(?:\"(?:[^\"\\]|\\.)*(?:\"|\\?$)|`[^`]*(?:`|$))"
    r"|(\bunknown variant )`(?:.*`(?=, (?:expected|there are))|.*$)"
)


def redacted(words: str) -> str:
    """The words of an answer without the signed query of our request and the values of its body, in one line."""
    words = re.sub(_SIGNED_QUERY, "auth_…", " ".join(words.split()))
    return re.sub(_GIVEN_VALUE, lambda found: f"{found[1] or found[2]}…", words)


def without_credentials(url: str) -> str:
    """``url`` as it may be shown: without user name and password, and without a query, which may hold them too."""
    # Several servers may stand in one URL (Sentinel), separated by semicolons.
    return re.sub(r"//[^/;]*@", "//", re.sub(r"\?[^;]*", "", url))
