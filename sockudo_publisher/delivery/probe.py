"""The pause of an app as one run meets it: begin it, be the one who asks, end it for everybody.

The pause and the right to probe are in Redis, shared by all workers of the app: when the server is
gone, one asks at a time. The right lasts as long as its holder's requests may take, and runs out by
itself if the holder dies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from ..errors import JournalUnavailable
from ..journal.journal import Journal
from .backoff import probe_timeout_s
from .canaries import Asked
from .control import Control
from .decide import Pause
from .memory import AFTER_TROUBLE
from .window import Policy

__all__ = ["AskCanaries", "Probe"]

logger = logging.getLogger("sockudo_publisher.delivery")

#: Asks, after trouble since that time (Redis', ms) and with so many seconds for each request, whether the
#: server answers and what it remembers.
AskCanaries: TypeAlias = Callable[[int, float], Asked]


class Probe:
    """One run's part in the pauses of its app. ``ask`` goes first when we probe; none: the batch itself asks."""

    def __init__(self, journal: Journal, policy: Policy, control: Control, ask: AskCanaries | None) -> None:
        self._journal = journal
        self._policy = policy
        self._control = control
        self._ask = ask
        self.is_ours = False  # the right to probe
        self.paused_by_us = False  # the last pause began with us: we see to it that somebody asks
        self._token = ""

    def begin(self, token: str) -> bool:
        """Take the right to probe, if nobody has it, or keep it: for one attempt at a batch."""
        self._token = token
        return self._hold_for(self._policy.delivery_timeout_s)

    def _hold_for(self, seconds: float) -> bool:
        self.is_ours = self._journal.shared.try_probe(self._token, seconds)
        return self.is_ours

    def ask(self, paused_ms: int, count: int, first_ms: int | None) -> Asked | None:
        """A canary goes before the batch, and old ones say whether the server's memory survived the trouble.

        ``paused_ms``, ``count``: since when, and how many pauses in a row; ``first_ms``: when the batch
        was first sent, if it was. ``None``: nobody to ask, or another one asks now.
        """
        if self._ask is None:
            return None
        timeout_s = probe_timeout_s(count, self._policy.delivery_timeout_s)
        if not self._hold_for(timeout_s * (1 + AFTER_TROUBLE)):
            return None
        # The pause came at the end of an attempt, which is when the server's trouble was seen, not when it began.
        began_ms = paused_ms - int(self._policy.delivery_timeout_s * 1000)
        asked = self._ask(began_ms if first_ms is None else min(began_ms, first_ms), timeout_s)
        self.begin(self._token)
        return asked

    def pause(self, pause: Pause) -> None:
        """All workers of the app wait; then one asks."""
        level = logging.ERROR if pause.is_loud else logging.WARNING
        words = (pause.reason, pause.wait_s, pause.words)
        logger.log(level, "app %s: nothing is sent (%s) for %.1f s: %s", self._journal.app, *words)
        self._journal.shared.pause(pause.reason, pause.wait_s, pause.words)
        self.end()
        self.paused_by_us = True

    def end(self) -> None:
        """Let another probe, if we did."""
        if self.is_ours:
            self.is_ours = False
            try:
                self._journal.shared.end_probe(self._token)
            except JournalUnavailable:
                logger.info("app %s: the right to probe runs out by itself", self._journal.app)

    def answered(self) -> None:
        """The server has answered. If we probed, the pause is over and everybody goes on."""
        self.paused_by_us = False
        if self.is_ours:
            self.is_ours = False
            if self._journal.shared.resume(self._token):
                logger.warning("app %s: the server answers again", self._journal.app)
            self._control.ring_all()
