"""What other people's words may carry of ours, taken out before they are kept, logged or raised. Pure."""

from __future__ import annotations

import re

__all__ = ["without_signature"]

# A proxy's page may quote the URL that it could not serve, and with it key and signature.
_SIGNED_QUERY = re.compile(r"auth_[a-z]+=[^\s\"'<>]*")


def without_signature(words: str) -> str:
    """The words of an answer without the signed query of our request, in one line."""
    return _SIGNED_QUERY.sub("auth_…", " ".join(words.split()))
