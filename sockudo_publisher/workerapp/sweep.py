"""The sweep: every worker looks every second for lanes whose doorbell was lost, and for held channels that are due.

Its I/O runs in a thread of its own, not in the consumer's timer, so a slow broker or Redis stops
neither. When the broker takes no doorbell, the sweep drains in this process: the journal needs Redis
and Sockudo only.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from celery import bootsteps

from .. import draining
from ..apps import app_named
from ..doorbell import doorbell
from ..errors import ConfigurationError, JournalUnavailable
from ..settings import get_settings

__all__ = ["Sweep", "slots_of", "sweep_once"]

logger = logging.getLogger("sockudo_publisher.sweep")

_Queue = TypeVar("_Queue")

#: Seconds between two sweeps of one worker.
EVERY_S = 1.0

#: Drains that the sweep runs itself while the broker is away.
OWN_DRAINS = 8


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker: started after its pool, so that forked children are not made beside the thread."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        # Before the pool starts, so that forked children know it too.
        draining.state.slots = slots_of(parent)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._own = ThreadPoolExecutor(OWN_DRAINS, thread_name_prefix="sockudo-own-drain")
        self._draining: set[tuple[str, int, str | None]] = set()
        self._asked: set[str] = set()  # apps whose number of lanes is what our settings want, or becomes it

    def start(self, _parent: Any) -> None:
        """Begin to sweep."""
        self._thread = threading.Thread(target=self._run, name="sockudo-sweep", daemon=True)
        self._thread.start()

    def stop(self, _parent: Any) -> None:
        """End it; drains of its own see the worker's stop."""
        draining.state.stop.set()
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._own.shutdown(wait=True)

    terminate = stop

    def _run(self) -> None:
        while not self._over.wait(EVERY_S) and not draining.state.stop.is_set():
            for name in get_settings().app_urls():
                try:
                    # Once a worker's life: in a rolling change old and new ones would ask against each other.
                    if name not in self._asked and app_named(name).journal.ask_for_lanes():
                        self._asked.add(name)
                    for lane, channel in sweep_once(name):
                        self._drain_here(name, lane, channel)
                except JournalUnavailable as error:
                    logger.warning("sweep of app %s: %s", name, error)
                except ConfigurationError as error:
                    logger.error("sweep of app %s: %s", name, error)  # noqa: TRY400 -- the message says it all
                except Exception:
                    # A sweep that died would leave lost doorbells lost: it goes on, and says what happened.
                    logger.exception("sweep of app %s", name)

    def _drain_here(self, name: str, lane: int, channel: str | None) -> None:
        key = (name, lane, channel)
        if key in self._draining:
            return
        self._draining.add(key)
        logger.warning("app %s lane %d: the broker is away, draining without it", name, lane)

        def job() -> None:
            try:
                draining.run_guarded(name, lane, channel)
            finally:
                self._draining.discard(key)

        self._own.submit(job)


def slots_of(worker: Any) -> int:
    """How many drains the worker can run at once; 0: not known. Celery gives the solo pool any concurrency."""
    pool = getattr(worker, "pool_cls", None)
    if getattr(pool, "__module__", "") == "celery.concurrency.solo":
        return 1
    return int(getattr(worker, "concurrency", 0) or 0)


def sweep_once(name: str) -> list[tuple[int, str | None]]:
    """Ring what has to be rung; answers what the broker would not take.

    While the app is paused nothing is rung; when the pause has run out, one lane, to probe: any, since the
    head of one may be what only a newer release can send. Where nothing waits, an empty one: a canary probes.
    """
    journal = app_named(name).journal
    open_lanes = journal.advance_layout()
    pause = journal.shared.view().pause
    if pause is not None and pause.until_ms > journal.now_ms():
        return []
    lanes, due = journal.sweep(open_lanes)
    if pause is not None:
        lanes, due = _one(lanes), ([] if lanes else _one(due))
        if not lanes and not due:
            lanes = _one(open_lanes)
    refused: list[tuple[int, str | None]] = []
    if lanes and not doorbell.ring(name, lanes):
        refused += [(lane, None) for lane in lanes]
    for lane, channel in due:
        if not doorbell.ring(name, (lane,), channel=channel):
            refused.append((lane, channel))
    return refused


def _one(of: Sequence[_Queue]) -> list[_Queue]:
    return random.sample(of, min(1, len(of)))
