"""One drain with real parts: the app's journal, its client, the doorbell, this process's stop.

``drain_task`` runs it in a worker's slot, the sweep in a thread of its own when the broker is away.
"""

from __future__ import annotations

from functools import partial

from celery.exceptions import SoftTimeLimitExceeded

from ..canaries.ask import Canaries
from ..canaries.store import DedupMemory
from ..config.settings import Settings, get_settings
from ..delivery.backoff import QUICK_S
from ..delivery.drain import DrainAgain, drain
from ..delivery.window import Policy
from ..errors import JournalUnavailable, JournalUnreadable
from ..faultpoint import crash_point
from ..redaction import package_logger
from ..redaction.frame_locals import without_locals
from ..wiring.app import App, app_named
from .drain_requests import get, post_batch
from .history_lookup import look_up_history
from .worker_control import WorkerControl

__all__ = ["canaries_of", "policy_of", "run", "run_guarded"]

logger = package_logger("sockudo_publisher.draining")


def policy_of(settings: Settings) -> Policy:
    """The delivery policy of these settings."""
    return Policy(
        batch_max_events=settings.batch_max_events,
        batch_max_bytes=settings.batch_max_bytes,
        delivery_timeout_s=settings.delivery_timeout,
        window_s=settings.dedup_window,
        on_uncertain=settings.on_uncertain,
    )


def canaries_of(app: App) -> Canaries:
    """The canaries of an app: one worker's beat plants and asks them, and a drain that probes after trouble."""
    settings = get_settings()
    return Canaries(
        app.name,
        DedupMemory(app.journal.link, app.name),
        partial(post_batch, app),
        window_s=settings.dedup_window,
        timeout_s=min(QUICK_S, settings.delivery_timeout),
    )


@without_locals
def run(app_name: str, lane: int, channel: str | None = None, *, stays: bool = True) -> DrainAgain | None:
    """Drain a lane, or one held channel of it. Raises :class:`JournalUnavailable`.

    ``stays``: it may go on watching the lane while that is quiet.
    """
    app = app_named(app_name)
    canaries = canaries_of(app)
    return drain(
        app.journal,
        lane,
        channel,
        post=partial(post_batch, app, timeout_s=get_settings().delivery_timeout),
        policy=policy_of(get_settings()),
        control=WorkerControl(app, lane, stays=stays),
        crash_point=crash_point,
        ask_canaries=canaries.check_after_trouble,
        ask_fresh_canaries=canaries.check_with_fresh_canaries,
        history_lookup=lambda items, since_ms: look_up_history(items, partial(get, app), since_ms),
        observer=app.observer,
    )


def run_guarded(app_name: str, lane: int, channel: str | None = None, *, stays: bool = True) -> DrainAgain | None:
    """As :func:`run`, for a worker's slot: raises nothing, so that one bad queue costs no other its slot.

    An error that a repeat would meet again is counted, ``status`` shows it, and the queue rests, longer each time. When
    Redis is away, the sweep rings.
    """
    try:
        return run(app_name, lane, channel, stays=stays)
    except JournalUnreadable as error:
        app_named(app_name).journal.record_failure(lane, channel, error)
    except JournalUnavailable as error:
        app_named(app_name).observer.redis_error(app_name, "drain")
        logger.warning("drain ended, the sweep rings app=%s lane=%d error=%s", app_name, lane, error)
    except SoftTimeLimitExceeded:
        # In a worker of another app, which has it for all of its tasks: the queue is not at fault.
        logger.warning(
            "drain cut by a soft time limit, rung again app=%s lane=%d channel=%s", app_name, lane, channel or "-"
        )
        return DrainAgain(0.0)
    except Exception as error:
        logger.exception("drain failed app=%s lane=%d channel=%s", app_name, lane, channel or "-")
        app_named(app_name).journal.record_failure(lane, channel, error)
    return None
