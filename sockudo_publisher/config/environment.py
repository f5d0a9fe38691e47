"""The sources of settings: the environment, files that it names, or another mapping of the same names.

The client does not know the settings (it is used without Redis), but both read some variables: these have
one name and one range each, here. Every error names the variable, never its value, the file or its content.
Imports the errors and the kinds of values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from .values import Number, Switch, Value, Whole

__all__ = [
    "MAX_EVENT_BYTES",
    "MAX_FILE_BYTES",
    "SHOW_ANSWERS",
    "TIMEOUT",
    "Given",
    "Reader",
    "read_master_key",
    "read_max_event_bytes",
    "read_show_answers",
    "read_timeout",
]

#: Ends the name of a variable that names a file instead of holding the secret itself.
FILE = "_FILE"

#: Bytes of such a file: SOCKUDO_APPS has room for thousands of apps, and a wrong path does not fill the RAM.
MAX_FILE_BYTES = 1024 * 1024

#: Seconds of one attempt of the client; bytes of one event's data as sent.
TIMEOUT = Number(0.01, 3600)
MAX_EVENT_BYTES = Whole(1, 2**30)
#: Whether errors and logs may quote the text of any answer.
SHOW_ANSWERS = Switch()


class Given(NamedTuple):
    """A given value, and its name in error messages. Text is not parsed yet."""

    name: str
    value: Any

    def __repr__(self) -> str:
        return f"Given({self.name})"  # the value may be a secret

    def read(self, kind: Value) -> Any:
        """The value, parsed and checked. Raises :class:`ConfigurationError`."""
        return kind.parse(self.value, self.name) if isinstance(self.value, str) else kind.check(self.value, self.name)


class Reader:
    """Finds variables in a mapping: ``os.environ``, or values of a program under the same names.

    ``called(variable)``: the name of a variable in error messages, by default its own.
    """

    def __init__(self, source: Mapping[str, Any], called: Callable[[str], str] = str) -> None:
        self._source = source
        self._called = called

    def find(self, variable: str) -> Given | None:
        """The variable's value; ``None`` if it is not set or empty. Spaces around a text are removed."""
        value = self._source.get(variable)
        if isinstance(value, str):
            value = value.strip() or None
        return None if value is None else Given(self._called(variable), value)

    def find_secret(self, variable: str) -> Given | None:
        """The variable's value, or the content of the file that ``VARIABLE_FILE`` names.

        Raises :class:`ConfigurationError` if both are set, and for a file that cannot be read, is empty, larger
        than :data:`MAX_FILE_BYTES` or not UTF-8.
        """
        given, file = self.find(variable), self.find(variable + FILE)
        if file is None:
            return given
        if given is not None:
            raise ConfigurationError(f"{given.name} and {file.name}: both are set, remove one of them")
        return Given(file.name, _content(file))


def _content(file: Given) -> str:
    """A file's text, without the spaces and the newline around it."""
    try:
        with open(file.value, "rb") as content:
            data = content.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise ConfigurationError(f"{file.name}: the file cannot be read ({reason})") from None
    except (TypeError, ValueError):  # no path: a number, or text with a NUL
        raise ConfigurationError(f"{file.name}: expected the path of a file") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{file.name}: the file is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file.name}: the file is not UTF-8 text") from None
    if not text:
        raise ConfigurationError(f"{file.name}: the file is empty")
    return text


def read_master_key(read: Reader) -> Given | None:
    """The master key of the ``private-encrypted-`` channels as it is written, not decoded; ``None``: not set."""
    return read.find_secret("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64")


def read_timeout(read: Reader) -> float | None:
    """Seconds of one attempt of the client; ``None``: not set."""
    given = read.find("SOCKUDO_TIMEOUT")
    return None if given is None else given.read(TIMEOUT)


def read_max_event_bytes(read: Reader) -> int | None:
    """Bytes of one event's data as sent; ``None``: not set."""
    given = read.find("SOCKUDO_MAX_EVENT_BYTES")
    return None if given is None else given.read(MAX_EVENT_BYTES)


def read_show_answers(read: Reader) -> bool | None:
    """Whether errors and logs may quote the text of any answer; ``None``: not set."""
    given = read.find("SOCKUDO_SHOW_ANSWERS")
    return None if given is None else given.read(SHOW_ANSWERS)
