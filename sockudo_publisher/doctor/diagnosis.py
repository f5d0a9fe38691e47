"""Run all checks of one app in parallel and within a time limit.

Redis, the broker and Sockudo have a thread each. A thread that is not done in time (for example because a name server
does not answer) is abandoned, and its facts stay unknown. So the limit holds whatever a part does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .. import __version__
from ..client.http.credentials import Credentials
from ..config.misspelled import unknown_variables
from ..config.settings import DEFAULT_APP, Settings
from ..journal.app.workers import Target
from ..redaction.frame_locals import without_locals
from ..wiring.app import client_of, setting_of, target_of
from ..wiring.celery_isolation import ignored_variables
from .checks.access import judge_access
from .checks.broker import judge_broker
from .checks.dedup_memory import judge_dedup_memory
from .checks.delivering import DeliveryFacts, judge_delivering
from .checks.deployment import judge_deployment
from .checks.doorbells import judge_doorbells
from .checks.limits import LimitFacts, judge_limits
from .checks.redis import judge_redis
from .checks.variables import judge_variables
from .facts.broker import collect_broker_facts
from .facts.connection import host_header
from .facts.journal import JournalFacts, collect_journal_facts
from .facts.redis import collect_redis_facts
from .facts.sockudo import SockudoFacts, Wanted, collect_sockudo_facts
from .facts.values import Access, BrokerFacts, RedisFacts
from .finding import CheckFinding, State

__all__ = ["Diagnosis", "diagnose"]

#: Seconds for all requests. Those to Sockudo take four seconds when all is well, the broker's eight without workers.
WITHIN_S = 13.0
#: Further seconds for the last answer.
MARGIN_S = 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Diagnosis:
    """All findings about one app, in a fixed order."""

    app: str
    findings: tuple[CheckFinding, ...]
    #: Whether the time was up before every question was asked: some findings are UNKNOWN for that reason alone.
    is_out_of_time: bool = False

    @property
    def is_unreachable(self) -> bool:
        """Whether Redis or Sockudo could not be reached."""
        return any(
            finding.name in ("redis.reachable", "sockudo.reachable") and finding.state is State.BROKEN
            for finding in self.findings
        )

    @property
    def is_well(self) -> bool:
        """Whether no finding is BROKEN or RISK. UNKNOWN is allowed."""
        return not any(finding.state in (State.BROKEN, State.RISK) for finding in self.findings)


@without_locals
def diagnose(settings: Settings, app: str = DEFAULT_APP, *, timeout_s: float | None = None) -> Diagnosis:
    """Check everything that the app needs, for at most ``timeout_s`` (:data:`WITHIN_S` + :data:`MARGIN_S` by default).

    Raises :class:`ConfigurationError` for settings that are not valid.
    """
    setting = setting_of(settings, app)
    credentials = Credentials.from_url(settings.url_of(app), setting=setting)
    client = client_of(settings, app)
    wanted = Wanted(settings.batch_max_events, settings.batch_max_bytes, settings.max_event_bytes)
    within_s = WITHIN_S if timeout_s is None else max(timeout_s - MARGIN_S, timeout_s / 2)
    margin_s = MARGIN_S if timeout_s is None else timeout_s - within_s
    slow = f"no answer within {within_s:g} s"
    sockudo = SockudoFacts(Access(setting, credentials.app_id, failure=slow))
    until = time.monotonic() + within_s
    replicas = settings.redis_wait[0] if settings.redis_wait else 0

    def collect_redis_and_journal() -> tuple[RedisFacts, JournalFacts]:
        redis = collect_redis_facts(settings.redis_url, replicas_wanted=replicas, namespace=settings.namespace)
        return redis, JournalFacts() if redis.failure else collect_journal_facts(settings, app)

    redis_job = _BackgroundJob(collect_redis_and_journal)
    broker_job = _BackgroundJob(lambda: collect_broker_facts(settings, until))
    sockudo_job = _BackgroundJob(lambda: collect_sockudo_facts(sockudo, client, credentials, wanted, until=until))

    last = until + margin_s
    redis, journal = redis_job.result(last) or (RedisFacts(failure=slow), JournalFacts())
    broker = broker_job.result(last) or BrokerFacts("broker", failure=slow)
    sockudo_job.result(last)
    return Diagnosis(
        app,
        (
            *judge_variables(unknown_variables(), ignored_variables()),
            *judge_redis(redis),
            *judge_broker(broker, app=app, lanes=settings.lanes, version=__version__, queue=settings.queue),
            *judge_deployment(target_of(settings, app), _seen_workers(app, journal, broker)),
            *judge_doorbells(journal.unheard, queue=settings.queue),
            *judge_access(sockudo.access),
            *judge_limits(
                LimitFacts(
                    batch_events=sockudo.batch_events,
                    batch_bytes=sockudo.batch_bytes,
                    event_bytes=sockudo.event_bytes,
                    event_name=sockudo.event_name,
                    channel_name=sockudo.channel_name,
                    learned=journal.learned,
                )
            ),
            *judge_dedup_memory(
                sockudo.canaries,
                tuple(sockudo.answers),
                journal.measured,
                window_s=settings.dedup_window,
                loads=tuple(sockudo.loads),
                connected=sockudo.connected,
            ),
            *judge_delivering(
                DeliveryFacts(
                    cuts=None if sockudo.cuts is None else tuple(sockudo.cuts),
                    through=sockudo.through,
                    answered=sockudo.answered,
                    limit=sockudo.rate_limit,
                    limited=sockudo.rate_limited,
                    history=sockudo.history,
                    pause=journal.pause,
                    server=f"{'https' if credentials.use_tls else 'http'}://{host_header(credentials)}",
                )
            ),
        ),
        is_out_of_time=time.monotonic() >= until,
    )


def _seen_workers(app: str, journal: JournalFacts, broker: BrokerFacts) -> list[tuple[str, Target]] | None:
    """Node and target of the workers in this Redis and of those that listen on the queue; ``None``: unknown."""
    if journal.workers is None and broker.workers is None:
        return None
    by_broker = [(one.node, one.targets[app]) for one in broker.workers or () if app in one.targets]
    return [*(journal.workers or ()), *by_broker]


class _BackgroundJob(Generic[T]):
    """A function that runs in its own thread from now on."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._result: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sockudo-doctor", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 -- raised by result()
            self._error = error

    def result(self, last: float) -> T | None:
        """Wait until ``last`` (``time.monotonic()``) at most; ``None``: no result. Raises the function's error."""
        self._thread.join(max(0.0, last - time.monotonic()))
        if self._error is not None:
            raise self._error
        return self._result
