"""Which callables get the total of a bulk job, and where it comes from."""

from __future__ import annotations

import pytest

from sockudo_publisher import ValidationError
from sockudo_publisher.publishing.progress import progress_with_total

pytestmark = pytest.mark.unit


class Method:
    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def one(self, stored):
        self.calls.append((stored,))

    def two(self, done, of):
        self.calls.append((done, of))

    def by_name(self, stored, *, total):
        self.calls.append((stored, total))

    def with_default(self, stored, total=None):
        self.calls.append((stored, total))

    def third(self, stored, started=0.0, total=None):
        self.calls.append((stored, total))

    def rest(self, *numbers):
        self.calls.append(numbers)

    def other_default(self, stored, started=0.0):
        self.calls.append((stored, started))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", (3,)),
        ("two", (3, 9)),
        ("by_name", (3, 9)),
        ("with_default", (3, 9)),
        ("third", (3, 9)),
        ("rest", (3,)),
        ("other_default", (3, 0.0)),
    ],
)
def test_a_callable_gets_the_total_if_it_takes_it(name, expected):
    """What worked with one argument is called as before."""
    told = Method()
    progress_with_total(getattr(told, name), 9, iter(()))(3)
    assert told.calls == [expected]


def test_functions_of_c_get_the_number_alone(capsys):
    """``print`` and ``list.append``."""
    numbers: list[int] = []
    progress_with_total(numbers.append, 9, ())(3)
    progress_with_total(print, 9, ())(4)
    assert numbers == [3]
    assert capsys.readouterr().out == "4\n"


@pytest.mark.parametrize(
    ("total", "events", "expected"),
    [(None, [1, 2], 2), (7, [1, 2], 7), (0, [1, 2], 0), (None, iter([1]), None), (None, range(5), 5)],
)
def test_the_total_is_given_or_the_length(total, events, expected):
    """A generator has neither: None."""
    told = Method()
    progress_with_total(told.two, total, events)(1)
    assert told.calls == [(1, expected)]


def test_the_length_is_not_asked_in_vain():
    """len() of a query set runs the query."""

    class Query:
        def __len__(self):
            raise AssertionError("asked")

    assert progress_with_total(None, None, Query()) is None
    progress_with_total(Method().one, None, Query())(1)
    progress_with_total(Method().two, 5, Query())(1)


@pytest.mark.parametrize("progress", [None, Method().two])
@pytest.mark.parametrize(
    ("total", "error"), [("5", TypeError), (1.5, TypeError), (True, TypeError), (-1, ValidationError)]
)
def test_a_wrong_total_is_refused(progress, total, error):
    """Also without a progress."""
    with pytest.raises(error, match=r"^total: "):
        progress_with_total(progress, total, ())
