"""The token, and the session that a browser gets for it.

A session is its end and a signature with a key that is made from the token. So every process of a deployment knows it,
nothing is stored, and a new token ends all sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

from ..redaction.secret import Secret

__all__ = ["SESSION_S", "Sessions", "is_secure"]

#: Seconds of a session: a working day.
SESSION_S = 12 * 3600


class Sessions:
    """Checks tokens and sessions; without a token every check fails. Texts are compared in constant time."""

    def __init__(self, token: str | None) -> None:
        self._token = Secret(token.encode() if token else b"")
        self._key = Secret(hashlib.sha256(b"sockudo-publisher dashboard session\0" + self._token.reveal()).digest())

    @property
    def needs_token(self) -> bool:
        """Whether there is a token."""
        return bool(self._token.reveal())

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        # Digests have one length, so that the time tells nothing about the token's.
        own, other = (hashlib.sha256(one).digest() for one in (self._token.reveal(), given.encode(errors="replace")))
        return hmac.compare_digest(own, other) and self.needs_token

    def make(self) -> str:
        """A new session, for a cookie."""
        end = str(int(time.time()) + SESSION_S)
        return f"{end}.{self._sign(end)}"

    def is_session(self, given: str) -> bool:
        """Whether it was made with this token, and has not ended."""
        end, _, signature = given.partition(".")
        if not (end.isascii() and end.isdigit() and len(end) < 15 and signature.isascii()):
            return False
        return hmac.compare_digest(self._sign(end), signature) and self.needs_token and time.time() < int(end)

    def _sign(self, end: str) -> str:
        return hmac.new(self._key.reveal(), end.encode(), hashlib.sha256).hexdigest()


def is_secure(headers: Mapping[str, str], url: str) -> bool:
    """Whether a session's cookie is for TLS alone: the browser, a proxy, or the request's own URL says ``https``. Pure.

    The browser's Origin has the scheme of the browser, also where a proxy ends TLS. Headers that lie can only make the
    cookie stricter.
    """
    proxy = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return proxy == "https" or headers.get("origin", "").startswith("https:") or url.startswith("https:")
