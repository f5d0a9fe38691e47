"""The harness' own judgement: what came twice, how soon, and what is reported of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sockudo_publisher.dev.subscriber import Received
from tests.support.oracle import Comparison, accepted

from .bounds import (
    EXACT,
    Bound,
    finished_by_nginx,
    forgotten_may_repeat,
    held_is_missing,
    late_may_repeat,
    left_in_mid_batch,
    never_uncertain,
    recorded_not_sent,
    shown_only,
)
from .evidence import repeats, tell
from .run import Row
from .world import FaultWorld


def seen(channel: str, number: int, at: float) -> Received:
    return Received(channel, "n", json.dumps({"n": number}), at, b"")


def row(verdict: Comparison, bound: Bound, soon: int = 0, counts: Mapping[str, int] | None = None) -> Row:
    return Row("name", "why", verdict, 0, soon, bound, counts or {}, {}, 0.0, 0, 0.0)


def test_each_copy_counts_from_the_one_before() -> None:
    again = repeats(
        [seen("a", 1, 10.0), seen("b", 1, 11.0), seen("a", 1, 52.0), seen("a", 1, 52.5), seen("a", 2, 53.0)]
    )
    assert [(one.channel, one.number, one.after_s) for one in again] == [("a", 1, 42.0), ("a", 1, 0.5)]


EXACTLY = Comparison(promised=9, lost=0, duplicated=0, reordered=0, unexpected=0)
LOST = Comparison(promised=9, lost=1, duplicated=0, reordered=0, unexpected=0)
TWICE = Comparison(promised=9, lost=0, duplicated=2, reordered=0, unexpected=0)
REORDERED = Comparison(promised=9, lost=0, duplicated=0, reordered=1, unexpected=0)
FOREIGN = Comparison(promised=9, lost=0, duplicated=0, reordered=0, unexpected=1)


@pytest.mark.parametrize(
    ("verdict", "bound", "soon", "is_kept"),
    [
        (EXACTLY, EXACT, 0, True),
        (LOST, EXACT, 0, False),
        (TWICE, EXACT, 0, False),
        (REORDERED, EXACT, 0, False),
        (FOREIGN, shown_only({}), 0, False),
        (TWICE, late_may_repeat({"resent_after_window": 2}), 0, True),
        (TWICE, late_may_repeat({"resent_after_window": 1}), 0, False),
        (TWICE, late_may_repeat({"resent_after_window": 2}), 1, False),
        (LOST, late_may_repeat({"resent_after_window": 2}), 0, False),
        (LOST, recorded_not_sent({"requests spoilt": 1}), 0, True),
        (LOST, recorded_not_sent({}), 0, False),
        (TWICE, recorded_not_sent({"requests spoilt": 1}), 0, False),
        (TWICE, forgotten_may_repeat({"resent_after_window": 2}), 2, True),
        (TWICE, forgotten_may_repeat({"resent_after_window": 1}), 2, False),
        (LOST, forgotten_may_repeat({"resent_after_window": 2}), 0, False),
        (LOST, held_is_missing({}), 0, False),
        (TWICE, held_is_missing({"parked_uncertain": 2}), 0, False),
        (REORDERED, shown_only({}), 0, True),
    ],
)
def test_a_bound_is_kept_or_broken(verdict: Comparison, bound: Bound, soon: int, is_kept: bool) -> None:
    assert row(verdict, bound, soon).is_kept is is_kept


def test_what_may_not_be_counted_breaks_a_bound() -> None:
    """Nothing that the subscriber sees would tell: an event that is wrongly uncertain may arrive all the same."""
    assert row(EXACTLY, never_uncertain({}), counts={"settled": 9}).is_kept
    for name in ("resent_after_window", "parked_uncertain"):
        assert not row(EXACTLY, never_uncertain({}), counts={"settled": 9, name: 1}).is_kept


def test_what_was_not_shown_breaks_a_bound() -> None:
    """A row whose faults met nothing would be green for nothing."""
    assert row(LOST, held_is_missing({"parked_uncertain": 1}), counts={"parked_uncertain": 1}).is_kept
    assert not row(EXACTLY, held_is_missing({})).is_kept
    assert row(EXACTLY, left_in_mid_batch({}), counts={"searched": 2, "stuck": 1}).is_kept
    assert not row(EXACTLY, left_in_mid_batch({}), counts={"searched": 2}).is_kept
    assert replace(row(EXACTLY, finished_by_nginx({})), done={"requests unanswered": 1}).is_kept
    assert not row(EXACTLY, finished_by_nginx({})).is_kept
    assert not replace(
        row(EXACTLY, finished_by_nginx({}), counts={"stuck": 1}), done={"requests unanswered": 1}
    ).is_kept


def test_evidence_is_in_the_order_of_time(tmp_path: Path) -> None:
    now, wall = time.monotonic(), time.time()
    stamp = datetime.fromtimestamp(wall + 3).strftime("%Y-%m-%d %H:%M:%S")
    (tmp_path / "worker-w1.log").write_text(
        f"[{stamp},500: INFO/MainProcess] ready\n"
        f"[{stamp},500: WARNING/MainProcess] app default: nothing is sent (unknown)\n"
        "no line of a log\n"
    )
    timeline = [(now + 1, "workers killed"), (now + 9, "Redis restarted")]
    world = cast("FaultWorld", SimpleNamespace(directory=tmp_path, timeline=timeline))
    again = repeats([seen("a", number, now + at) for at in (0.0, 5.0) for number in (7, 8)])
    told = [line.split(maxsplit=1)[1] for line in tell(world, again, started_at=now).splitlines()]
    assert told == [
        "FAULT   workers killed",
        "worker-w1 WARNING: app default: nothing is sent (unknown)",
        "REPEAT  a: 2 (7..8), 5.0 s after their first at 0.0",
        "FAULT   Redis restarted",
    ]


def test_what_the_server_has_acknowledged_is_read_from_the_wire() -> None:
    """Only whole answers with a receipt for each item count, in whatever transfer encoding."""
    body = json.dumps(
        {"batch": [{"channel": "c", "data": json.dumps({"n": n}, separators=(",", ":"))} for n in (1, 2)]}
    )
    request = f"POST /apps/a/batch_events HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    receipts = b'{"batch":[{"acknowledgement_id":"x"},{"acknowledgement_id":"y"}]}'
    head = b"HTTP/1.1 200 OK\r\n"
    plain = head + b"Content-Length: %d\r\n\r\n" % len(receipts) + receipts
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(receipts) + receipts + b"\r\n0\r\n\r\n"
    for answer in (plain, chunked):
        assert accepted([(request, answer)]) == {"c": {1, 2}}
    short = b'{"batch":[{"acknowledgement_id":"x"}]}'
    for answer in (
        plain[:-4],
        head + b"Content-Length: %d\r\n\r\n" % len(short) + short,
        b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
        head + b"\r\nnot json",
        b"",
    ):
        assert accepted([(request, answer)]) == {}


def test_event_without_a_receipt_is_broken_unless_parked() -> None:
    """Seen and not acknowledged is not settled."""
    exact = row(Comparison(10, 0, 0, 0, 0), Bound())
    assert exact.is_kept
    assert not replace(exact, unacknowledged=1).is_kept
    assert replace(exact, unacknowledged=1, counts={"parked_uncertain": 1}).is_kept
