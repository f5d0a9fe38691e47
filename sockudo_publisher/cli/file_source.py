"""Opens the file of ``publish-file``: plain or gzip, a path or standard input; moves to a position in it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, AnyStr, cast

__all__ = ["Interrupt", "Source", "StreamDamaged", "open_source"]

#: Bytes of one read.
BUFFER_BYTES = 1 << 20

#: How gzip begins. Neither JSON nor a table begins with such a byte.
GZIP_MAGIC = b"\x1f\x8b"


class StreamDamaged(ValueError):
    """The file cannot be read any further: gzip data that is damaged or has no end."""


class Source:
    """A stream of bytes. ``size``: of the file on the disk, ``None`` for standard input."""

    def __init__(self, file: IO[bytes], size: int | None) -> None:
        self.file = file
        self.size = size
        self.is_gzip = peek_at(file)[:2] in (GZIP_MAGIC, GZIP_MAGIC[:1])
        self.stream: IO[bytes] = file
        if self.is_gzip:
            import gzip

            self.stream = cast("IO[bytes]", io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"), BUFFER_BYTES))

    def identity(self) -> tuple[str, ...]:
        """What tells a file that was changed in any way: place on the disk, size, times of content and inode."""
        found = os.fstat(self.file.fileno())
        numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return tuple(str(number) for number in numbers)

    def seek(self, offset: int) -> None:
        """Go to a byte of the content. Gzip has no index: its bytes are read again, but not its lines.

        Raises :class:`StreamDamaged`.
        """
        with damage_is_told():
            self.stream.seek(offset)

    def consumed(self) -> int:
        """Bytes of the file that were read, as a share of ``size``."""
        return self.file.tell()


def peek_at(stream: IO[bytes]) -> bytes:
    """The next bytes, without taking them: at least one, unless the stream ends. Raises :class:`StreamDamaged`."""
    with damage_is_told():
        return cast("io.BufferedReader", stream).peek(4)


@contextmanager
def open_source(file: str) -> Iterator[Source]:
    """Open a path, or standard input for ``-``."""
    if file == "-":
        stdin = sys.stdin.buffer
        # A program that runs the command in its own process may give another stream, without `peek`.
        yield Source(stdin if hasattr(stdin, "peek") else cast("IO[bytes]", io.BufferedReader(stdin)), None)
        return
    with open(file, "rb", buffering=BUFFER_BYTES) as stream:
        yield Source(stream, os.fstat(stream.fileno()).st_size)


@contextmanager
def damage_is_told() -> Iterator[None]:
    """Turn the errors of gzip into :class:`StreamDamaged`."""
    fault = ""
    try:
        yield
    except EOFError:
        fault = "the gzip data ends too early: the file is not complete"
    except Exception as error:
        # gzip and zlib are loaded for gzip alone; BadGzipFile is an OSError, as are the disk's own errors.
        if type(error).__module__ not in ("gzip", "zlib"):
            raise
        fault = "the gzip data is damaged"
    if fault:
        raise StreamDamaged(fault)


class Interrupt:
    """An interrupt (Ctrl-C), which ends the reading: at the next line, or at once if the reader waits for one."""

    def __init__(self) -> None:
        self.is_set = False
        #: Whether it ended the reading before the last line.
        self.has_ended_reading = False
        self._is_reading = False

    def handle(self, *_: object) -> None:
        """The handler of SIGINT. A second interrupt raises ``KeyboardInterrupt``."""
        if self.is_set:
            raise KeyboardInterrupt
        self.is_set = True
        if self._is_reading:
            raise KeyboardInterrupt

    def read_line(self, readline: Callable[[int], AnyStr], limit: int) -> AnyStr | None:
        """The next line, empty at the end, or ``None`` after an interrupt. Catches the handler's error at any point.

        Raises :class:`StreamDamaged`, and :class:`UnicodeDecodeError` for a stream of text.
        """
        try:
            self._is_reading = True
            self.has_ended_reading = self.is_set
            line = None
            if not self.has_ended_reading:
                with damage_is_told():
                    line = readline(limit)
            self._is_reading = False
        except KeyboardInterrupt:
            self._is_reading = False
            self.has_ended_reading = True
            line = None
        finally:
            self._is_reading = False
        return line
