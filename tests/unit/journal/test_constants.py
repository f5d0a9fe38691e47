"""Constants of different files that belong together; those of one file are asserted beside each other there."""

from __future__ import annotations

import re

import pytest

from sockudo_publisher.delivery.backoff import HOLD_CAP_S
from sockudo_publisher.journal import dead_letters, holder, lease, pack
from sockudo_publisher.journal.app import shared
from sockudo_publisher.journal.layout import layout
from sockudo_publisher.workerapp.steps import sweep
from tests.unit.journal.lua_header import paths

pytestmark = pytest.mark.unit


def lua(file: str, name: str) -> int:
    """A constant of a script."""
    [path] = [path for path in paths() if path.stem == file]
    found = re.findall(rf"^local {name} = (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1
    return int(found[0])


def test_append_once_makes_packs_of_the_usual_size() -> None:
    """One entry never holds more items than pack.py puts into one."""
    assert lua("append_once", "MAX_ITEMS") == pack.MAX_ITEMS


def test_both_sides_know_the_same_longest_pause() -> None:
    """The script corrects what the reader would ignore."""
    assert lua("pause", "LONGEST_MS") == shared.LONGEST_PAUSE_MS


def test_no_rest_or_retry_is_taken_for_damage() -> None:
    """The sweep corrects times that are further off than any that are written."""
    assert lua("sweep", "MAX_REST_MS") > holder.LONGEST_REST_MS
    assert max(holder.LONGEST_REST_MS, HOLD_CAP_S * 1000) < lua("sweep", "MAX_DUE_MS")


def test_a_lane_is_swept_more_often_than_it_is_rung() -> None:
    """A ring is due at most one interval of the sweep late, and a dead worker's lane waits little after its lease."""
    assert sweep.EVERY_S * 1000 <= holder.SWEEP_GAP_MS
    assert sweep.EVERY_S < lease.TTL_MS / 1000


def test_a_page_of_letters_is_within_one_trim() -> None:
    """The sweep looks at more letters in a call than a reader of them."""
    assert dead_letters.PAGE <= holder.MAX_TRIMMED
    assert lua("dead", "MAX_READ") <= lua("dead", "MAX_TRIMMED") <= holder.MAX_TRIMMED


def test_a_layout_record_has_room_for_all_changes() -> None:
    """What this release writes, this release can read."""
    assert layout.MAX_RETIRED + 1 <= layout.MAX_SPANS
    assert layout.MAX_SPANS * layout.MAX_LANES <= layout.MAX_LANE
