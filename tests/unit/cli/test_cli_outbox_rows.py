"""The rows of an outbox in `status`: counted in one thread, bounded in time, and never more than their numbers."""

from __future__ import annotations

import threading
import time

import pytest

from sockudo_publisher.cli.outbox_rows import OutboxLook, RowCounter, outbox_lines
from sockudo_publisher.outbox.figures import OutboxFigures

pytestmark = pytest.mark.unit

ROWS = [OutboxFigures("default", 3, 12.5, 0), OutboxFigures("[red]eu\x1b[1m", 0, 0.0, 2)]


def test_no_table_is_no_line() -> None:
    assert RowCounter([]).look() is None


def test_rows_of_all_tables_are_summed() -> None:
    look = RowCounter([lambda: ROWS[:1], lambda: ROWS[1:]]).look()
    assert look is not None
    assert (look.parked, look.oldest_age_s, len(look.rows)) == (2, 12.5, 2)
    assert look.as_json()["rows"][0] == {"app": "default", "waiting": 3, "oldest_age_s": 12.5, "parked": 0}
    first, second = outbox_lines(look)
    assert first.endswith("3 rows wait, the oldest for 12.5 s")
    assert "2 parked" in second
    assert "\x1b" not in second


def test_one_app_alone() -> None:
    look = RowCounter([lambda: ROWS], "default").look()
    assert look == OutboxLook(ROWS[:1])


def test_failing_database_is_not_known_by_its_kind() -> None:
    """Its text may hold a row."""

    def fail() -> list[OutboxFigures]:
        raise ValueError("the payload")

    look = RowCounter([fail]).look()
    assert look is not None
    assert (look.failure, look.as_json()["rows"], look.parked) == ("ValueError", None, 0)
    assert "the payload" not in outbox_lines(look)[0]


def test_frozen_database_holds_one_thread() -> None:
    """However often it is asked; its rows are shown when it answers."""
    answers = threading.Event()
    calls: list[int] = []

    def wait() -> list[OutboxFigures]:
        calls.append(1)
        answers.wait(30)
        return ROWS

    counter = RowCounter([wait])
    began = time.monotonic()
    for _ in range(3):
        look = counter.look(0.02)
        assert look is not None
        assert look.failure == "no answer within 0.02 s"
    assert time.monotonic() - began < 5
    assert len(calls) == 1
    answers.set()
    assert counter.look(30) == OutboxLook(ROWS)
    assert outbox_lines(OutboxLook()) == ["[dim]outbox: no rows[/]"]
