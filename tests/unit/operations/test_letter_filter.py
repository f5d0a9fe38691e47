"""Which letters a filter means, and which selections are refused before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher import ValidationError
from sockudo_publisher.operations.letter_filter import REASONS, LetterFilter
from sockudo_publisher.operations.letters import DeadLetter
from sockudo_publisher.operations.selection import MAX_NAMED, Selection

pytestmark = pytest.mark.unit

NOW_MS = 1_000_000


def letter(**fields: Any) -> DeadLetter:
    given = {"reason": "refused", "channel": "c", "name": "n", "dead_ms": NOW_MS - 5_000, **fields}
    rest = {"id": "0-1-1", "app": "a", "message_id": "m", "message": "", "attempts": 1, "first_ms": 0, "size": 1}
    return DeadLetter(**rest, maybe_delivered=False, item=b"{}", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"reason": "refused"}, True),
        ({"reason": "conflict"}, False),
        ({"channel": "c"}, True),
        ({"channel": "C"}, False),
        ({"channel": ""}, False),
        ({"event": "n"}, True),
        ({"event": "n2"}, False),
        ({"older_than_s": 5}, True),
        ({"older_than_s": 5.001}, False),
        ({"older_than_s": 0}, True),
        ({"reason": "refused", "channel": "d"}, False),
        ({"reason": "refused", "channel": "c", "event": "n", "older_than_s": 1}, True),
    ],
    ids=str,
)
def test_each_criterion_must_fit(wanted: dict[str, Any], fits: bool) -> None:
    """All that are given, exactly."""
    assert LetterFilter(**wanted).fits(letter(), NOW_MS) is fits
    assert LetterFilter(**wanted).is_empty is (not wanted)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"reason": "Refused"}, "reason"),
        ({"reason": 3}, "reason"),
        ({"channel": b"c"}, "channel"),
        ({"event": ["n"]}, "event"),
        ({"older_than_s": -1}, "older_than_s"),
        ({"older_than_s": float("nan")}, "older_than_s"),
        ({"older_than_s": float("inf")}, "older_than_s"),
        ({"older_than_s": "5"}, "older_than_s"),
        ({"older_than_s": True}, "older_than_s"),
    ],
    ids=str,
)
def test_malformed_criterion_is_named(wanted: dict[str, Any], field: str) -> None:
    """At the caller, before Redis is asked."""
    with pytest.raises(ValidationError, match=rf"^{field}: "):
        LetterFilter(**wanted)


def test_reasons_are_those_that_the_delivery_gives() -> None:
    """A reason without a filter could not be replayed by it."""
    from typing import get_args

    from sockudo_publisher.delivery.decide import BuryReason

    assert {*get_args(BuryReason), "uncertain", "expired"} == {*REASONS}


@pytest.mark.parametrize(
    ("ids", "wanted", "all_", "told"),
    [
        (None, {}, False, "got nothing"),
        (["0-1-1"], {}, True, "got ids and all"),
        (["0-1-1"], {"reason": "refused"}, False, "got ids and filter"),
        (None, {"reason": "refused"}, True, "got filter and all"),
    ],
    ids=["nothing", "ids and all", "ids and a filter", "a filter and all"],
)
def test_selection_is_exactly_one_of_three(
    ids: list[str] | None, wanted: dict[str, Any], all_: bool, told: str
) -> None:
    """A purge of everything is said on purpose."""
    with pytest.raises(ValidationError, match=rf"^ids: .*{told}$"):
        Selection.of(ids, LetterFilter(**wanted), all=all_)


@pytest.mark.parametrize("ids", ["0-1-1", ["x"], ["0-1-1", "0-1"], ["0-1-1-1"]], ids=str)
def test_malformed_ids_are_refused(ids: Any) -> None:
    """One text is no list of ids, though Python could read it as one."""
    with pytest.raises(ValidationError, match=r"^ids?: "):
        Selection.of(ids, LetterFilter(), all=False)


def test_selection_has_a_short_text_for_the_audit() -> None:
    """However many ids there are."""
    many = Selection.of([f"0-{n}-1" for n in range(MAX_NAMED + 2)], LetterFilter(), all=False)
    assert str(many) == "ids=0-0-1,0-1-1,0-2-1,0-3-1,0-4-1 and 2 more"
    assert str(Selection.of(None, LetterFilter(), all=True)) == "all"
    assert (
        str(Selection.of(None, LetterFilter("refused", older_than_s=60), all=False)) == "reason=refused older_than_s=60"
    )
    assert str(Selection.of([], LetterFilter(), all=False)) == "ids="
