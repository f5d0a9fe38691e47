"""Whether the relays of this process are alive and ready, and the HTTP port that answers it (``SOCKUDO_METRICS_PORT``).

*Alive*: a batch ended lately. *Ready*: the last pass moved all rows that it found. The relays of one process share one
port, from the start of the first to the end of the last. The judgements are pure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..config.settings import get_settings
from ..errors import ConfigurationError
from ..redaction import package_logger, printable
from ..wiring.health import HealthCheck, answer_health
from ..wiring.http_endpoints import EndpointServer, add_route, remove_route
from .figures import ReadFigures
from .relay_metrics import begin_metrics, metrics_handler

__all__ = ["RelayState", "beat", "judge_liveness", "judge_readiness", "watched"]

logger = package_logger("sockudo_publisher.outbox")

#: Seconds, beyond the interval, after which a relay without an ended batch counts as dead: a batch waits for row
#: locks, and up to 4 s for each answer of Redis.
MAX_SILENT_S = 60.0


class RelayState:
    """What one relay has done last. ``every_s``: seconds between two passes; ``waiting``: as in ``Relayed``."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.beat_at = time.monotonic()
        self.waiting: Mapping[str, str] | None = None  # None: no pass has ended yet

    def beat(self) -> None:
        """A batch has ended."""
        self.beat_at = time.monotonic()

    def passed(self, waiting: Mapping[str, str]) -> None:
        """A pass has ended."""
        self.waiting = dict(waiting)
        self.beat()


def judge_liveness(states: Sequence[RelayState], now: float) -> list[HealthCheck]:
    """The checks of ``/healthz``; ``now``: of the monotonic clock."""
    found = []
    for state in states:
        silent_s = now - state.beat_at
        is_silent = silent_s > MAX_SILENT_S + state.every_s
        found.append(HealthCheck("relay", f"no batch has ended for {silent_s:.0f} s" if is_silent else ""))
    return found


def judge_readiness(states: Sequence[RelayState], settings_problem: str = "") -> list[HealthCheck]:
    """The checks of ``/readyz``."""
    found = [HealthCheck("settings", settings_problem)]
    for state in states:
        if state.waiting is None:
            found.append(HealthCheck("relay", "its first pass has not ended"))
        for app, why in (state.waiting or {}).items():
            found.append(HealthCheck("relay", printable(f"rows wait app={app}: {why}" if app else f"rows wait: {why}")))
        if state.waiting == {}:
            found.append(HealthCheck("relay"))
    return found


# -- this process -------------------------------------------------------------------------------------

_lock = threading.Lock()
_states: list[RelayState] = []
_tables: list[ReadFigures] = []
_server: EndpointServer | None = None
_own = threading.local()


def beat() -> None:
    """A batch of this thread's relay has ended; nothing if it is no watched relay."""
    state: RelayState | None = getattr(_own, "state", None)
    if state is not None:
        state.beat()


@contextmanager
def watched(every_s: float, read_figures: ReadFigures | None = None) -> Iterator[RelayState]:
    """The state of a relay that runs in this thread, served while it does if ``SOCKUDO_METRICS_PORT`` is set.

    ``read_figures``: counts the rows of its table, for ``/metrics``.

    Raises :class:`ConfigurationError` if the port is taken.
    """
    global _server  # noqa: PLW0603 -- the one place
    state = RelayState(every_s)
    with _lock:
        if read_figures is not None:
            _tables.append(read_figures)
        if not _states:
            _server = _start_server()
        _states.append(state)
    _own.state = state
    try:
        yield state
    finally:
        _own.state = None
        with _lock:
            _states.remove(state)
            if read_figures is not None:
                _tables.remove(read_figures)
            if not _states and _server is not None:
                _server.stop()
                _server = None
                remove_route("/healthz")
                remove_route("/readyz")
                remove_route("/metrics")


def _start_server() -> EndpointServer | None:
    try:
        settings = get_settings()
    except ConfigurationError:
        return None  # the relay goes on: its rows wait, with this error as the reason
    if not settings.metrics_port:
        return None
    server = EndpointServer(settings.metrics_host, settings.metrics_port)
    begin_metrics()
    add_route("/metrics", metrics_handler(settings, _tables))
    add_route("/healthz", lambda _: answer_health(judge_liveness(tuple(_states), time.monotonic())))
    add_route("/readyz", lambda _: answer_health(judge_readiness(tuple(_states), _settings_problem())))
    server.start()
    return server


def _settings_problem() -> str:
    try:
        get_settings()
    except ConfigurationError as error:
        return printable(str(error))
    return ""
