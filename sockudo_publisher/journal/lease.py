"""The lease of a queue: the right of one worker to take, settle and send its events.

The lease is a key with an expiry, whose value is the holder's token ``FENCE-OWNER``. The fence grows with each lease;
each script that changes a queue compares the token, and changes nothing if it is another (docs/protocol.md).

Redis cannot stop a request to Sockudo. So a holder trusts its lease for :data:`FRESH_S` from the *start* of its last
successful renewal, on the monotonic clock, and renews again before it sends if that time is over. Otherwise a process
that was frozen between take and POST could repeat a batch that its successor has delivered and the server has
forgotten.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref

from ..errors import JournalUnavailable
from ..redaction import package_logger
from ..redaction.frame_locals import clear_locals
from .keys import QueueKeys
from .redis.link import WORKER_TIMEOUT_S, Command, RedisLink, checked, evalsha
from .redis.scripts import Answer

__all__ = ["RENEW_EVERY_S", "TTL_MS", "Lease", "LeaseKeeper", "LeaseLost"]

logger = package_logger("sockudo_publisher.journal")

#: Milliseconds that a lease lasts without renewal: the lanes of a killed worker wait this long.
TTL_MS = 6000

#: Seconds between two renewals, also during a POST.
RENEW_EVERY_S = 2.0

#: Seconds after the last renewal in which a POST may start; half the lease is then left.
FRESH_S = 3.0

#: Renewals before one POST; more than one is needed only if a renewal's answer arrives later than :data:`FRESH_S`.
MAX_RENEWALS = 3

# With the usual renewals a POST never waits for one; one that starts at the last moment has half a lease for its batch;
# one renewal may fail without loss of the lease, and so may one that waits for Redis as long as it can.
assert RENEW_EVERY_S < FRESH_S <= TTL_MS / 1000 / 2
assert 2 * RENEW_EVERY_S < TTL_MS / 1000
assert TTL_MS / 1000 > WORKER_TIMEOUT_S


class LeaseLost(Exception):
    """Another worker may hold the queue: the caller writes and sends nothing more, and has nothing to undo."""


class Lease:
    """One holder's right to one queue. Made by ``Journal.acquire``.

    ``is_probing``: the holder has taken its app's right to probe (``take_right.lua``), which is renewed with the lease.
    Only the holder changes this: it finds out whether it still has the right when it needs it.
    """

    def __init__(self, keys: QueueKeys, token: str, link: RedisLink, asked_at: float) -> None:
        self.keys = keys
        self.token = token
        self.lost = False
        self.is_probing = False
        self._link = link
        self._trusted_from = asked_at

    def __repr__(self) -> str:
        return f"<Lease {self.keys.app}:{self.keys.lane} {self.keys.channel or ''} {self.token}>"

    def trust_from(self, asked_at: float) -> None:
        """Trust the lease from ``asked_at`` (monotonic): when a script was called that has extended it."""
        self._trusted_from = max(self._trusted_from, asked_at)

    def renew(self) -> None:
        """Extend the lease now. Raises :class:`LeaseLost`, or :class:`JournalUnavailable`."""
        asked_at = time.monotonic()
        answer = self._link.script("renew", (self.keys.lease,), (self.token, TTL_MS))
        if answer[0] == Answer.LOST:
            self.lost = True
            raise LeaseLost(repr(self))
        self.trust_from(asked_at)

    def ensure_fresh(self) -> bool:
        """Make sure that half of the lease is left, before a POST: ``False`` if it had to be renewed.

        The process can be frozen during a renewal too, so the age is checked again after each. Raises
        :class:`LeaseLost`.
        """
        if not self.lost and self._is_fresh():
            return True
        for _ in range(MAX_RENEWALS):
            if self.lost or self._is_fresh():
                break
            self.renew()
        if self.lost or not self._is_fresh():
            raise LeaseLost(repr(self))
        return False

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._trusted_from <= FRESH_S


class LeaseKeeper:
    """Renews all leases of this process from one thread, also during their holders' POSTs."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        _keepers.add(self)

    def after_fork(self) -> None:
        """Begin anew in a forked process: it has no thread and no lease, and the lock may have been held."""
        self._lock, self._leases, self._thread = threading.Lock(), set(), None

    def add(self, lease: Lease) -> None:
        """Keep renewing this lease."""
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="sockudo-leases", daemon=True)
                self._thread.start()

    def remove(self, lease: Lease) -> None:
        """Stop renewing this lease: it was given back or lost."""
        with self._lock:
            self._leases.discard(lease)

    def _run(self) -> None:
        while True:
            time.sleep(RENEW_EVERY_S)
            with self._lock:
                leases = tuple(self._leases)
                if not leases:
                    self._thread = None
                    return
            # A failed round loses no lease yet: the next may be in time, and each POST checks its own lease.
            try:
                self._renew(leases)
            except JournalUnavailable as error:
                logger.info("leases not renewed count=%d error=%s", len(leases), error)
            except Exception as error:
                clear_locals(error)
                # If this thread ended, the leases of long requests would expire.
                logger.exception("leases not renewed count=%d", len(leases))

    def _renew(self, leases: tuple[Lease, ...]) -> None:
        asked_at = time.monotonic()
        commands = [_renewal(one.keys.lease, one.token) for one in leases]
        # Not taken anew: a right that its holder gives back at this moment would be kept from all others, unused.
        commands += [
            _renewal(self._link.keyspace.app(one.keys.app).probe, one.token) for one in leases if one.is_probing
        ]
        answers = self._link.run(commands)
        for one, answer in zip(leases, answers, strict=False):
            if checked(answer)[0] == Answer.LOST:
                one.lost = True
            else:
                one.trust_from(asked_at)
        for answer in answers[len(leases) :]:
            checked(answer)


#: The keepers of this process.
_keepers: weakref.WeakSet[LeaseKeeper] = weakref.WeakSet()


def _after_fork() -> None:
    for keeper in tuple(_keepers):
        keeper.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _renewal(key: str, token: str) -> Command:
    """The command that extends a lease, or the right to probe, if ``token`` still has it."""
    return evalsha("renew", (key,), (token, TTL_MS))


def new_owner() -> str:
    """A unique name for one holder; from the operating system's randomness, so a fork gets its own."""
    return uuid.uuid4().hex
