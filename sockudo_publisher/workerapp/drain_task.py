"""The doorbell's Celery task: drain a lane in one of the worker's slots."""

from __future__ import annotations

from typing import Any

from ..config.settings import get_settings
from ..errors import ValidationError
from ..redaction import package_logger
from ..wiring.celery_isolation import OwnTask
from ..wiring.doorbell import doorbell
from ..wiring.drain_task import DRAIN_OPTIONS
from ..wiring.private_celery import celery_app
from . import run_drain
from .dead_reports import report_dead_letters
from .ring import read_ring

__all__ = ["drain"]

logger = package_logger("sockudo_publisher.tasks")


@celery_app.task(base=OwnTask, **DRAIN_OPTIONS)  # type: ignore[untyped-decorator]
def drain(*args: Any, **kwargs: Any) -> None:
    """``drain(app, lane, channel=None)``: deliver a lane until it is empty.

    A malformed ring is refused with one log line and frees its slot at once. Raises nothing.
    """
    try:
        app, lane, channel = read_ring(args, kwargs, get_settings().app_urls())
    except ValidationError as error:
        logger.error("doorbell refused error=%s", error)  # noqa: TRY400 -- the message says it all
        return
    again = run_drain.run_guarded(app, lane, channel)
    if again is not None:
        doorbell.ring(app, (lane,), after_s=again.after_s, channel=channel)
    report_dead_letters(app)
