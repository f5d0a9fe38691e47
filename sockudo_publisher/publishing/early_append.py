"""An append that the loop of a lone call sends itself, and whose answer it sees come: no thread is woken for it.

A change of threads and back costs as much as the append. What is not the usual answer, in time, is left to the thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ..journal.producer import Begun, stores_all
from ..journal.redis.link import CALLER_TIMEOUT_S
from ..journal.redis.sent import AnswerSocket

__all__ = ["EarlyAppend"]

#: Seconds after which the thread waits for the answer in place of the loop.
PATIENCE_S = 0.05

assert PATIENCE_S + CALLER_TIMEOUT_S < 2.0


class EarlyAppend:
    """An append under way, watched by a loop. All methods are for that loop."""

    __slots__ = ("_loop", "_socket", "_timer", "begun")

    def __init__(self, begun: Begun, loop: asyncio.AbstractEventLoop) -> None:
        self.begun = begun
        self._loop = loop
        self._socket: AnswerSocket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, then: Callable[[bool], None]) -> bool:
        """Let the loop call ``then``, once: with ``True`` when the answer is there and all is stored, with ``False``
        for any other answer, or when it does not come. Returns whether this loop can.
        """
        try:
            self._socket = AnswerSocket(self.begun.sent)
            self._loop.add_reader(self._socket, self._look, then)
        except (OSError, NotImplementedError):  # the connection has ended; Windows' usual loop watches no sockets
            self.end_watch()
            return False
        self._timer = self._loop.call_later(PATIENCE_S, self._give_up, then)
        return True

    def end_watch(self) -> None:
        """Watch no more. To be called at the end of the call, also if the thread has read the answer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            with suppress(RuntimeError, NotImplementedError):  # the loop is closed, or has never watched
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _look(self, then: Callable[[bool], None]) -> None:
        is_stored = self._socket is not None and stores_all(self._socket.look())
        self.end_watch()
        then(is_stored)

    def _give_up(self, then: Callable[[bool], None]) -> None:
        self.end_watch()
        then(False)
