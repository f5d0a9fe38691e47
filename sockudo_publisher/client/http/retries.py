"""Decide whether a failed call is repeated, and after how long. Pure, except the jitter.

A request that was certainly not sent is always repeated. A request that may have arrived is repeated only if the server
can recognise the repeat, by a ``message_id`` or an ``idempotency_key``, or if a repeat changes nothing, as for queries.
A permanent error ends the call. Imports the error tree. Facts: docs/server.md, 3 and 3.7; docs/sdks.md, V1 to V5.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from ...errors import CallError, ConfigurationError, SockudoHTTPError

__all__ = ["CLIENTS", "Retries", "RetriesLike", "as_retries"]

#: The largest number of attempts of one call: with waits of seconds, more attempts are the work of a queue.
MAX_ATTEMPTS: Final = 100
#: The longest time of one call with all its attempts, in seconds: the server remembers an id for 120 by default.
MAX_TOTAL_S: Final = 100.0
#: Seconds that must be left to start an attempt: a shorter one would end with an unknown result.
MIN_ATTEMPT_S: Final = 0.2
#: Seconds to wait for a ``Retry-After: 0``.
MIN_RETRY_AFTER_S: Final = 1.0


@dataclass(frozen=True)
class Retries:
    """How often a call is attempted, and for how long.

    ``attempts``: the number of attempts with the first one, 1 to 100. ``total_s``: seconds from the start of the
    first to the end of the last, up to 100; the first always has its whole timeout. ``first_wait_s``: the
    longest wait after the first failure, doubled with each further failure up to ``longest_wait_s``; the real wait is
    random between 0 and that. A ``Retry-After`` of the server is added to it.
    Raises ``ConfigurationError``.
    """

    attempts: int = 3
    total_s: float = 20.0
    first_wait_s: float = 0.2
    longest_wait_s: float = 5.0

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise ConfigurationError("retries: attempts: expected a number")
        if not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise ConfigurationError(f"retries: {self.attempts} attempts, must be 1 to {MAX_ATTEMPTS}")
        for name in ("total_s", "first_wait_s", "longest_wait_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigurationError(f"retries: {name}: expected seconds")
            if not 0 < value <= MAX_TOTAL_S:
                raise ConfigurationError(f"retries: {name} is {value:g}, must be above 0 and at most {MAX_TOTAL_S:g}")

    def wait_s(self, error: CallError, *, repeatable: bool, attempt: int, elapsed_s: float) -> float | None:
        """Seconds to wait before the next attempt, or ``None`` to give up.

        ``attempt``: the number of attempts so far. ``elapsed_s``: seconds since the start of the first.
        ``repeatable``: a second request that arrives does no harm.
        """
        if attempt >= self.attempts or error.permanent or (error.sent and not repeatable):
            return None
        wait = self._jitter_s(attempt)
        asked = error.retry_after if isinstance(error, SockudoHTTPError) else None
        if asked is not None:
            wait += max(asked, MIN_RETRY_AFTER_S)
        return wait if elapsed_s + wait + MIN_ATTEMPT_S <= self.total_s else None

    def _jitter_s(self, attempt: int) -> float:
        return random.uniform(0.0, min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1)))


class _Clients(Enum):
    CLIENTS = "the client's own"


#: The default of a call's ``retries``: those of its client.
CLIENTS: Final = _Clients.CLIENTS

#: ``retries=``: a :class:`Retries`, a number of attempts after the first, or ``None``, ``False``, 0 for none.
RetriesLike: TypeAlias = Retries | int | None
#: ``retries=`` of one call.
CallRetries: TypeAlias = RetriesLike | Literal[_Clients.CLIENTS]

#: A single attempt.
ONCE: Final = Retries(attempts=1)


def as_retries(value: RetriesLike) -> Retries:
    """The :class:`Retries` of a ``retries=`` argument; ``True`` is the default. Raises ``ConfigurationError``."""
    if isinstance(value, Retries):
        return value
    if value is None or value is False:
        return ONCE
    if value is True:
        return Retries()
    if not isinstance(value, int) or value < 0:
        raise ConfigurationError("retries: expected a number of 0 or more, a Retries or None")
    return Retries(attempts=value + 1)
