"""Sign HTTP requests as Sockudo checks them: HMAC-SHA256 over method, path and query.

Pure: the clock is an argument. Imports the ground rooms. The rules (docs/server.md, 2):
keys lower-cased and sorted, values signed decoded and sent encoded, the path signed as it goes over
the wire (already percent-encoded), ``body_md5`` with every POST and with no GET or DELETE.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote_plus

from ...errors import ValidationError
from ...redaction.frame_locals import without_locals
from ...redaction.secret import Secret

__all__ = ["AUTH_PARAMETERS", "Signer", "body_md5", "hmac_hex", "string_to_sign"]

#: Query parameters of the signature; a call's own parameters must not use these names.
AUTH_PARAMETERS = frozenset({"auth_key", "auth_timestamp", "auth_version", "auth_signature", "body_md5"})


def hmac_hex(secret: bytes, text: bytes) -> str:
    """Lower-case hex HMAC-SHA256: for requests, channel auth and webhooks."""
    return hmac.digest(secret, text, "sha256").hex()


def body_md5(body: bytes) -> str:
    """Lower-case hex MD5 of the exact bytes of a body; the server checks it before it parses the body."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def string_to_sign(method: str, path: str, parameters: Mapping[str, str]) -> str:
    """Build the text that is signed. ``path`` as on the wire, values decoded."""
    pairs = sorted((name.lower(), value) for name, value in parameters.items())
    return f"{method}\n{path}\n" + "&".join(f"{name}={value}" for name, value in pairs)


class Signer:
    """Signs with one key and secret. ``repr`` shows neither."""

    __slots__ = ("_key_on_wire", "_secret", "key")

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = Secret(secret.encode())
        self._key_on_wire = quote_plus(key)

    def __repr__(self) -> str:
        return "Signer(...)"

    def sign(self, text: str) -> str:
        """Lower-case hex signature of any text."""
        return hmac_hex(self._secret.reveal(), text.encode())

    @without_locals
    def query(
        self,
        method: str,
        path: str,
        *,
        now: float,
        body: bytes | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """The whole query string of one signed request, encoded for the wire.

        ``method`` in upper case; ``path`` as on the wire, without query; ``now`` in Unix seconds (the
        server accepts ±600 s); ``body`` ``None`` where there is none (GET, DELETE). Raises
        ``ValidationError`` for a parameter whose name belongs to signing.
        """
        auth = f"auth_timestamp={int(now)}&auth_version=1.0"
        if body is not None:
            auth += f"&body_md5={body_md5(body)}"
        if not parameters:
            # The names above are in sorted order already: nothing to sort, nothing to escape but the key.
            signature = self.sign(f"{method}\n{path}\nauth_key={self.key}&{auth}")
            return f"auth_key={self._key_on_wire}&{auth}&auth_signature={signature}"
        signed = {"auth_key": self.key, **dict(pair.split("=", 1) for pair in auth.split("&"))}
        names = {name.lower() for name in parameters}
        if names & AUTH_PARAMETERS or len(names) < len(parameters):
            raise ValidationError("query: a name that belongs to signing, or the same name twice")
        signature = self.sign(string_to_sign(method, path, {**signed, **parameters}))
        own = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in parameters.items())
        return f"auth_key={self._key_on_wire}&{auth}&{own}&auth_signature={signature}"
