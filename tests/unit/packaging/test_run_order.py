"""The order in which a run of several processes takes the files: each directory is spread over it."""

from __future__ import annotations

import pytest

from tests.support.order import spread

pytestmark = pytest.mark.unit

WAITING = [f"tests/acceptance/test_{n}.py" for n in range(3)]
OTHERS = [f"tests/integration/client/test_{n}.py" for n in range(9)]
UNIT = [f"tests/unit/client/test_{n}.py" for n in range(10)]


def test_each_file_has_one_place() -> None:
    """However many tests it has: a test for each name that is given."""
    places = spread([*WAITING, *WAITING, *OTHERS, *UNIT])
    assert sorted(places) == sorted([*WAITING, *OTHERS, *UNIT])
    assert sorted(places.values()) == list(range(len(places)))


def test_directories_are_mixed() -> None:
    """After each third of the one, a third of the other; the order within a directory stays."""
    places = spread([*WAITING, *OTHERS])
    in_order = sorted(places, key=places.__getitem__)
    assert [file for file in in_order if file in WAITING] == WAITING
    assert [file for file in in_order if file in OTHERS] == OTHERS
    assert [sum(file in WAITING for file in in_order[start : start + 4]) for start in (0, 4, 8)] == [1, 1, 1]


def test_unit_tests_fill_the_end() -> None:
    """They are short: no process is left alone with a long file."""
    places = spread([*UNIT, *OTHERS])
    assert sorted(places, key=places.__getitem__) == [*OTHERS, *UNIT]
