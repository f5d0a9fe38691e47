"""A script call whose answer nothing waits for yet: what an event loop needs to see it come, without a thread."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any, Final

from hiredis import Reader

__all__ = ["MAX_EARLY_BYTES", "NOT_WHOLE", "AnswerSocket", "Sent"]

#: Bytes of a command that the socket of an idle connection surely takes at once.
MAX_EARLY_BYTES: Final = 16 * 1024

#: Bytes of an answer that are looked at: that of an append has some dozens.
LOOK_BYTES: Final = 4096

#: The answer has not come, or a part of it has.
NOT_WHOLE: Final = object()


class Sent:
    """A command, and the connection that gets its answer; ``RedisLink.run([command], sent=...)`` reads it."""

    __slots__ = ("command", "connection")

    def __init__(self, command: tuple[Any, ...], connection: Any) -> None:
        self.command = command
        self.connection = connection

    def __repr__(self) -> str:
        return f"<Sent {self.command[0]}>"


class AnswerSocket:
    """The socket of a connection under a number of its own, to watch it and to look at what has come.

    Of its own, because a loop must not watch a number that another thread closes and the system gives to a new socket.
    Raises :class:`OSError` if the connection has no socket.
    """

    __slots__ = ("_socket",)

    def __init__(self, sent: Sent) -> None:
        theirs = plain_socket(sent.connection)
        if theirs is None:
            raise OSError("no connection, or not one that shows what has come")
        number = os.dup(theirs.fileno())
        self._socket = socket.socket(theirs.family, theirs.type, theirs.proto, fileno=number)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For ``loop.add_reader``."""
        return self._socket.fileno()

    def look(self) -> Any:
        """The answer, or :data:`NOT_WHOLE`; ``None`` if the connection has ended. It stays to be read."""
        try:
            come = self._socket.recv(LOOK_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return NOT_WHOLE
        except OSError:
            return None
        if not come:
            return None
        reader = Reader(notEnoughData=NOT_WHOLE)
        reader.feed(come)
        return reader.gets()

    def close(self) -> None:
        """Close this number; the connection stays open."""
        self._socket.close()


def plain_socket(connection: Any) -> socket.socket | None:
    """The socket of a connection; ``None`` with TLS, which keeps what has come to itself."""
    own = getattr(connection, "_sock", None)  # redis-py has no public name for it
    return own if isinstance(own, socket.socket) and not isinstance(own, ssl.SSLSocket) else None
