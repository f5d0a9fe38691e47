"""How a payload becomes JSON text: the standard library's encoder, orjson, or an encoder of the caller's. Pure.

All processes of a deployment must write the same text for the same value, because the server compares payloads as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from json import encoder as json_encoder_module
from json.encoder import encode_basestring
from typing import Any, NamedTuple, TypeAlias, cast

from .json_values import JsonRefusal, to_json_value

__all__ = ["STANDARD", "JsonEncoder", "JsonText", "load_orjson", "strict_json", "text_of"]

#: An encoder of the caller's: a subclass of ``json.JSONEncoder``, or a function from a value to its JSON text.
JsonEncoder: TypeAlias = type[json.JSONEncoder] | Callable[[Any], str | bytes]


class JsonText(NamedTuple):
    """``dumps(value)`` returns the text, or raises. ``expand(value)`` is the JSON form of a value that JSON does not
    have; ``None``: not known, as the encoder is the caller's.
    """

    dumps: Callable[[Any], str]
    expand: Callable[[Any], Any] | None = None


def _compact_encoder(default: Callable[[Any], Any]) -> Callable[[Any], str]:
    """The standard library's C encoder, made once: ``JSONEncoder.encode`` makes one a call, a fifth of a bulk event.

    Without bookkeeping against circles it is faster, and a circle ends as RecursionError all the same. ``default`` is
    called for values that are not JSON, so that the others cost nothing more.
    """
    encoder = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=default
    )
    make = getattr(json_encoder_module, "c_make_encoder", None)
    if make is None:  # an interpreter without the C accelerator
        return encoder.encode
    chunks = make(None, default, encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


def _refuse(value: object) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


#: Compact JSON of JSON's own values, and nothing else.
strict_json: Callable[[Any], str] = _compact_encoder(_refuse)

#: The default: compact JSON, also of the values that :func:`to_json_value` knows.
STANDARD = JsonText(_compact_encoder(to_json_value), to_json_value)


def text_of(json_encoder: JsonText | JsonEncoder | None) -> JsonText:
    """How values are encoded with this encoder; ``None`` is the default."""
    if json_encoder is None:
        return STANDARD
    if isinstance(json_encoder, JsonText):
        return json_encoder
    if isinstance(json_encoder, type) and issubclass(json_encoder, json.JSONEncoder):
        return JsonText(
            partial(json.dumps, cls=json_encoder, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        )
    encode = cast("Callable[[Any], str | bytes]", json_encoder)
    return JsonText(partial(_text_by, encode))


def _text_by(encode: Callable[[Any], str | bytes], value: object) -> str:
    text = encode(value)
    if isinstance(text, str):
        return text
    if isinstance(text, bytes | bytearray):
        return text.decode()
    raise JsonRefusal(f"json_encoder returned a {type(text).__name__}, expected str or bytes")


# -- orjson --------------------------------------------------------------------------------------------

#: Types that every version of orjson writes as `json` does; integers of more than 64 bits it refuses.
_SAME_TEXT = frozenset({str, int, bool, type(None)})

#: Floats that both write alike (and 0.0): others have an exponent in one of them, written differently.
MIN_FLOAT, MAX_FLOAT = 1e-4, 1e16

#: Levels of a value that orjson is given: it goes to 254. A circle has more.
MAX_LEVELS = 200


def load_orjson() -> JsonText:
    """How values are encoded with ``SOCKUDO_JSON=orjson``: the text is ``json``'s. Loads orjson.

    A value with a part of which this is not sure is encoded by ``json``: times, models, subclasses, names that are no
    text, numbers beyond the bounds. Raises ``ImportError``.
    """
    import orjson

    fast, error, standard = orjson.dumps, orjson.JSONEncodeError, STANDARD.dumps

    def dumps(value: Any) -> str:
        if has_same_text(value):
            try:
                return fast(value).decode()
            except error:  # a lone surrogate, or an integer of more than 64 bits
                pass
        return standard(value)

    return JsonText(dumps, to_json_value)


def has_same_text(value: Any, levels: int = MAX_LEVELS) -> bool:
    """Whether orjson writes the text of ``json`` for this value, or refuses it (a lone surrogate, a long integer)."""
    kind = type(value)
    if kind is dict:
        for name in value:
            if type(name) is not str:
                return False
        parts = value.values()
    elif kind is list or kind is tuple:
        parts = value
    elif kind is float:
        return bool(MIN_FLOAT <= abs(value) < MAX_FLOAT or value == 0.0)
    else:
        return kind in _SAME_TEXT
    if not levels:
        return False
    levels -= 1
    for part in parts:  # ends at the first that is not: a circle has 2**200 paths
        kind = type(part)
        if not (kind is str or kind is int or kind in _SAME_TEXT or has_same_text(part, levels)):
            return False
    return True
