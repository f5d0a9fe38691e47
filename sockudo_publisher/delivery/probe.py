"""The pause of an app as one run meets it: begin it, be the one who asks, end it for everybody.

The pause and the right to probe are in Redis, shared by all workers of the app: when the server is
gone, one asks at a time. The right lasts as long as its holder's lease, and is renewed with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from ..errors import JournalUnavailable
from ..journal.app.shared import Pause as AppPause
from ..journal.holder import Journal
from ..journal.lease import Lease
from .backoff import probe_timeout_s
from .canary_result import CanaryResult
from .control import Control
from .decide import Pause
from .outcome import Outcome
from .window import Policy

__all__ = ["AskCanaries", "Probe"]

logger = logging.getLogger("sockudo_publisher.delivery")

#: Asks, after trouble since that time (Redis', ms) and with so many seconds for the first request, whether
#: the server answers and what it remembers.
AskCanaries: TypeAlias = Callable[[int, float], CanaryResult]


class Probe:
    """One run's part in the pauses of its app. ``ask`` sends canaries before the batch; ``None``: the batch probes."""

    def __init__(self, journal: Journal, policy: Policy, control: Control, ask: AskCanaries | None) -> None:
        self._journal = journal
        self._policy = policy
        self._control = control
        self._ask = ask
        self._lease: Lease | None = None  # under which we probe
        self._count = 0  # the pauses in a row that we have seen
        self._canary_accepted = False
        self.paused_by_us = False  # the last pause began with us: we see to it that somebody asks

    @property
    def is_ours(self) -> bool:
        """Whether this run has the right to probe, as far as it knows: renewing it may have failed."""
        return self._lease is not None and self._lease.is_probing

    @property
    def asks_first(self) -> bool:
        """Whether canaries go before the batch."""
        return self._ask is not None

    def begin(self, lease: Lease, count: int) -> bool:
        """Take the right to probe, if nobody has it, after ``count`` pauses in a row."""
        self._lease, self._count, self._canary_accepted = lease, count, False
        return self.keep()

    def keep(self) -> bool:
        """Right before a request: whether the right is still ours."""
        assert self._lease is not None, "begun before"
        self._lease.is_probing = self._journal.shared.try_probe(self._lease.token)
        return self._lease.is_probing

    def ask(self, pause: AppPause, first_ms: int | None) -> CanaryResult:
        """A canary goes before the batch, and old ones say whether the server's memory survived the trouble.

        ``first_ms``: when the batch was first sent, if it was.
        """
        assert self._ask is not None, "asks_first"
        timeout_s = probe_timeout_s(pause.count, self._policy.delivery_timeout_s)
        # The pause came at the end of an attempt, which is when the server's trouble was seen, not when it began.
        began_ms = pause.since_ms - int(self._policy.delivery_timeout_s * 1000)
        asked = self._ask(began_ms if first_ms is None else min(began_ms, first_ms), timeout_s)
        self._canary_accepted = asked.finding.outcome is Outcome.ACCEPTED
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
        if self._lease is None or not self._lease.is_probing:
            return
        self._lease.is_probing = False
        try:
            self._journal.shared.end_probe(self._lease.token)
        except JournalUnavailable:
            logger.info("app %s: the right to probe runs out by itself", self._journal.app)

    def answered(self) -> None:
        """The server has answered. If we probed, the pause that we have seen is over and everybody goes on."""
        self.paused_by_us = False
        if self._lease is None or not self._lease.is_probing:
            return
        self._lease.is_probing = False
        if self._journal.shared.resume(self._lease.token, self._count):
            logger.warning("app %s: the server answers again", self._journal.app)
            self._control.ring_all()

    def nothing_to_send(self) -> None:
        """There is no batch (any more) to probe with: what the canary was told counts."""
        if self._canary_accepted:
            self.answered()
        else:
            self.end()
