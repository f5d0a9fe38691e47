"""The sweep: every second, every worker searches for lanes whose doorbell was lost, and for held channels that are due.

Its I/O runs in its own thread, not in the consumer's timer, so a slow broker or Redis does not stop the consumer. If
the broker takes no doorbell, or takes doorbells that no worker answers (a cancelled consumer, or a broker that the
workers do not use), the sweep drains in this process: the journal needs only Redis and Sockudo.
"""

from __future__ import annotations

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
from ...redaction import package_logger
from ...redaction.frame_locals import clear_locals
from ...wiring import stop
from ...wiring.app import app_named
from ...wiring.celery_isolation import USAGE
from ...wiring.doorbell import doorbell
from ...wiring.private_celery import SPARE_SLOTS
from .. import health, quiet_lanes, run_drain, slots
from ..broker_probe import broker_probe
from ..check_settings import refuse
from ..dead_reports import lanes_to_report, report_dead_letters
from ..logs import write_summary
from ..presence import Presence

__all__ = ["Sweep", "slots_of", "sweep_once", "trim_once", "watches_quiet_lanes"]

logger = package_logger("sockudo_publisher.sweep")

_Queue = TypeVar("_Queue")

#: Seconds between two sweeps of one worker.
EVERY_S = 1.0

#: Seconds between two trims of an app's dead letters: writes bound their number and size, only this bounds their age.
TRIM_EVERY_S = 10.0

#: Seconds between two looks for dead letters that were not reported (``event_dead``).
REPORT_EVERY_S = 2.0

#: Drains that the sweep runs itself while doorbells reach no worker.
OWN_DRAINS = 8

#: Pools whose drains run in other processes, or one at a time.
_POOLS_OF_OTHERS = frozenset({"celery.concurrency.prefork", "celery.concurrency.solo"})

#: The reasons.
AWAY = "the broker is away"
UNHEARD = "no worker answers its doorbells"


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker. It starts after the pool, so that the pool does not fork while the thread runs."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        # Before the pool starts, so that forked children know it too.
        slots.count = slots_of(parent)
        self._presence = Presence(
            parent.hostname,
            lambda: health.reads_queue(parent) and not broker_probe.is_known_to_be_away(),
            watches=watches_quiet_lanes(parent),
        )
        try:
            self._presence.enter()
        except ConfigurationError as error:
            refuse(error)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._own = ThreadPoolExecutor(OWN_DRAINS, thread_name_prefix="sockudo-own-drain")
        self._draining: set[tuple[str, int, str | None]] = set()
        self._trim_at: dict[str, float] = {}  # app -> when its dead letters are looked at again, monotonic
        self._report_at: dict[str, float] = {}  # app -> when unreported dead letters are looked for again, monotonic
        self._apps_with_lanes: set[str] = set()  # apps whose number of lanes is or becomes SOCKUDO_LANES

    def start(self, _parent: Any) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="sockudo-sweep", daemon=True)
        self._thread.start()

    def stop(self, _parent: Any) -> None:
        """End the thread; drains that the sweep runs see the worker's stop."""
        stop.flag.set()
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._own.shutdown(wait=True)
        write_summary(is_last=True)
        # Last, when this worker sends nothing any more.
        self._presence.leave()

    terminate = stop

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while not self._end.wait(EVERY_S) and not stop.flag.is_set():
            write_summary()
            for name in get_settings().app_urls():
                try:
                    if self._contradicts_others(name):
                        return
                    # Once per worker: in a rolling change, old and new workers would undo each other's request.
                    if name not in self._apps_with_lanes and app_named(name).journal.ask_for_lanes():
                        self._apps_with_lanes.add(name)
                    place = self._presence.place_among(name)
                    for lane, channel, why in sweep_once(name, has_free_slot=has_free_slot(), place=place):
                        self._drain_here(name, lane, channel, why)
                    if time.monotonic() >= self._report_at.get(name, 0.0):
                        self._report_at[name] = time.monotonic() + REPORT_EVERY_S
                        self._ring_for_reports(name)
                    # Last: a failed trim must not keep a lane from being rung.
                    if time.monotonic() >= self._trim_at.get(name, 0.0) and trim_once(name):
                        self._trim_at[name] = time.monotonic() + TRIM_EVERY_S
                except JournalUnavailable as error:
                    app_named(name).observer.redis_error(name, "sweep")
                    logger.warning("sweep failed app=%s error=%s", name, error)
                except ConfigurationError as error:
                    logger.error("sweep failed app=%s error=%s", name, error)  # noqa: TRY400 -- the message says it all
                except Exception as error:
                    clear_locals(error)
                    # The sweep goes on: without it, lost doorbells would stay lost.
                    logger.exception("sweep failed app=%s", name)

    def _ring_for_reports(self, name: str) -> None:
        """Let a slot report the dead letters that are not reported yet; a thread of this process without a broker."""
        lanes = lanes_to_report(name)[:1]  # one report is for all lanes
        if lanes and not doorbell.ring(name, lanes):
            self._own.submit(report_dead_letters, name)

    def _contradicts_others(self, name: str) -> bool:
        """Announce this worker. If others contradict it (Redis was away at its start), end it and return ``True``."""
        try:
            self._presence.beat(name)
        except JournalUnavailable as error:
            logger.debug("worker not announced app=%s error=%s", name, error)  # the sweep warns if Redis is away
        except ConfigurationError as error:
            logger.error("worker ends error=%s", error)  # noqa: TRY400 -- the message says it all
            stop.flag.set()
            worker_state.should_stop = USAGE
            return True
        return False

    def _drain_here(self, name: str, lane: int, channel: str | None, why: str) -> None:
        key = (name, lane, channel)
        if key in self._draining:
            return
        self._draining.add(key)
        app_named(name).observer.drained_without_doorbell(name, "broker_away" if why == AWAY else "unheard")
        logger.warning(
            "lane drained without doorbell app=%s lane=%d channel=%s reason=%s", name, lane, channel or "-", why
        )

        def job() -> None:
            try:
                run_drain.run_guarded(name, lane, channel, stays=False)  # its thread is one of a few
                report_dead_letters(name)
            finally:
                self._draining.discard(key)

        self._own.submit(job)


