"""The one word for a lane, which `status` and the dashboard show."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher.journal.status import LaneStatus

#: In the order in which a person has to know of them: each also with all that comes behind it.
STATES: dict[str, dict[str, Any]] = {
    "newer version": {"newer_version": "9"},
    "unreadable": {"unreadable": ("counts",)},
    "failing": {"failures": 3, "failure": "unknown"},
    "draining": {"leased": True, "depth": 1},
    "rung": {"armed": True},
    "waiting": {"depth": 1},
    "empty": {},
}


def lane(**fields: Any) -> LaneStatus:
    quiet = {"depth": 0, "held": 0, "dead": 0, "oldest_age_s": None, "leased": False, "armed": False}
    return LaneStatus(**{"lane": 0, **quiet, **fields})


@pytest.mark.parametrize("state", STATES)
def test_state_is_the_first_that_matters(state: str) -> None:
    assert lane(**STATES[state]).state == state
    names = list(STATES)
    behind: dict[str, Any] = {}
    for name in reversed(names[names.index(state) :]):
        behind.update(STATES[name])
    assert lane(**behind).state == state


@pytest.mark.parametrize("armed", [True, False])
def test_leased_lane_without_an_event_is_watched(armed: bool) -> None:
    seen = lane(leased=True, armed=armed)
    assert (seen.state, seen.is_draining) == ("watched", False)
