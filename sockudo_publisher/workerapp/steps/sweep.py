"""The sweep: every worker looks every second for lanes whose doorbell was lost, and for held channels that are due.

Its I/O runs in a thread of its own, not in the consumer's timer, so a slow broker or Redis stops
neither. When the broker takes no doorbell, or takes them and no worker answers (its queue is read by
none: a consumer was cancelled, or the broker is another than the workers'), the sweep drains in this
process: the journal needs Redis and Sockudo only.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from celery import bootsteps
from celery.worker import state as worker_state

from ...config.settings import get_settings
from ...errors import ConfigurationError, JournalUnavailable
from ...wiring import stop
from ...wiring.app import app_named
from ...wiring.celery_isolation import USAGE
from ...wiring.doorbell import doorbell
from .. import run_drain, slots
from ..check_settings import refuse
from ..presence import Presence

__all__ = ["Sweep", "slots_of", "sweep_once", "trim_once"]

logger = logging.getLogger("sockudo_publisher.sweep")

_Queue = TypeVar("_Queue")

#: Seconds between two sweeps of one worker.
EVERY_S = 1.0

#: Seconds between two looks at an app's dead letters: they are bounded where they are written, their age is not.
TRIM_EVERY_S = 10.0

#: Drains that the sweep runs itself while doorbells reach no worker.
OWN_DRAINS = 8

#: Why it does.
AWAY = "the broker is away"
UNHEARD = "no worker answers its doorbells"


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker: started after its pool, so that forked children are not made beside the thread."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        # Before the pool starts, so that forked children know it too.
        slots.count = slots_of(parent)
        self._presence = Presence(parent.hostname)
        try:
            self._presence.enter()
        except ConfigurationError as error:
            refuse(error)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._own = ThreadPoolExecutor(OWN_DRAINS, thread_name_prefix="sockudo-own-drain")
        self._draining: set[tuple[str, int, str | None]] = set()
        self._trim_at: dict[str, float] = {}  # app -> when its dead letters are looked at again, monotonic
        self._asked: set[str] = set()  # apps whose number of lanes is what our settings want, or becomes it

    def start(self, _parent: Any) -> None:
        """Begin to sweep."""
        self._thread = threading.Thread(target=self._run, name="sockudo-sweep", daemon=True)
        self._thread.start()

    def stop(self, _parent: Any) -> None:
        """End it; drains of its own see the worker's stop."""
        stop.flag.set()
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._own.shutdown(wait=True)
        # Last, when nothing of this worker is sent any more.
        self._presence.leave()

    terminate = stop

    def _run(self) -> None:
        while not self._over.wait(EVERY_S) and not stop.flag.is_set():
            for name in get_settings().app_urls():
                try:
                    if self._contradicts_others(name):
                        return
                    # Once a worker's life: in a rolling change old and new ones would ask against each other.
                    if name not in self._asked and app_named(name).journal.ask_for_lanes():
                        self._asked.add(name)
                    for lane, channel, why in sweep_once(name, has_free_slot=has_free_slot()):
                        self._drain_here(name, lane, channel, why)
                    # Last: dead letters that cannot be trimmed keep no lane from being rung.
                    if time.monotonic() >= self._trim_at.get(name, 0.0) and trim_once(name):
                        self._trim_at[name] = time.monotonic() + TRIM_EVERY_S
                except JournalUnavailable as error:
                    logger.warning("sweep of app %s: %s", name, error)
                except ConfigurationError as error:
                    logger.error("sweep of app %s: %s", name, error)  # noqa: TRY400 -- the message says it all
                except Exception:
                    # A sweep that died would leave lost doorbells lost: it goes on, and says what happened.
                    logger.exception("sweep of app %s", name)

    def _contradicts_others(self, name: str) -> bool:
        """Whether this worker must end, which it then does: Redis was away when it started, or lost the records."""
        try:
            self._presence.beat(name)
        except JournalUnavailable as error:
            logger.debug("app %s: not announced: %s", name, error)  # where Redis is away, the sweep says so
        except ConfigurationError as error:
            logger.error("the worker ends: %s", error)  # noqa: TRY400 -- the message says it all
            stop.flag.set()
            worker_state.should_stop = USAGE
            return True
        return False

    def _drain_here(self, name: str, lane: int, channel: str | None, why: str) -> None:
        key = (name, lane, channel)
        if key in self._draining:
            return
        self._draining.add(key)
        logger.warning("app %s lane %d: %s, draining without it", name, lane, why)

        def job() -> None:
            try:
                run_drain.run_guarded(name, lane, channel)
            finally:
                self._draining.discard(key)

        self._own.submit(job)


def slots_of(worker: Any) -> int:
    """How many drains the worker can run at once; 0: not known. Celery gives the solo pool any concurrency."""
    pool = getattr(worker, "pool_cls", None)
    if getattr(pool, "__module__", "") == "celery.concurrency.solo":
        return 1
    return int(getattr(worker, "concurrency", 0) or 0)


def trim_once(name: str) -> bool:
    """Let dead letters beyond the app's bounds leave; ``False``: there may be more."""
    journal = app_named(name).journal
    return journal.trim_dead(journal.lanes())


def has_free_slot() -> bool:
    """Whether this worker would answer a doorbell at once, as far as its slots go."""
    return len(worker_state.reserved_requests) < max(1, slots.count)


def sweep_once(name: str, *, has_free_slot: bool = True) -> list[tuple[int, str | None, str]]:
    """Ring what has to be rung; answers what must be drained here, and why.

    While the app is paused nothing is rung; when the pause has run out, one lane, to probe: any, since the
    head of one may be what only a newer release can send. Where nothing waits, an empty one: a canary probes.

    A lane whose doorbells reach no worker is drained by a worker that ``has_free_slot``: where all slots are taken
    its doorbells wait for one, as they should.
    """
    journal = app_named(name).journal
    open_lanes = journal.advance_layout()
    pause = journal.shared.view().pause
    if pause is not None and pause.left_ms(journal.now_ms()):
        return []
    lanes, due = journal.sweep(open_lanes, is_counted=pause is None)
    if pause is not None:
        lanes, due = _one(lanes), ([] if lanes else _one(due))
        if not lanes and not due:
            lanes = _one(open_lanes)
    found: list[tuple[int, str | None]] = [*((lane, None) for lane in lanes), *due]
    unheard = journal.unheard_lanes(lane for lane, _ in found) if found and has_free_slot else set()
    here: list[tuple[int, str | None, str]] = [(lane, channel, UNHEARD) for lane, channel in found if lane in unheard]
    lanes = [lane for lane in lanes if lane not in unheard]
    if lanes and not doorbell.ring(name, lanes):
        here += [(lane, None, AWAY) for lane in lanes]
    for lane, channel in due:
        if lane not in unheard and not doorbell.ring(name, (lane,), channel=channel):
            here.append((lane, channel, AWAY))
    return here


def _one(of: Sequence[_Queue]) -> list[_Queue]:
    return random.sample(of, min(1, len(of)))
