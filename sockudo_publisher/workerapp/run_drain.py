"""One drain with real parts: the app's journal, its client, the doorbell, this process's stop.

``tasks.drain`` runs it in a worker's slot, the sweep in its own thread when the broker is away.
"""

from __future__ import annotations

import logging
import mmap
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import worker_shutting_down

from ..canaries.ask import Canaries
from ..canaries.store import DedupMemory
from ..config.settings import Settings, get_settings
from ..delivery.backoff import QUICK_S
from ..delivery.drain import DrainAgain, drain
from ..delivery.outcome import NoReply, Reply
from ..delivery.window import Policy
from ..errors import JournalUnavailable, JournalUnreadable, SockudoConnectionError
from ..faultpoint import crash_point
from ..wiring.app import App, app_named
from ..wiring.doorbell import doorbell
from .history_lookup import recorded

__all__ = [
    "StopFlag",
    "WorkerState",
    "canaries",
    "policy",
    "run",
    "run_guarded",
    "state",
    "stop_with_worker",
    "wait_or_stop",
]

logger = logging.getLogger("sockudo_publisher.draining")

#: Seconds of one nap inside a wait: bounds how long a stop is not seen.
NAP_S = 0.1


#: The flag's byte in a cold shutdown.
_COLD = 3


class StopFlag:
    """Set once, from a signal handler, and seen by threads, greenlets and children forked later.

    A byte of shared memory without a lock. A ``multiprocessing.Event`` locks to be read: a signal that
    comes while its own thread reads waits for itself, and a child killed while it reads stops everybody.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def is_set(self) -> bool:
        """Whether the worker shuts down."""
        return self._byte[0] != 0

    def set(self) -> None:
        """It does."""
        self._byte[0] |= 1

    def is_cold(self) -> bool:
        """Whether it does not wait for drains."""
        return self._byte[0] == _COLD

    def set_cold(self) -> None:
        """It does not."""
        self._byte[0] = _COLD


class WorkerState:
    """What the drains of this process must know of their worker.

    ``stop``: set when the worker shuts down. ``slots``: how many drains the worker can run at once;
    0 = not known, taken for scarce.
    """

    def __init__(self) -> None:
        self.stop = StopFlag()
        self.slots = 0


#: The state of this process.
state = WorkerState()


def wait_or_stop(seconds: float) -> bool:
    """Sleep, at most until the worker shuts down; whether it does."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not state.stop.is_set():
        time.sleep(min(left, NAP_S))
    return state.stop.is_set()


def stop_with_worker() -> None:
    """Let a warm shutdown (SIGTERM) of this process's worker end its drains between two requests.

    Celery announces it in the worker's main process only, and then waits for the running tasks; a
    drain may run for as long as there are events.
    """
    worker_shutting_down.connect(_set_stop, weak=False, dispatch_uid="sockudo_publisher.stop")


def _set_stop(**_: Any) -> None:
    state.stop.set()


class _WorkerControl:
    """The loop's view of the worker (``delivery.control.Control``)."""

    def __init__(self, app: App, lane: int) -> None:
        self._app = app
        self._lane = lane
        self._names = tuple(get_settings().app_urls())

    def stopping(self) -> bool:
        return state.stop.is_set()

    def others_wait(self) -> bool:
        if self.slots_are_scarce():
            return True  # messages too, which nobody can ask for: they are in the broker, or in the pool's queue
        for name in self._names:
            journal = app_named(name).journal
            pause = journal.shared.view().pause
            if pause is not None and pause.left_ms(journal.now_ms()):
                continue
            try:
                lanes = journal.lanes()
            except JournalUnreadable:
                continue  # its sweep says so; no other app stands still for it
            others = [lane for lane in lanes if (name, lane) != (self._app.name, self._lane)]
            if (others and journal.waiting(others)) or journal.holds_wait(lanes):
                return True
        return False

    def slots_are_scarce(self) -> bool:
        # Where every lane has a slot there is none for a held channel.
        return state.slots <= get_settings().lanes * len(self._names)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        wait_or_stop(seconds)

    def ring_all(self) -> None:
        journal = self._app.journal
        doorbell.ring(self._app.name, journal.not_empty(journal.lanes()))


def policy(settings: Settings) -> Policy:
    """The delivery policy of these settings."""
    return Policy(
        batch_max_events=settings.batch_max_events,
        batch_max_bytes=settings.batch_max_bytes,
        delivery_timeout_s=settings.delivery_timeout,
        window_s=settings.dedup_window,
        on_uncertain=settings.on_uncertain,
    )


def canaries(app: App) -> Canaries:
    """The canaries of an app: one worker's beat plants and asks them, and whoever probes after trouble."""
    settings = get_settings()
    return Canaries(
        app.name,
        DedupMemory(app.journal.link, app.name),
        partial(_post, app),
        window_s=settings.dedup_window,
        timeout_s=min(QUICK_S, settings.delivery_timeout),
    )


def run(app_name: str, lane: int, channel: str | None = None) -> DrainAgain | None:
    """Drain a lane, or one held channel of it. Raises :class:`JournalUnavailable`."""
    app = app_named(app_name)
    asked = canaries(app)
    return drain(
        app.journal,
        lane,
        channel,
        post=partial(_post, app, timeout_s=get_settings().delivery_timeout),
        policy=policy(get_settings()),
        control=_WorkerControl(app, lane),
        crash_point=crash_point,
        ask_canaries=asked.after_trouble,
        ask_fresh_canaries=asked.fresh,
        history_lookup=lambda items, since_ms: recorded(items, partial(_get, app), since_ms),
    )


def run_guarded(app_name: str, lane: int, channel: str | None = None) -> DrainAgain | None:
    """As :func:`run`, for a worker's slot: raises nothing, so that one bad queue costs no other its slot.

    An error that a repeat would meet again is counted, ``status`` shows it, and the queue rests, longer each time. When
    Redis is away, the sweep rings.
    """
    try:
        return run(app_name, lane, channel)
    except JournalUnreadable as error:
        app_named(app_name).journal.failed(lane, channel, error)
    except JournalUnavailable as error:
        logger.warning("app %s lane %d: %s; the sweep rings again", app_name, lane, error)
    except SoftTimeLimitExceeded:
        # In a worker of another app, which has it for all of its tasks: the queue is not at fault.
        logger.warning(
            "drain cut by a soft time limit, rung again app=%s lane=%d channel=%s", app_name, lane, channel or "-"
        )
        return DrainAgain(0.0)
    except Exception as error:
        logger.exception("drain failed app=%s lane=%d channel=%s", app_name, lane, channel or "-")
        app_named(app_name).journal.failed(lane, channel, error)
    return None


def _post(app: App, body: bytes, timeout_s: float) -> Reply | NoReply:
    """One attempt at a batch."""
    try:
        response = app.client.send("POST", "/batch_events", body=body, timeout=timeout_s)
    except SockudoConnectionError as error:
        return NoReply(sent=error.sent, words=str(error))
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, response.body, headers)


def _get(app: App, path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
    """One look, with the client's short timeout."""
    response = app.client.send("GET", path, query=parameters)
    return response.status, response.body
