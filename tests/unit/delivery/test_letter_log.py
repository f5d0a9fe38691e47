"""Log lines of dead letters: one each, and a number for a flood."""

from __future__ import annotations

import json
import logging

import pytest

from sockudo_publisher.delivery.letter_log import EVERY_S, MAX_LINES, LetterLog
from sockudo_publisher.delivery.log import MAX_NAME, item_fields
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.journal.pack import Item

pytestmark = pytest.mark.unit

ITEM = Item("c", b'{"channel":"c","name":"n","data":"payload","message_id":"m"}')
LINE = "dead letter app=app channel=c event=n message_id=m bytes=60 reason=refused: the server's words"
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
    """With all that identifies the event, the reason and the server's words; never the payload."""
    lines = written(caplog, [0.0] * MAX_LINES)
    assert lines == [LINE] * MAX_LINES


def test_flood_of_letters_has_a_number(caplog: pytest.LogCaptureFixture) -> None:
    """Written when the seconds are over, and at the end; then lines again."""
    lines = written(caplog, [0.0] * 200 + [EVERY_S] * 30)
    assert len(lines) == 2 * MAX_LINES + 2
    assert lines[MAX_LINES] == f"further dead letters app=app count={200 - MAX_LINES}"
    assert lines[-1] == f"further dead letters app=app count={30 - MAX_LINES}"


def test_fields_are_on_the_record_too(caplog: pytest.LogCaptureFixture) -> None:
    """For structured logs."""
    written(caplog, [0.0])
    record = caplog.records[0]
    fields = {name: getattr(record, name) for name in ("app", "channel", "event", "message_id", "reason", "bytes")}
    assert fields == {
        "app": "app",
        "channel": "c",
        "event": "n",
        "message_id": "m",
        "reason": "refused",
        "bytes": len(ITEM.body),
    }


@pytest.mark.parametrize(
    "body", [b"not json", b"[1]", b"[" * 100_000, b'{"name":1,"message_id":null}', b'{"name":"\xff"}']
)
def test_item_that_is_no_event_has_no_name(body: bytes) -> None:
    """Nothing of its bytes is shown."""
    assert item_fields(Item("c", body)) == {"channel": "c", "event": "-", "message_id": "-"}


def test_name_stays_on_its_line() -> None:
    """A forged line break would look like another record; a long name would fill the log."""
    body = json.dumps({"name": "a\nERROR forged", "message_id": "m" * 10_000}).encode()
    fields = item_fields(Item("c", body))
    assert fields["event"] == r"a\nERROR forged"
    assert fields["message_id"] == "m" * MAX_NAME
