"""Workers that contradict each other: the later one leaves, exactly one stays."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sockudo_publisher.journal.app.workers import LiveWorker, Target, first_rival, other_hosts

pytestmark = pytest.mark.unit

targets = st.builds(Target, st.sampled_from(["blue", "green"]), st.sampled_from(["h:1", "h:2"]))
workers = st.lists(
    st.builds(LiveWorker, st.uuids().map(str), st.just("n@h"), targets, st.integers(0, 3)),
    max_size=6,
    unique_by=lambda worker: worker.owner,
)


@given(workers)
def test_first_worker_stays_and_its_rivals_leave(found: list[LiveWorker]) -> None:
    """After all have looked, those that stay deliver to one app; the first of all is among them."""
    staying = [one for one in found if first_rival(one, found) is None]
    if found:
        first = min(found, key=lambda one: (one.since_ms, one.owner))
        assert first in staying
        assert {one.target.app_id for one in staying} == {first.target.app_id}


@given(workers, targets)
def test_only_the_same_app_has_other_hosts(found: list[LiveWorker], mine: Target) -> None:
    """Another app is a rival, not another way to it."""
    others = other_hosts(mine, found)
    assert all(one.target.app_id == mine.app_id and one.target.host != mine.host for one in others)
    assert {one.owner for one in found} - {one.owner for one in others} >= {
        one.owner for one in found if one.target == mine
    }
