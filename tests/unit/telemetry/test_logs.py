"""Fields of log lines: on the record, in the JSON, and never a control character."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.redaction import package_logger
from sockudo_publisher.telemetry import summary as summaries
from sockudo_publisher.telemetry.ages import weigh_ages
from sockudo_publisher.telemetry.json_logs import JsonFormatter
from sockudo_publisher.telemetry.summary import Summary
from tests.support.timing import replace_time

pytestmark = pytest.mark.unit

LOGGER = package_logger("sockudo_publisher.test_of_fields")


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    yield handler
    LOGGER.removeHandler(handler)


def line_of(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert text.isprintable()
    line: dict[str, object] = json.loads(text)
    return line


def test_fields_of_a_line_are_on_its_record(kept: Kept) -> None:
    LOGGER.warning("sweep failed app=%s lane=%d error=%s", "shop", 3, ValueError("no"))
    [record] = kept.records
    assert (record.app, record.lane, record.error) == ("shop", 3, "no")  # type: ignore[attr-defined]
    line = line_of(record)
    assert line["message"] == "sweep failed"
    assert (line["app"], line["lane"], line["error"], line["level"]) == ("shop", 3, "no", "WARNING")
    assert record.getMessage() == "sweep failed app=shop lane=3 error=no"


def test_given_fields_stay_and_are_in_the_json(kept: Kept) -> None:
    LOGGER.error("row parked row=%d: %s", 7, "conflict", extra={"row": 7, "channel": "c"})
    line = line_of(kept.records[0])
    assert (line["message"], line["row"], line["channel"], line["detail"]) == ("row parked", 7, "c", "conflict")


def test_text_without_fields_is_the_message(kept: Kept) -> None:
    LOGGER.info("rows are moved again")
    LOGGER.info("%s: no setting has this name%s", "SOCKUDO_X", ", did you mean SOCKUDO_Y?")
    assert [line_of(one)["message"] for one in kept.records] == [
        "rows are moved again",
        "SOCKUDO_X: no setting has this name, did you mean SOCKUDO_Y?",
    ]


def test_field_with_a_name_of_the_record_takes_no_place(kept: Kept) -> None:
    LOGGER.info("started name=%s process=%s time=%s", "n", "p", "t")
    record = kept.records[0]
    assert record.name == LOGGER.name
    assert record.process == os.getpid()
    line = line_of(record)
    assert line["logger"] == LOGGER.name
    assert line["time_"] == "t"


def test_control_characters_are_escaped_everywhere(kept: Kept) -> None:
    LOGGER.warning("odd channel=%s", "a\n{\x1b[31m\u202e")
    record = kept.records[0]
    assert record.channel.isprintable()  # type: ignore[attr-defined]
    assert line_of(record)["channel"] == r"a\n{\x1b[31m\u202e"


def test_traceback_is_in_the_object(kept: Kept) -> None:
    try:
        raise RuntimeError("at once")
    except RuntimeError:
        LOGGER.exception("drain failed app=%s", "shop")
    line = line_of(kept.records[0])
    assert line["message"] == "drain failed"
    assert "RuntimeError: at once" in str(line["exception"])


@given(st.text(), st.lists(st.one_of(st.integers(), st.text(), st.none()), max_size=3))
def test_no_line_breaks_its_caller(template: str, args: list[object]) -> None:
    """Any text, also one whose placeholders do not fit: the filter neither raises nor drops the record."""
    record = logging.makeLogRecord({"name": "n", "msg": template, "args": tuple(args), "levelno": logging.INFO})
    [check] = [one for one in LOGGER.filters if callable(one)]
    assert check(record)  # type: ignore[operator]


# -- the summary line ---------------------------------------------------------------------------------


def test_summary_is_one_line_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    replace_time(monkeypatch, summaries, monotonic=lambda: now[0])
    summary = Summary(["shop", "other"])
    with caplog.at_level(logging.INFO, "sockudo_publisher.summary"):
        for _ in range(30):
            summary.settled("shop", 100, weigh_ages(10_000, [9_990], [100]))
        summary.resent("shop", 7)
        summary.buried("shop", "refused")
        summary.write_if_due()
        assert not caplog.records, "not before its minute is over"
        now[0] += 61
        summary.write_if_due()
        summary.write_if_due()
        [record] = caplog.records
        assert record.getMessage().startswith("delivered app=shop seconds=61 settled=3000 resent=7 dead=1 p50_s=0.0")
        now[0] += 61
        summary.write_if_due()
        assert len(caplog.records) == 1, "no line while nothing flows"
        summary.settled("shop", 1, None)
        summary.write_if_due(is_last=True)
        assert "settled=1 resent=0" in caplog.records[-1].getMessage()


def test_children_count_into_the_parents_line(caplog: pytest.LogCaptureFixture) -> None:
    summary = Summary(["shop"])
    summary.settled("shop", 1, None)
    pids = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(1000):
                summary.settled("shop", 10**number, None)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with caplog.at_level(logging.INFO, "sockudo_publisher.summary"):
        summary.write_if_due(is_last=True)
    assert "settled=111001 " in caplog.text


def test_app_that_is_not_known_is_not_counted() -> None:
    Summary(["shop"]).settled("of another deployment", 5, None)
