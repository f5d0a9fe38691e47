"""What a relay decides, without a database and without Redis."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from sockudo_publisher import ConfigurationError, ValidationError, configure
from sockudo_publisher.outbox.relay import (
    Moved,
    ParkedRow,
    Relayed,
    append,
    describe_parked,
    relay,
    rows_before_gap,
    run,
)
from sockudo_publisher.outbox.row import COLUMNS, EventRow, build_rows
from sockudo_publisher.publishing.call import PublishCall

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An app without a server that answers."""
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:9/0")
    configure()
    yield
    monkeypatch.undo()
    configure()


def row(row_id: int, app: str = "default") -> EventRow:
    return EventRow(app, "c", f"m{row_id}", "", b"{}", row_id)


@pytest.mark.parametrize(
    ("head", "locked", "kept"),
    [
        pytest.param([1, 2, 3], [1, 2, 3], [1, 2, 3], id="all ours"),
        pytest.param([1, 2, 3], [1, 3], [1], id="another relay has one in the middle"),
        pytest.param([1, 2, 3], [2, 3], [], id="another relay has the first"),
        pytest.param([1, 2, 3], [], [], id="none"),
        pytest.param([], [], [], id="empty table"),
    ],
)
def test_rows_behind_another_relays_are_left(head: list[int], locked: list[int], kept: list[int]) -> None:
    """SKIP LOCKED passes over rows; what comes after such a row may be of its channel."""
    assert [one.id for one in rows_before_gap(head, [row(row_id) for row_id in locked])] == kept


def test_row_is_finished_before_the_insert() -> None:
    """Validated, encoded, one row a channel, one id, without Redis; it is read back as it was written."""
    first, second = build_rows(PublishCall(["a", "b"], "shipped", {"id": 7}, tags={"t": "1"}))
    assert (first.app, first.channel, second.channel) == ("default", "a", "b")
    assert first.message_id == second.message_id
    item = json.loads(first.body)
    assert (item["data"], item["message_id"]) == ('{"id":7}', first.message_id)
    columns = {**first.columns(), "id": 3}
    assert EventRow.from_columns(
        [memoryview(columns[name]) if name == "body" else columns[name] for name in COLUMNS]
    ) == EventRow(**columns)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        pytest.param(("", "e", 1), {}, ValidationError, id="channel"),
        pytest.param(("c", "e", float("nan")), {}, ValidationError, id="data"),
        pytest.param(("c", "e", 1), {"key": ""}, ValidationError, id="key"),
        pytest.param(("c", "e", 1), {"socket_id": "x"}, ValidationError, id="socket id"),
        pytest.param(("c", "e", 1), {"app": "unknown"}, ConfigurationError, id="app"),
    ],
)
def test_bad_input_makes_no_row(arguments: tuple, options: dict, error: type[Exception]) -> None:
    """It raises at the call."""
    with pytest.raises(error):
        build_rows(PublishCall(*arguments, **options))


def test_rows_wait_with_a_reason_by_app() -> None:
    """Redis away for one, no such app for the other: nothing stored, nothing parked, nothing raised."""
    moved = append([row(1), row(2, "unknown"), row(3)])
    assert (moved.read, moved.stored, moved.parked) == (3, [], {})
    assert list(moved.waiting) == ["default", "unknown"]


def test_pass_goes_on_without_the_apps_that_wait() -> None:
    """A full batch of one that cannot go on is not the end; a batch that is not full is."""
    asked = []

    def move(max_rows: int, without: frozenset[str]) -> Moved:
        asked.append(without)
        return {
            1: Moved(2, [1], 1, {2: "conflict"}),
            2: Moved(2, waiting={"eu": "away"}),
            3: Moved(1, [5]),
        }[len(asked)]

    assert relay(move, max_rows=2) == Relayed(2, 1, 1, {"eu": "away"})
    assert asked == [frozenset(), frozenset(), frozenset({"eu"})]


def test_stop_ends_a_pass_between_two_batches() -> None:
    """However many rows there are."""
    stop = threading.Event()
    stop.set()
    assert relay(lambda *_: Moved(2, [1, 2]), max_rows=2, stop=stop).stored == 2


def test_trouble_is_told_when_it_comes_and_when_it_goes(caplog: pytest.LogCaptureFixture) -> None:
    """Not at every look; the words of a database's error stay out of the log."""
    stop = threading.Event()
    looks = iter(["waits", "waits", "fails", "fails", "goes"])

    def once() -> Relayed:
        look = next(looks, None)
        if look == "fails":
            raise OSError("secret words")
        if look is None:
            stop.set()
        return Relayed(waiting={"default": "Redis is away"} if look == "waits" else {})

    with caplog.at_level(logging.INFO, "sockudo_publisher.outbox"):
        run(once, failures=(OSError,), every_s=0.001, stop=stop)
    assert caplog.messages == [
        "rows wait app=default: Redis is away",
        "rows wait: the database failed (OSError)",
        "rows are moved again",
    ]


def test_waiting_rows_name_the_first_row() -> None:
    """The one that blocks those behind it; a name that is not printable is escaped."""
    odd = EventRow("unknown", "or\x1bders", "m-1", "f", b"{}", 7)
    [reason] = append([odd, row(8, "unknown")]).waiting.values()
    assert reason.startswith("row=7 channel=or\\x1bders message_id=m-1: ")
    assert "\x1b" not in reason


def test_parked_rows_are_named_up_to_a_number() -> None:
    """Three of them, and how many more there are; nothing for none."""
    rows = [ParkedRow(number, "default", "orders", f"m-{number}", "conflict: x") for number in range(1, 6)]
    text = describe_parked(12, rows)
    assert text.startswith("12 parked, not tried again: row=1 channel=orders message_id=m-1 app=default: conflict: x; ")
    assert text.endswith("; and 9 more")
    assert "row=4" not in text
    assert describe_parked(1, rows[:1]).endswith("conflict: x")
    assert describe_parked(0, []) == ""


def test_run_adds_up_its_passes() -> None:
    """What a relay prints at its end."""
    stop = threading.Event()
    passes = iter([Relayed(3, 1, 0), Relayed(2, 0, 1, {"eu": "away"})])

    def once() -> Relayed:
        done = next(passes)
        if done.waiting:
            stop.set()
        return done

    assert run(once, failures=(), every_s=0.001, stop=stop) == Relayed(5, 1, 1, {"eu": "away"})
