"""Make texts of others safe to store, log, raise and show: without secrets, payloads and control characters.

:func:`printable` is the one filter for everything that reaches a terminal or a log. Pure, except for the loggers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = [
    "decode_or_none",
    "encode_or_none",
    "package_logger",
    "printable",
    "printable_arguments",
    "printable_json",
    "redact",
    "without_credentials",
]

# `re`, `logging` and `traceback` are imported, and patterns compiled, at their first use: every publisher loads this
# module, few ever redact.

# A proxy's error page may quote the URL, which contains key and signature.
_SIGNED_QUERY = r"auth_[a-z]+=[^\s\"'<>]*"

# Sockudo's JSON reader (serde) quotes the value that it refuses: `extras.headers: invalid type: string "…",
# expected a map`, `integer `5``, `unknown variant `…``. Strings are escaped as in Rust; the end may be cut off.
_GIVEN_VALUE = (
    r"(\binvalid (?:type|value): (?:[a-z]+ )+)(?:\"(?:[^\"\\]|\\.)*(?:\"|\\?$)|`[^`]*(?:`|$))"
    r"|(\bunknown variant )`(?:.*`(?=, (?:expected|there are))|.*$)"
)


def redact(text: str) -> str:
    """Return an answer's text in one line, without the request's signed query and without values of its body."""
    import re

    text = re.sub(_SIGNED_QUERY, "auth_…", " ".join(text.split()))
    return re.sub(_GIVEN_VALUE, lambda match: f"{match[1] or match[2]}…", text)


def without_credentials(url: str) -> str:
    """``url`` without user name and password, and without its query, which may contain them too."""
    import re

    # One URL may name several servers (Sentinel), separated by semicolons.
    return re.sub(r"//[^/;]*@", "//", re.sub(r"\?[^;]*", "", url))


# -- text and bytes ------------------------------------------------------------------------------------

# An error that is raised while a `UnicodeError` is handled carries that one along (`__context__`), and with it all of
# the text, which may be a payload: trackers of errors show it. So these return `None` instead.


def encode_or_none(text: str) -> bytes | None:
    """``text`` in UTF-8; ``None`` if it holds half of a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def decode_or_none(data: bytes | bytearray) -> str | None:
    """``data`` as text; ``None`` if it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


# -- control characters --------------------------------------------------------------------------------

#: Spaces of other widths, which `str.isprintable` counts as not printable: they do no harm.
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


def printable(text: str) -> str:
    r"""``text`` with an escape (``\x1b``, ``\n``, ``\u202e``) for each character that is not printable.

    These are control characters (a terminal obeys them, a line end forges a log line), marks that change the direction
    of writing, invisible characters, and halves of surrogate pairs, which no stream can encode.
    """
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() or one in _SPACES else ascii(one)[1:-1] for one in text])


def printable_json(document: str) -> str:
    r"""JSON on one line, in which each such character is a JSON escape (``\u001b``). It still means the same."""
    if document.isprintable():
        return document
    return "".join([one if one.isprintable() or one in _SPACES else _json_escape(one) for one in document])


def _json_escape(character: str) -> str:
    number = ord(character)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"


# -- log records ---------------------------------------------------------------------------------------


def package_logger(name: str) -> logging.Logger:
    """The logger of that name; its records are printable. Every module of the package gets its logger here."""
    import logging

    # Used by each record. Imported here, as a fork in the middle of an import would leave it locked in the child.
    from . import log_fields  # noqa: F401

    logger = logging.getLogger(name)
    logger.addFilter(_make_printable)
    return logger


def printable_arguments(record: logging.LogRecord) -> bool:
    """Make the arguments of a record printable, and keep its own text: a filter for loggers of others. Always true."""
    if isinstance(record.args, tuple):
        record.args = tuple([_printable_argument(one) for one in record.args])
    elif record.args is not None:  # one mapping, for %(name)s
        record.args = {name: _printable_argument(one) for name, one in record.args.items()}
    _make_traceback_printable(record)
    return True


def _make_printable(record: logging.LogRecord) -> bool:
    try:
        text = record.getMessage()
        _add_fields(record)
    except Exception:  # noqa: BLE001
        return True  # the handlers report it, and the caller of the logger goes on
    if not text.isprintable():
        record.msg, record.args = printable(text), None
    _make_traceback_printable(record)
    return True


def _add_fields(record: logging.LogRecord) -> None:
    import logging

    from .log_fields import FIELDS, HEAD, add_fields

    if not _reserved:
        _reserved.update(logging.makeLogRecord({}).__dict__, ("message", "asctime", "taskName", HEAD, FIELDS))
    add_fields(record, frozenset(_reserved), printable)


#: The attributes that every record has.
_reserved: set[str] = set()


def _printable_argument(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    try:
        text = str(value)
    except Exception:  # noqa: BLE001
        return value  # the handlers report it
    return value if text.isprintable() else printable(text)


def _make_traceback_printable(record: logging.LogRecord) -> None:
    """Prepare the traceback's text if an exception in it is not printable. Handlers show that text instead."""
    error = record.exc_info[1] if record.exc_info else None
    try:
        if error is None or all(str(one).isprintable() for one in _chain(error)):
            return
    except Exception:  # noqa: BLE001 -- a text that cannot be made: the handlers report it
        return
    import traceback

    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    # Indented, so that no line that came with the exception looks like a log line.
    record.exc_text = "\n  ".join(map(printable, lines))


def _chain(error: BaseException) -> list[BaseException]:
    """The exception, and those that led to it."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and all(one is not known for known in found):
            found.append(one)
            todo += [one.__cause__, one.__context__]
    return found
