"""Named places where a test can kill or freeze this process.

``SOCKUDO_FAULTPOINT="taken"`` or ``"taken:3"`` (the third time) makes :func:`crash_point` end the process
there with SIGKILL, as a crash would: no ``finally``, no flush. ``"taken:3:stop"`` freezes it there
with SIGSTOP, once; it goes on from there at SIGCONT. Without the variable, in production, it is a
function that does nothing.

Beside the steps of an event (``POINTS``) every script of the journal has two points, ``"before take"``
and ``"after take"``: Redis has done nothing of it, or all of it (:mod:`.journal.link`).
"""

from __future__ import annotations

import os
import signal
import threading

__all__ = ["IS_ARMED", "POINTS", "crash_point"]

#: Every point, in the order in which an event passes them.
POINTS = (
    "encoded",  # producer: the item's bytes are final, nothing is stored
    "appended",  # producer: stored, not rung
    "rung",  # producer: rung, the caller not yet told
    "leased",  # worker: holds the lane, nothing taken
    "taken",  # worker: the batch is marked, nothing sent
    "posted",  # worker: the server has answered, nothing settled
    "settled",  # worker: settled, the next batch taken
    "held",  # worker: an item moved to its channel's hold
    "buried",  # worker: an item moved to the dead letters
)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _freeze() -> None:
    # Sent to the process, SIGSTOP may reach another thread first, and this one would pass the point. Not under gevent,
    # whose greenlets have no thread of their own.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


_wanted, _count, _action, *_ = *os.environ.get("SOCKUDO_FAULTPOINT", "").split(":"), "", ""
_act = {"": _die, "stop": _freeze}[_action]
_left = int(_count or "1")
_lock = threading.Lock()


def _fire(point: str) -> None:
    global _left  # noqa: PLW0603 -- one countdown a process, on purpose
    if point != _wanted:
        return
    with _lock:
        _left -= 1
        if _left == 0:
            _act()


def _nothing(point: str) -> None:
    pass


#: Whether this process is to die or freeze somewhere: never in production.
IS_ARMED = bool(_wanted)

crash_point = _fire if IS_ARMED else _nothing
