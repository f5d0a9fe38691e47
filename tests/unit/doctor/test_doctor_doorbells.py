"""What unanswered rings and other apps' variables mean."""

from __future__ import annotations

import pytest

from sockudo_publisher.doctor.checks.doorbells import RECENT_S, judge_doorbells
from sockudo_publisher.doctor.checks.variables import judge_variables
from sockudo_publisher.doctor.finding import State

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("unheard", "state"),
    [
        ({}, State.FINE),
        ({3: RECENT_S + 1}, State.FINE),
        ({3: RECENT_S}, State.RISK),
        ({0: 1.0, 7: 5000.0}, State.RISK),
        (None, State.UNKNOWN),
    ],
)
def test_recent_unanswered_rings_are_a_risk(unheard: dict[int, float] | None, state: State) -> None:
    [finding] = judge_doorbells(unheard)
    assert (finding.name, finding.state) == ("doorbells", state)


def test_unheard_lanes_are_named() -> None:
    """Only those of the last ten minutes, and when it was."""
    [finding] = judge_doorbells({5: 40.0, 2: 12.4, 1: 5000.0})
    assert "lanes 2, 5, last 12 s ago" in finding.why
    assert "SOCKUDO_BROKER_URL" in finding.change
    assert "add_consumer sockudo`" in finding.change


def test_queue_that_is_to_be_read_again_is_the_deployment_s() -> None:
    """A worker without a namespace reads another one."""
    [finding] = judge_doorbells({5: 40.0}, queue="sockudo.blue")
    assert "add_consumer sockudo.blue`" in finding.change


def test_variables_of_other_apps_are_named_and_no_risk() -> None:
    """They have no influence here; who meant them to sees it."""
    [finding] = judge_variables({}, ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"])
    assert finding.state is State.FINE
    assert finding.why.endswith(
        "ignored here, because they configure other Celery apps: CELERY_BROKER_URL, CELERY_RESULT_BACKEND"
    )
    [finding] = judge_variables({"SOCKUDO_X": ""}, ["CELERY_BROKER_URL"])
    assert finding.state is State.RISK
    assert "CELERY_BROKER_URL" in finding.why
