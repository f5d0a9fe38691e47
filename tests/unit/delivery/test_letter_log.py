"""Log lines of dead letters: each has one, a flood has a number."""

from __future__ import annotations

import logging

import pytest

from sockudo_publisher.delivery.letter_log import EVERY_S, MAX_LINES, LetterLog
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.journal.pack import Item

pytestmark = pytest.mark.unit

ITEM = Item("c", b'{"secret":"payload"}')
LETTER = DeadLetterFields("refused", "the server's words")


def written(caplog: pytest.LogCaptureFixture, times_s: list[float]) -> list[str]:
    log = LetterLog("app")
    with caplog.at_level(logging.ERROR, "sockudo_publisher.delivery"):
        for now_s in times_s:
            log.write(ITEM, LETTER, now_s)
        log.flush()
        log.flush()
    return [record.getMessage() for record in caplog.records]


def test_few_letters_have_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """Channel, size, reason, the server's words; never the payload."""
    lines = written(caplog, [0.0] * MAX_LINES)
    assert lines == ["app app: dead letter on channel c (20 bytes): refused: the server's words"] * MAX_LINES


def test_flood_of_letters_has_a_number(caplog: pytest.LogCaptureFixture) -> None:
    """Told when the seconds are over, and at the end; then lines again."""
    lines = written(caplog, [0.0] * 200 + [EVERY_S] * 30)
    assert len(lines) == 2 * MAX_LINES + 2
    assert lines[MAX_LINES] == f"app app: further dead letters count={200 - MAX_LINES}"
    assert lines[-1] == f"app app: further dead letters count={30 - MAX_LINES}"