def slots_of(worker: Any) -> int:
    """The number of drains that the worker can run at once; 0: unknown. Celery gives the solo pool any concurrency."""
    pool = getattr(worker, "pool_cls", None)
    if getattr(pool, "__module__", "") == "celery.concurrency.solo":
        return 1
    return int(getattr(worker, "concurrency", 0) or 0)


def watches_quiet_lanes(worker: Any) -> bool:
    """Whether its drains run in this process, with slots for all lanes and some to spare."""
    pool = getattr(getattr(worker, "pool_cls", None), "__module__", "")
    lanes = get_settings().lanes * len(get_settings().app_urls())
    return pool not in _POOLS_OF_OTHERS and slots_of(worker) > lanes


def trim_once(name: str) -> bool:
    """Delete dead letters beyond the app's bounds; ``False``: there may be more."""
    journal = app_named(name).journal
    return journal.trim_dead(journal.lanes())


def has_free_slot() -> bool:
    """Whether this worker has a slot for a doorbell."""
    # After a lost connection Celery 5.5 forgets which of the running ones were reserved.
    taken = max(len(worker_state.reserved_requests), len(worker_state.active_requests))
    return taken < max(1, slots.count)


def sweep_once(
    name: str, *, has_free_slot: bool = True, place: tuple[int, int] | None = None
) -> list[tuple[int, str | None, str]]:
    """Ring lanes and held channels that need it. Returns (lane, channel, reason) of each that must be drained here.

    While the app is paused nothing is rung. When the pause has expired, one random lane is rung, to probe (random, as
    the head of one lane may be an event that only a newer release can send). If nothing waits, an empty lane is rung:
    a canary probes. While an operator pauses the app, a lane is rung only if it has events that may be out.

    A lane whose doorbells reach no worker is drained here only if ``has_free_slot``: if all slots are busy, its
    doorbells rightly wait.

    ``place``: this worker's among those of the app, for its part of the quiet lanes. It watches none while all its
    slots are busy, or the app is paused.
    """
    journal = app_named(name).journal
    open_lanes = journal.advance_layout()
    shared = journal.shared.view()
    pause = shared.pause
    if has_free_slot and pause is None and shared.operator_pause is None:
        most = min(quiet_lanes.MAX_KEPT, max(0, slots.count - SPARE_SLOTS)) // len(get_settings().app_urls())
        quiet_lanes.keep(name, quiet_lanes.part_of(journal.appending_lanes(), place, most))
    else:
        quiet_lanes.forget(name)
    if pause is not None and pause.left_ms(journal.now_ms()):
        return []
    lanes, due = journal.sweep(open_lanes, is_counted=pause is None, only_marked=shared.operator_pause is not None)
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
