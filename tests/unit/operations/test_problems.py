"""What of a status needs a person, and which of it `--fail-on` chooses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sockudo_publisher import ValidationError
from sockudo_publisher.journal.app.operator import OperatorPause
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.status import LaneStatus
from sockudo_publisher.operations.app_status import AppStatus, PauseStatus, ScheduleStatus
from sockudo_publisher.operations.problems import PROBLEMS, FailOn, find_problems

pytestmark = pytest.mark.unit

LANE = LaneStatus(0, depth=1, held=0, dead=0, oldest_age_s=59.0, leased=False, armed=True)
FINE = AppStatus("a", (LANE,), None, {}, Limits())

WRONG = {
    "dead": replace(FINE, lanes=(replace(LANE, dead=1),)),
    "paused": replace(FINE, pause=PauseStatus("busy", 1, 2, "")),
    "forgets": replace(FINE, advice="raise the capacity"),
    "unconfigured": replace(FINE, configured=False),
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


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_is_found_and_can_be_left_out(name: str) -> None:
    """By default all count."""
    assert find_problems(WRONG[name]) == (name,)
    assert FailOn().problems(WRONG[name]) == (name,)
    others = ",".join(other for other in PROBLEMS if other != name)
    assert FailOn.parse(others).problems(WRONG[name]) == ()
    assert FailOn.parse(name).problems(WRONG[name]) == (name,)


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


@pytest.mark.parametrize("text", ["", "x", "dead,", "oldest", "oldest=", "oldest=-1", "oldest=x", "oldest=1e9", "DEAD"])
def test_unknown_problem_is_named(text: str) -> None:
    """With what is known."""
    with pytest.raises(ValidationError, match=r"^fail-on: .*expected some of dead, paused, .*oldest=SECONDS$"):
        FailOn.parse(text)
