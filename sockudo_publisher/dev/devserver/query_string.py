"""Numbers and flags in a query string, read and refused as the real server does. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from .refusal import TextRefusal

__all__ = ["parameters_of", "protocol_of", "whole_number"]

#: The largest number of an unsigned field, and the bounds of a signed one.
MAX_UNSIGNED = 2**64 - 1
MIN_SIGNED, MAX_SIGNED = -(2**63), 2**63 - 1

_DIGITS = re.compile(r"\+?[0-9]+")
_SIGNED = re.compile(r"[+-]?[0-9]+")


def parameters_of(query: str, *once: str) -> dict[str, str]:
    """The decoded parameters; a name in ``once`` may not come twice. Raises :class:`TextRefusal` (400)."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in once and name in parameters:
            raise _refusal(f"duplicate field `{name}`")
        parameters[name] = value
    return parameters


def whole_number(name: str, text: str, *, largest: int = MAX_UNSIGNED, is_signed: bool = False) -> int:
    """A number of the query. Raises :class:`TextRefusal`, also for a number of any length."""
    if not text:
        raise _refusal(f"{name}: cannot parse integer from empty string")
    if (_SIGNED if is_signed else _DIGITS).fullmatch(text) is None:
        raise _refusal(f"{name}: invalid digit found in string")
    digits = text.lstrip("+-").lstrip("0") or "0"
    # Not one conversion of a long text: Python refuses more than 4,300 digits.
    number = int(digits) if len(digits) <= 20 else 10**20
    number = -number if text.startswith("-") else number
    if number < (MIN_SIGNED if is_signed else 0):
        raise _refusal(f"{name}: number too small to fit in target type")
    if number > (MAX_SIGNED if is_signed else largest):
        raise _refusal(f"{name}: number too large to fit in target type")
    return number


def protocol_of(query: str) -> int:
    """The protocol that a WebSocket asks for: 7 unless it names another byte. Raises :class:`TextRefusal`."""
    fields = (
        "protocol",
        "client",
        "version",
        "format",
        "echo_messages",
        "append_rollup_window",
        "append_mode",
        "token",
    )
    parameters = parameters_of(query, *fields)
    protocol = whole_number("protocol", parameters["protocol"], largest=255) if "protocol" in parameters else 7
    if parameters.get("echo_messages", "true") not in ("true", "false"):
        raise _refusal("echo_messages: provided string was not `true` or `false`")
    if "append_rollup_window" in parameters:
        whole_number("append_rollup_window", parameters["append_rollup_window"])
    return protocol


def _refusal(text: str) -> TextRefusal:
    return TextRefusal(400, f"Failed to deserialize query string: {text}")
