"""Sends the signal ``event_dead`` for the dead letters of an app, in a worker's slot.

After each drain, when its lane has been given back, so that a receiver delays no delivery of the lane. The sweep rings
lanes whose letters were not reported: their worker died, or another one wrote them. Without receivers nothing is read.
"""

from __future__ import annotations

import time

from celery.exceptions import SoftTimeLimitExceeded

from ..errors import ConfigurationError, JournalUnavailable
from ..faultpoint import crash_point
from ..journal.dead_reports import DeadReports
from ..redaction import package_logger
from ..redaction.frame_locals import clear_locals, without_locals
from ..signals import DeadEvent, event_dead
from ..wiring import stop
from ..wiring.app import app_named

__all__ = ["lanes_to_report", "report_dead_letters"]

logger = package_logger("sockudo_publisher.dead_reports")

#: Seconds of a slot that the receivers may take in a row; the sweep rings for the rest.
SLICE_S = 5.0

#: Seconds of one receiver's run from which on it is logged: it takes a slot from the delivery.
SLOW_S = 1.0


def lanes_to_report(name: str) -> list[int]:
    """The lanes of an app whose dead letters wait for a report; none if this process has no receiver for them."""
    if not event_dead.has_listeners(name):
        return []
    journal = app_named(name).journal
    return DeadReports(journal.link, name).lanes_to_report(journal.lanes())


def report_dead_letters(name: str) -> None:
    """Report the letters of all lanes of an app that wait for it, oldest first in each lane. Raises nothing."""
    try:
        if lanes := lanes_to_report(name):
            _report(name, lanes)
    except (JournalUnavailable, ConfigurationError) as error:
        logger.warning("dead letters not reported, the sweep tries again app=%s error=%s", name, error)
    except SoftTimeLimitExceeded:
        logger.warning("report of dead letters cut by a soft time limit, the sweep tries again app=%s", name)
    except Exception as error:
        clear_locals(error)
        logger.exception("dead letters not reported, the sweep tries again app=%s", name)


def _report(name: str, lanes: list[int]) -> None:
    reports = DeadReports(app_named(name).journal.link, name)
    if not reports.take_right():
        return
    end = time.monotonic() + SLICE_S
    try:
        for lane in lanes:
            while letters := reports.letters_to_report(lane):
                for letter in letters:
                    if stop.flag.is_set() or time.monotonic() >= end:
                        return
                    _send(DeadEvent.of(name, letter))
                    crash_point("reported")
                    if not reports.mark_and_renew(letter):
                        return
    finally:
        reports.drop_right()


@without_locals
def _send(letter: DeadEvent) -> None:
    """Call the receivers. Celery's signal logs what they raise, and calls the others."""
    begun = time.monotonic()
    event_dead.send(sender=letter.app, letter=letter)
    took_s = time.monotonic() - begun
    if took_s >= SLOW_S:
        logger.warning(
            "receivers of event_dead are slow app=%s channel=%s message_id=%s seconds=%.1f",
            *(letter.app, letter.channel, letter.message_id, took_s),
        )
