"""Capability tokens taken back before their time.

A class of :class:`Calls`. Tokens are JWTs that V2 clients connect with (``?token=``); the server knows one
by its ``jti`` and its holder by its client id. Facts: docs/server.md, 1.6.
"""

from __future__ import annotations

from typing import cast

from ...errors import ValidationError
from ..http.calls import Calls
from ..http.retries import CLIENTS, CallRetries
from ..wire.parameters import MAX_TEXT_BYTES, checked_limit, checked_text, checked_time_ms, json_body
from .answers import Revocation

__all__ = ["Revocations"]

#: Bytes of a token's id and of a client id: the server's ``MAX_JTI_BYTES`` and ``MAX_CLIENT_ID_BYTES``.
MAX_TOKEN_FIELD_BYTES = 128


class Revocations(Calls):
    """``revoke_tokens``."""

    def revoke_tokens(
        self,
        *,
        jti: str | None = None,
        client_id: str | None = None,
        ttl_seconds: int | None = None,
        expires_at: int | None = None,
        reason: str | None = None,
        retries: CallRetries = CLIENTS,
    ) -> Revocation:
        """Refuse a token, or every token of a client, from now on, and close the connections made with them.

        ``jti``, ``client_id``: 1 to 128 bytes, at least one of them. For how long: ``ttl_seconds`` (1 or more)
        or until ``expires_at`` (seconds since 1970), by default a day, which is the longest a token lives.
        ``reason``: 1 to 1,024 bytes. Connections close with code 4009. A repeat changes
        nothing, so the call is repeated according to ``retries``, even if the result of an attempt is unknown.

        The server remembers it in its cache: with the memory cache, until it restarts.
        Returns ``{"revoked_jti": bool, "revoked_client_id": bool, "closed_connections": int}``.
        """
        if jti is None and client_id is None:
            raise ValidationError("jti: neither it nor client_id, expected at least one")
        if ttl_seconds is not None and expires_at is not None:
            raise ValidationError("ttl_seconds: given together with expires_at, expected one")
        body = {
            "jti": None if jti is None else checked_text("jti", jti, MAX_TOKEN_FIELD_BYTES),
            "client_id": None if client_id is None else checked_text("client_id", client_id, MAX_TOKEN_FIELD_BYTES),
            "ttl_seconds": None if ttl_seconds is None else checked_limit(ttl_seconds, field="ttl_seconds"),
            "expires_at": None if expires_at is None else checked_time_ms("expires_at", expires_at),
            "reason": None if reason is None else checked_text("reason", reason, MAX_TEXT_BYTES),
        }
        return cast(
            Revocation, self.call("POST", "/revocations", body=json_body(body), repeatable=True, retries=retries)
        )
