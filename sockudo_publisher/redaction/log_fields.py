"""The fields of a log line as fields of its record: ``"sweep failed app=%s error=%s"`` has ``app`` and ``error``.

So a handler that writes JSON, or an error tracker, gets them without a parser, and lines need no second list of their
fields (``extra=``). What a caller gives as ``extra=`` stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

__all__ = ["FIELDS", "HEAD", "add_fields"]

#: Attributes of a record: what happened, without the fields; the names of its fields.
HEAD = "sockudo_event"
FIELDS = "sockudo_fields"

#: Compiled at the first use, as this module is loaded by every publisher: a conversion, with the name of its field.
_patterns: dict[str, Any] = {}


def add_fields(record: logging.LogRecord, reserved: frozenset[str], printable: Callable[[str], str]) -> None:
    """Give the record its fields, ``printable``. ``reserved``: attributes that no field may replace."""
    template, args = record.msg, record.args
    given = [name for name in record.__dict__ if name not in reserved]
    head, fields = _parse(template, args) if isinstance(template, str) and isinstance(args, tuple) else (None, {})
    for name, value in fields.items():
        if name not in reserved:
            record.__dict__.setdefault(name, printable(value) if isinstance(value, str) else value)
    names = dict.fromkeys([*(name for name in fields if name not in reserved), *given])
    record.__dict__[HEAD] = record.getMessage() if head is None else head
    record.__dict__[FIELDS] = tuple(names)


def _parse(template: str, args: tuple[Any, ...]) -> tuple[str | None, dict[str, Any]]:
    """The text before the first field, with nothing to fill in, and the fields; ``None`` for a text without fields."""
    found = list(_pattern().finditer(template))
    if len(found) != len(args) or not found:
        return (template if not args else None), {}
    first = next((one for one in found if one["name"]), None)
    fields = {one["name"]: _plain(value) for one, value in zip(found, args, strict=True) if one["name"]}
    detail = found[-1]
    if first is not None and not detail["name"] and template.endswith(": %s"):
        fields["detail"] = _plain(args[-1])  # the server's text, behind all fields
    if first is None or found[0] is not first:
        return None, fields
    return template[: first.start()].rstrip(" ,:"), fields


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _pattern() -> Any:
    pattern = _patterns.get("")
    if pattern is None:
        import re

        text = r"(?:\b(?P<name>[a-z_]+)=)?%[-#0 +]*\d*(?:\.\d+)?[sdrfgx]"
        pattern = _patterns[""] = re.compile(text)
    return pattern
