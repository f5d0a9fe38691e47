"""Values that JSON does not have, as values that it has: dataclasses, models, times, decimals, enums. Pure.

An encoder calls :func:`to_json_value` for each value that it does not know, and encodes the result. The forms are those
of Django's ``DjangoJSONEncoder``; an enum is its value. Imports no library: a value of a library that is not loaded
does not exist.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any

__all__ = ["JsonRefusal", "to_json_value"]


class JsonRefusal(ValueError):
    """The value has no JSON form. The text contains no value."""


def to_json_value(value: Any) -> Any:
    """The value's form: a text, a number, or a container whose parts may need :func:`to_json_value` again.

    Raises :class:`JsonRefusal` for a time with a zone, and ``TypeError``, with the text of ``json``, for other types.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return _datetime_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return _time_text(value)
    if isinstance(value, timedelta):
        return _duration_text(value)
    if not isinstance(value, type):
        if is_dataclass(value):
            return {one.name: getattr(value, one.name) for one in fields(value)}
        for module, name, convert in _OF_MODULES:
            loaded = sys.modules.get(module)
            if loaded is not None and isinstance(value, getattr(loaded, name, ())):
                return convert(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _datetime_text(value: datetime) -> str:
    """ISO 8601 with milliseconds, cut; UTC is ``Z`` (ECMA-262's form)."""
    text = value.isoformat()
    if value.microsecond:
        text = text[:23] + text[26:]
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _time_text(value: time) -> str:
    if value.utcoffset() is not None:
        raise JsonRefusal("a time with a zone")
    text = value.isoformat()
    return text[:12] if value.microsecond else text


def _duration_text(value: timedelta) -> str:
    """ISO 8601: ``P1DT02H03M04.000005S``; a negative one begins with ``-``."""
    sign = "-" if value < timedelta(0) else ""
    length = abs(value)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06d}" if length.microseconds else ""
    return f"{sign}P{length.days}DT{hours:02d}H{minutes:02d}M{seconds:02d}{fraction}S"


def _model(value: Any) -> Any:
    """A pydantic model's fields, by their aliases, as Python values, whose texts are those of other values."""
    if hasattr(value, "model_dump"):
        # Its warnings of values of other types than the field's contain the values.
        return value.model_dump(mode="python", by_alias=True, warnings=False)
    return value.dict(by_alias=True)  # pydantic 1


def _struct(value: Any) -> Any:
    """A msgspec struct as msgspec encodes it: renamed fields, its tag, without defaults where it omits them."""
    structs: Any = sys.modules["msgspec.structs"]
    config = value.__struct_config__
    tag = [] if config.tag_field is None else [(config.tag_field, config.tag)]
    if config.array_like:
        return [part for _, part in (*tag, *_struct_parts(value, structs, is_sparse=False))]
    return dict((*tag, *_struct_parts(value, structs, is_sparse=config.omit_defaults)))


def _struct_parts(value: Any, structs: Any, *, is_sparse: bool) -> Iterator[tuple[str, Any]]:
    unset = getattr(sys.modules["msgspec"], "UNSET", None)
    for one in structs.fields(type(value)):
        part = getattr(value, one.name)
        is_default = is_sparse and (
            part is one.default or (type(part) is one.default_factory and type(part) in (list, dict, set) and not part)
        )
        if part is not unset and not is_default:
            yield one.encode_name, part


#: Classes of other modules, by the module's name: the values of a class exist only where its module is loaded.
_OF_MODULES: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("uuid", "UUID", str),
    ("decimal", "Decimal", str),
    ("pydantic", "BaseModel", _model),
    ("pydantic.v1", "BaseModel", _model),
    ("msgspec", "Struct", _struct),
    ("django.utils.functional", "Promise", str),
)
