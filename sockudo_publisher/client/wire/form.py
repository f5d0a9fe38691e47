"""Read fields of a form that a browser posts to an auth endpoint, raw or parsed.

Stricter than web frameworks, because these values are signed: of a duplicate field, the application might check one
copy and this module sign the other. Pure. Imports the error tree alone.
Facts: docs/sdks.md, F12 to F14; the encoding is that of URLSearchParams, which pusher-js uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from ...errors import ValidationError
from ...redaction import decode_or_none

__all__ = ["MAX_FORM_BYTES", "Form", "form_fields", "form_items"]

#: A form's body as received, or the form as a framework has parsed it: any mapping, of values or of lists of them.
#: Flask's and Django's multi-dicts, Starlette's ``FormData``, aiohttp's and WebOb's are mappings.
Form: TypeAlias = bytes | str | Mapping[str, Any]

#: Bytes of a form body: two names of at most 200 bytes, percent-encoded, beside whatever the page adds.
MAX_FORM_BYTES = 65_536
#: The largest number of fields in a form body: far more than a page adds.
MAX_FORM_FIELDS = 1000

# A '%' without two hex digits behind it; unquote would let it stand as it is.
_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def form_fields(form: Form, *names: str) -> tuple[str, ...]:
    """The values of the named fields of an ``application/x-www-form-urlencoded`` form, in the order asked for.

    ``form``: its body as received, ``bytes`` or text, or what a framework has made of it: ``request.form`` of Flask,
    whose body is gone once that was read. Other fields are ignored. Raises
    ``ValidationError`` for a field that is missing, empty, there twice or not UTF-8, and for what is no form.
    """
    if isinstance(form, Mapping):
        return tuple(_parsed_field(form, name) for name in names)
    found: dict[str, str] = {}
    for name, value in _pairs(_text(form)):
        if name in names:
            if name in found:
                raise ValidationError(f"{name}: twice in the form body")
            found[name] = value
    for name in names:
        if name not in found:
            hint = "" if form else ", which is empty: if a framework has read it, give the form that it parsed"
            raise ValidationError(f"{name}: not in the form body{hint}")
        if not found[name]:
            raise ValidationError(f"{name}: empty in the form body")
    return tuple(_decoded(name, found[name]) for name in names)


def form_items(form: Form, wanted: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Name and value of every field whose name is wanted, in the form's order, repeated ones too.

    ``form`` as in :func:`form_fields`. Raises ``ValidationError`` for a value that is no text or not UTF-8, and for
    what is no form.
    """
    if not isinstance(form, Mapping):
        return [(name, _decoded(name, value)) for name, value in _pairs(_text(form)) if wanted(name)]
    items: list[tuple[str, str]] = []
    for name in dict.fromkeys(one for one in form if isinstance(one, str) and wanted(one)):
        for value in _values(form, name):
            if not isinstance(value, str):
                raise ValidationError(f"{name}: a {type(value).__name__} in the form, expected a str")
            items.append((name, value))
    return items


def _values(form: Mapping[str, Any], name: str) -> list[Any]:
    # A multi-dict returns one value unless all are requested: the application might have checked the other one.
    every = getattr(form, "getlist", None) or getattr(form, "getall", None)
    values = every(name) if callable(every) else form[name]
    return list(values) if isinstance(values, list | tuple) else [values]


def _parsed_field(form: Mapping[str, Any], name: str) -> str:
    if name not in form:
        raise ValidationError(f"{name}: not in the form")
    values = _values(form, name)
    if len(values) != 1:
        raise ValidationError(f"{name}: {'twice' if values else 'not'} in the form")
    (value,) = values
    if not isinstance(value, str):
        raise ValidationError(f"{name}: a {type(value).__name__} in the form, expected a str")
    if not value:
        raise ValidationError(f"{name}: empty in the form")
    return value


def _text(body: object) -> str:
    if not isinstance(body, bytes | bytearray | str):
        raise ValidationError(f"form body: a {type(body).__name__}, expected bytes or str, or a parsed form")
    if len(body) > MAX_FORM_BYTES:
        raise ValidationError(f"form body: {len(body)} bytes, limit {MAX_FORM_BYTES}")
    if isinstance(body, str):
        return str.__str__(body)
    text = decode_or_none(body)
    if text is None:
        raise ValidationError(f"form body: {len(body)} bytes that are not UTF-8")
    return text


def _pairs(text: str) -> list[tuple[str, str]]:
    """The form's fields: decoded names, with values as received."""
    parts = text.split("&", MAX_FORM_FIELDS)
    if len(parts) > MAX_FORM_FIELDS:
        raise ValidationError(f"form body: more than {MAX_FORM_FIELDS} fields, limit {MAX_FORM_FIELDS}")
    pairs = (part.partition("=") for part in parts)
    return [(_decoded("form body", name), value) for name, _, value in pairs]


def _decoded(field: str, text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise ValidationError(f"{field}: a percent sign without two hex digits")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise ValidationError(f"{field}: not UTF-8") from None
