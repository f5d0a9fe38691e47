"""The pause of an app as one run meets it: begin it, take the right to probe, end it for all workers.

The pause and the right to probe are in Redis, shared by all workers of the app: while the server is away, one run at
a time tries whether it is back. The right lasts as long as the lease of its holder, and is renewed with it.
"""

from __future__ import annotations

import logging

from ..errors import JournalUnavailable
from ..journal.holder import Journal
from ..journal.lease import Lease
from ..telemetry.observer import NOTHING, Observer
from .control import Control
from .decide import Pause
from .log import log

__all__ = ["Probe"]


class Probe:
    """One run's part in the pauses of its app.

    ``is_canary_accepted``: a canary of this probe was accepted, so the server works; ``has_paused``: the last pause
    was begun by this run, which rings the queue when it is over.
    """

    def __init__(self, journal: Journal, control: Control, observer: Observer = NOTHING) -> None:
        self.is_canary_accepted = False
        self.has_paused = False
        self._journal = journal
        self._control = control
        self._observer = observer
        self._lease: Lease | None = None  # the right to probe is renewed with it
        self._count = 0  # the pauses in a row that are known

    @property
    def is_ours(self) -> bool:
        """Whether this run has the right to probe, as far as it knows: a renewal may have failed."""
        return self._lease is not None and self._lease.is_probing

    def take_right(self, lease: Lease, count: int) -> None:
        """Take the right to probe unless another run has it; ``count``: pauses in a row so far."""
        self._lease, self._count, self.is_canary_accepted = lease, count, False
        self.keep_right()

    def keep_right(self) -> bool:
        """Renew the right, right before a request; ``False``: another run has it."""
        assert self._lease is not None, "taken before"
        self._lease.is_probing = self._journal.shared.try_probe(self._lease.token)
        return self._lease.is_probing

    def pause(self, pause: Pause) -> None:
        """Let all workers of the app wait; then one of them probes."""
        level = logging.ERROR if pause.is_loud else logging.WARNING
        seconds = round(pause.wait_s, 1)
        log(level, "paused", pause.message, app=self._journal.app, reason=pause.reason, seconds=seconds)
        self._journal.shared.pause(pause.reason, pause.wait_s, pause.message)
        self._observer.paused(self._journal.app, pause.reason)
        self.give_back_right()
        self.has_paused = True

    def give_back_right(self) -> None:
        """Let another run probe, if this one did."""
        if self._lease is None or not self._lease.is_probing:
            return
        self._lease.is_probing = False
        try:
            self._journal.shared.end_probe(self._lease.token)
        except JournalUnavailable:
            log(logging.INFO, "right to probe not given back, it runs out by itself", app=self._journal.app)

    def end_pause(self) -> None:
        """The server has answered: end the pause that this run probes in, if it does, and ring all lanes."""
        self.has_paused = False
        if self._lease is None or not self._lease.is_probing:
            return
        self._lease.is_probing = False
        if self._journal.shared.resume(self._lease.token, self._count):
            log(logging.INFO, "server answers again", app=self._journal.app)
            self._control.ring_all()
