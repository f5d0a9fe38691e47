"""What of a status needs a person, and which of it `--fail-on` chooses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sockudo_publisher import ValidationError
from sockudo_publisher.journal.app.operator import OperatorPause
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.app.workers import LiveWorker, Target
from sockudo_publisher.journal.status import LaneStatus
from sockudo_publisher.operations.app_status import AppStatus, PauseStatus, ScheduleStatus
from sockudo_publisher.operations.problems import PROBLEMS, FailOn, find_problems

pytestmark = pytest.mark.unit

LANE = LaneStatus(0, depth=1, held=0, dead=0, oldest_age_s=59.0, leased=False, armed=True)
WORKER = LiveWorker("o", "w@host", Target("a", "127.0.0.1:6001"), 1)
FINE = AppStatus("a", (LANE,), None, {}, Limits(), workers=(WORKER,))

WRONG = {
    "dead": replace(FINE, lanes=(replace(LANE, dead=1),)),
    "paused": replace(FINE, pause=PauseStatus("busy", 1, 2, "")),
    "forgets": replace(FINE, advice="raise the capacity"),
    "unconfigured": replace(FINE, configured=False),
    "workers": replace(FINE, workers=()),
    "rival": replace(FINE, rival="another"),
    "unreadable": replace(FINE, lanes=(replace(LANE, unreadable=("key",)),)),
    "failing": replace(FINE, lanes=(replace(LANE, failures=1),)),
    "newer": replace(FINE, lanes=(replace(LANE, newer_version="2"),)),
    "parked": replace(FINE, schedule=ScheduleStatus(count=1, parked=1)),
}


def test_fine_app_has_no_problem() -> None:
    """Events that wait are none."""
    assert find_problems(FINE) == ()
    assert FailOn().problems(FINE) == ()


def test_every_problem_of_an_app_is_tried() -> None:
    """Rows of an outbox are of no app."""
    assert {*WRONG, "outbox"} == set(PROBLEMS)


@pytest.mark.parametrize("name", WRONG)
def test_each_problem_is_found_and_can_be_left_out(name: str) -> None:
    """By default all count."""
    assert find_problems(WRONG[name]) == (name,)
    assert FailOn().problems(WRONG[name]) == (name,)
    others = ",".join(other for other in PROBLEMS if other != name)
    assert FailOn.parse(others).problems(WRONG[name]) == ()
    assert FailOn.parse(name).problems(WRONG[name]) == (name,)


def test_without_a_worker_events_may_wait_a_little() -> None:
    """As while the only worker is restarted; an empty app, and one that is not configured, need none."""
    alone = replace(FINE, workers=())
    assert find_problems(replace(alone, lanes=(replace(LANE, oldest_age_s=14.9),))) == ()
    assert find_problems(replace(alone, lanes=(replace(LANE, depth=0, oldest_age_s=None),))) == ()
    assert find_problems(replace(alone, configured=False)) == ("unconfigured",)


def test_operators_pause_is_a_pause() -> None:
    """A person has to end it."""
    assert find_problems(replace(FINE, operator_pause=OperatorPause("r", "ana", 1))) == ("paused",)


@pytest.mark.parametrize(
    ("text", "found"),
    [("oldest=60", ()), ("oldest=58.5", ("oldest",)), ("dead, oldest=59", ()), ("oldest=0", ("oldest",))],
)
def test_age_of_the_oldest_event_is_a_problem_on_request(text: str, found: tuple[str, ...]) -> None:
    """Longer than the seconds given."""
    assert FailOn.parse(text).problems(FINE) == found


LATE = replace(FINE, schedule=ScheduleStatus(count=1, next_due_ms=1, late_s=90.0))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("oldest=60", ("oldest", "late")),
        ("oldest=90", ()),
        ("oldest=58", ("oldest", "late")),
        ("late=60", ("late",)),
        ("late=90", ()),
        ("oldest=100,late=60", ("late",)),
        ("late=100,oldest=60", ("oldest", "late")),
        ("dead", ()),
    ],
)
def test_scheduled_event_that_is_late_is_old_too(text: str, found: tuple[str, ...]) -> None:
    """`late` says that it is a scheduled one; the oldest event of a lane is 59 s old here."""
    assert FailOn.parse(text).problems(LATE) == found


@pytest.mark.parametrize(
    ("fail_on", "parked", "age_s", "found"),
    [
        (FailOn(), 0, 1e6, ()),
        (FailOn(), 1, 0.0, ("outbox",)),
        (FailOn.parse("outbox"), 2, 0.0, ("outbox",)),
        (FailOn.parse("dead"), 2, 0.0, ()),
        (FailOn.parse("oldest=60"), 2, 60.5, ("oldest",)),
        (FailOn.parse("oldest=60,outbox"), 1, 61.0, ("outbox", "oldest")),
        (FailOn.parse("late=1"), 0, 61.0, ()),
    ],
)
def test_rows_of_an_outbox_are_problems(fail_on: FailOn, parked: int, age_s: float, found: tuple[str, ...]) -> None:
    """Parked ones; and those that wait too long, on request."""
    assert fail_on.outbox_problems(parked=parked, oldest_age_s=age_s) == found


def test_late_is_of_scheduled_events_alone() -> None:
    assert FailOn.parse("late=0").problems(FINE) == ()


@pytest.mark.parametrize(
    "text", ["", "x", "dead,", "oldest", "oldest=", "oldest=-1", "oldest=x", "oldest=1e9", "DEAD", "late", "late=-1"]
)
def test_unknown_problem_is_named(text: str) -> None:
    """With what is known."""
    with pytest.raises(
        ValidationError, match=r"^fail-on: .*expected some of dead, paused, .*oldest=SECONDS, late=SECONDS$"
    ):
        FailOn.parse(text)
