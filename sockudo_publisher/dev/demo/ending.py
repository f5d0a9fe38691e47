"""One stack of what was started, unwound whatever ends the program. Imports nothing of the package."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["Ended", "everything_ends"]


#: Seconds after which a signal that ended nothing is raised again.
RAISED_AGAIN_S = 5.0


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP: to be treated like Ctrl-C."""


@contextmanager
def everything_ends(announce: Callable[[], object] = lambda: None) -> Iterator[ExitStack]:
    """A stack of what was started. Ctrl-C, SIGTERM and SIGHUP unwind it, and so does an error.

    ``announce`` is called before that. A second Ctrl-C does not stop the unwinding: it is bounded by
    timeouts, and half of it would leave processes behind. A first one that comes while Python runs a destructor
    or a weak reference's callback is printed by Python and lost: it is raised again. Signals are the main
    thread's; elsewhere (tests) there are none to handle.
    """
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in handled} if in_main else {}

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.setitimer(signal.ITIMER_REAL, RAISED_AGAIN_S)
        raise Ended

    try:
        with ExitStack() as stack:
            for number in before:
                signal.signal(number, end)
            try:
                yield stack
            finally:
                for number in before:
                    signal.signal(number, signal.SIG_IGN)
                if in_main:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                announce()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
