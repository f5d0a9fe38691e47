"""The largest memory that a JSON text takes once it is parsed, estimated from its bytes. Pure.

A few bytes of JSON can be a large object: ``{"":{}}`` becomes 34 times its size, and one emoji makes four
bytes of every character beside it. The numbers are CPython's (3.10 to 3.13), rounded up.
"""

from __future__ import annotations

__all__ = ["json_bytes"]

#: A dict of up to five entries, with its place in its container, without its first pair.
DICT_BYTES = 160
#: A name: its text, its entry, its place in the decoder's memo, and the entries that a growing dict holds twice.
NAME_BYTES = 104
#: A list, with its place.
LIST_BYTES = 88
#: A further value: the place, and the head of a text or a number.
VALUE_BYTES = 72


def json_bytes(body: bytes | bytearray) -> int:
    """The largest number of bytes that ``body``, its text and its parsed objects take together.

    Characters of structure inside of strings are counted too.
    """
    text = _bytes_per_character(body)
    values = 4 if b"\\u" in body else text
    if b"\\" in body:
        values += 1  # the pieces between escapes, and the joined string
    structure = DICT_BYTES * body.count(b"{") + LIST_BYTES * body.count(b"[")
    return len(body) * (1 + text + values) + structure + NAME_BYTES * body.count(b":") + VALUE_BYTES * body.count(b",")


def _bytes_per_character(body: bytes | bytearray) -> int:
    """CPython's bytes per character of a text: the widest character decides."""
    if body.isascii():
        return 1
    first = max(body)  # of the widest character in UTF-8
    if first < 0xC4:
        return 1
    return 2 if first < 0xF0 else 4
