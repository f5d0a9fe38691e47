"""The filter for terminals and logs: what it takes out, where it stands, and that nothing gets around it."""

from __future__ import annotations

import io
import json
import logging
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher import errors, redaction
from sockudo_publisher.redaction import package_logger, printable, printable_arguments, printable_json
from sockudo_publisher.terminal import Terminal, plain, visible

pytestmark = pytest.mark.unit

PACKAGE = Path(errors.__file__).parent

HOSTILE = {
    "clear the screen": ("\x1b[2J", r"\x1b[2J"),
    "link": ("\x1b]8;;http://evil\x07", r"\x1b]8;;http://evil\x07"),
    "clipboard": ("\x1b]52;c;cGF5\x9c", r"\x1b]52;c;cGF5\x9c"),
    "8-bit control": ("\x9b31m", r"\x9b31m"),
    "line end": ("a\r\nERROR forged", r"a\r\nERROR forged"),
    "other line ends": ("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\x85"),
    "direction": ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
    "invisible": ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
    "half a pair": ("\udcff\ud800", r"\udcff\ud800"),
    "delete": ("\x7f", r"\x7f"),
    "tag": ("\U000e0041", r"\U000e0041"),
}
KEPT = ["", "plain text", "Zürich 東京 🚆", "a\u00a0b\u3000c", r"C:\temp", "[red]"]


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_control_characters_become_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert visible(plain(text)) == shown


@pytest.mark.parametrize("text", KEPT)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def harmful(text: str) -> list[str]:
    """Characters of control, direction, line ends and halves of pairs."""
    return [one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")]


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_harmful_is_left(text: str) -> None:
    """And JSON still means the same."""
    assert harmful(printable(text)) == []
    document = printable_json(json.dumps({text: text}, ensure_ascii=False))
    assert harmful(document) == []
    assert json.loads(document) == json.loads(json.dumps({text: text}))


@pytest.mark.parametrize(
    "error",
    [
        errors.ValidationError("channel: 'a\x1b[2J\r\nforged'"),
        errors.BadRequest(400, "code", "text\x9b\u202e"),
        errors.SockudoConnectionError("host\x1b]0;x\x07", sent=True),
        errors.JournalUnavailable("Redis\r\nforged", stored=None),
        errors.BulkError(1, 0, ValueError("a\x1bb")),
        errors.InvalidWebhook("key\u2028"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_printable(error: errors.SockudoError) -> None:
    """Their text and their repr, also after a retry."""
    if isinstance(error, errors.CallError):
        error.cover_attempts(2, earlier_sent=True)
    assert harmful(str(error)) == []
    assert harmful(repr(error)) == []


@pytest.fixture
def log() -> io.StringIO:
    """What a handler writes of the loggers below."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    loggers = [package_logger("sockudo_publisher.test"), logging.getLogger("test.of.another")]
    loggers[1].addFilter(printable_arguments)
    for logger in loggers:
        logger.handlers = [handler]
        logger.propagate = False
    return written


@pytest.mark.parametrize("name", ["sockudo_publisher.test", "test.of.another"])
@pytest.mark.parametrize("text", [text for text, _ in HOSTILE.values()], ids=HOSTILE)
def test_log_lines_are_printable(log: io.StringIO, name: str, text: str) -> None:
    """One line each, whether the text is an argument, in a mapping, an exception or in the traceback."""
    logger = logging.getLogger(name)
    logger.error("refused channel=%s count=%d", text, 3)
    logger.error("refused channel=%(channel)s", {"channel": text})
    logger.error("refused error=%s", ValueError(text))
    assert all(line.startswith("ERROR refused ") for line in log.getvalue().splitlines())
    assert harmful(log.getvalue().replace("\n", "")) == []
    try:
        raise ValueError(text) from KeyError(text)
    except ValueError:
        logger.exception("refused")
    lines = log.getvalue().rstrip("\n").split("\n")[3:]
    assert lines[0] == "ERROR refused"
    assert any("ValueError" in line for line in lines)
    assert not any(line.startswith("ERROR") for line in lines[1:])
    assert harmful("".join(lines)) == []


@pytest.mark.parametrize("filters", [package_logger("sockudo_publisher.test").filters, [printable_arguments]])
def test_wrong_template_raises_nothing(filters: list[Callable[[logging.LogRecord], bool]]) -> None:
    """The handlers report it, as without the filter, and the caller goes on."""
    record = logging.LogRecord("test", logging.ERROR, "", 1, "%d events", ("\x1b",), None)
    assert all(one(record) for one in filters)


def test_every_logger_of_the_package_has_the_filter() -> None:
    """A module that takes its logger elsewhere would write raw names."""
    wrong = [
        str(path)
        for path in PACKAGE.rglob("*.py")
        if path != Path(redaction.__file__)
        and path.name not in ("log_filter.py", "printable_logs.py", "assembly.py", "logs.py")
        and re.search(r"logging\.getLogger\(|getLogger\(__name__", path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["a\\", "a\\\\", "[red]x[/red]", "[link=http://x]y[/]", "\\[red]", ":warning:", "[/]"])
def test_markup_is_not_interpreted(text: str) -> None:
    """Whatever stands before and behind it."""
    written = io.StringIO()
    terminal = Terminal()
    terminal.file = written
    terminal.print(f"[bold]{plain(text)}[/] end")
    assert written.getvalue() == f"{text} end\n"
