"""The lease of a queue: who may take, settle and send.

States: free, held, expired. Redis decides which: the lease is a key with an expiry that holds the
holder's token, ``FENCE-OWNER``; the fence grows with every lease, and every script that writes names
the token and changes nothing under another. What Redis cannot fence is a request to Sockudo: so
the holder counts its trust from the *start* of its last successful renewal, on the monotonic clock,
and asks again before it sends when a renewal is overdue (a process frozen between take and POST would
else repeat a batch that its successor has delivered and the server has forgotten).
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
import weakref

from ..errors import JournalUnavailable
from .keys import AppKeys, QueueKeys
from .redis.link import Command, RedisLink, checked, evalsha
from .redis.scripts import Answer

__all__ = ["RENEW_EVERY_S", "TTL_MS", "Lease", "LeaseKeeper", "LeaseLost", "probe_command"]

logger = logging.getLogger("sockudo_publisher.journal")

#: How long a lease lasts without renewal: the lanes of a killed worker wait this long.
TTL_MS = 6000

#: How often a holder renews, also during a POST.
RENEW_EVERY_S = 2.0

#: Renewals before one POST: each of them was answered too late to be trusted when it was read.
MAX_RENEWALS = 3

#: A POST starts only while the last renewal is younger than this; half the lease is then left.
FRESH_S = 3.0


class LeaseLost(Exception):
    """Somebody else may hold the queue: nothing more is written or sent, and nothing has to be undone."""


class Lease:
    """One holder's right to one queue. Made by ``Journal.acquire``.

    ``is_probing``: it asks for its app whether the server is back; that right is renewed with the lease.
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

    def renewed(self, asked_at: float) -> None:
        """A script that extends the lease has answered; it was asked at ``asked_at`` (monotonic)."""
        self._trusted_from = max(self._trusted_from, asked_at)

    def renew(self) -> None:
        """Extend the lease now. Raises :class:`LeaseLost`, or :class:`JournalUnavailable`."""
        asked_at = time.monotonic()
        answer = self._link.script("renew", (self.keys.lease,), (self.token, TTL_MS))
        if answer[0] == Answer.LOST:
            self.lost = True
            raise LeaseLost(repr(self))
        self.renewed(asked_at)

    def ensure_fresh(self) -> bool:
        """Before a POST: at least half of the lease is left, or it is renewed first.

        ``False``: it had to be, so time has passed. A process may be frozen while its renewal is answered,
        too: it looks again. Raises :class:`LeaseLost`.
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
    """Renews every lease of this process from one thread, also while the holders are in a POST."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        _keepers.add(self)

    def after_fork(self) -> None:
        """A fork has neither the parent's thread nor its leases; a thread of the parent's may have held the lock."""
        self._lock, self._leases, self._thread = threading.Lock(), set(), None

    def add(self, lease: Lease) -> None:
        """Keep renewing this lease."""
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="sockudo-leases", daemon=True)
                self._thread.start()

    def remove(self, lease: Lease) -> None:
        """The lease was given back or lost."""
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
            # A failed round is no loss yet: the next may come in time, and each POST looks itself.
            try:
                self._renew(leases)
            except JournalUnavailable as error:
                logger.info("leases not renewed: %s", error)
            except Exception:
                # A keeper that died would let the leases of long requests run out.
                logger.exception("leases not renewed")

    def _renew(self, leases: tuple[Lease, ...]) -> None:
        asked_at = time.monotonic()
        probers = [one for one in leases if one.is_probing]
        commands = [evalsha("renew", (one.keys.lease,), (one.token, TTL_MS)) for one in leases]
        commands += [probe_command(self._link.keyspace.app(one.keys.app), one.token) for one in probers]
        answers = self._link.run(commands)
        for one, answer in zip(leases, answers[: len(leases)], strict=True):
            if checked(answer)[0] == Answer.LOST:
                one.lost = True
            else:
                one.renewed(asked_at)
        for one, answer in zip(probers, answers[len(leases) :], strict=True):
            if checked(answer)[0] != Answer.DONE:
                one.is_probing = False


#: The keepers of this process.
_keepers: weakref.WeakSet[LeaseKeeper] = weakref.WeakSet()


def _after_fork() -> None:
    for keeper in tuple(_keepers):
        keeper.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def probe_command(keys: AppKeys, token: str) -> Command:
    """Become the app's prober, or stay it, for as long as a lease lasts."""
    return evalsha("take_right", (keys.probe,), (token, TTL_MS))


def new_owner() -> str:
    """A name for one holder; from the operating system's randomness, so a fork gets its own."""
    return uuid.uuid4().hex
