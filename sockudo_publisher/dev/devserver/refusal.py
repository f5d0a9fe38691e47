"""A refused request, as a value: status, and the body that the real server sends with it.

Most are JSON (``{"error", "code", "status"}``; docs/server.md, 1.2); what the real server's web
framework refuses before its own code sees it is plain text.
"""

from __future__ import annotations

import json

__all__ = ["Refusal", "TextRefusal", "not_here"]


class Refusal(Exception):
    """Refused by the server's own rules. ``retry_after`` in seconds, for 503; ``ai_code`` of a rule on AI events."""

    def __init__(
        self, status: int, code: str, text: str, *, retry_after: int | None = None, ai_code: int | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.ai_code = ai_code

    media_type = "application/json"

    def body(self) -> bytes:
        """The bytes of the answer."""
        fields = {"error": self.text, "code": self.code, "status": self.status}
        if self.ai_code is not None:
            fields["ai_code"] = self.ai_code
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class TextRefusal(Refusal):
    """Refused while the request was read: 400 no JSON, 413 too long, 415 not called JSON, 422 other types."""

    media_type = "text/plain; charset=utf-8"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, "", text)

    def body(self) -> bytes:
        """The text."""
        return self.text.encode(errors="replace")


def not_here(what: str) -> Refusal:
    """501: the real server has it, this one does not."""
    return Refusal(501, "not_implemented", f"The embedded Sockudo has no {what}: use a real Sockudo for it")
