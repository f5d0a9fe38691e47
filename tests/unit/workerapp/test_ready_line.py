"""The line that says that a worker is ready: in the log, or on the terminal where the log hides it."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from sockudo_publisher.config.settings import Settings
from sockudo_publisher.workerapp.logs import log_ready

pytestmark = pytest.mark.unit

LOGGER = "sockudo_publisher.worker"
URL = "http://key:hush@127.0.0.1:6001/apps/app"


def settings(**fields: object) -> Settings:
    return Settings(url=URL, redis_url="redis://user:hush@redis.test:7000/3?password=hush", **fields)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What Celery prints its banner to."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "__stdout__", shown)
    return shown


LINE = "worker ready queue=sockudo.eu apps=default,shop redis=redis://redis.test:7000/3"


@pytest.mark.parametrize("is_quiet", [False, True])
def test_the_log_has_it_at_info(terminal: io.StringIO, caplog: pytest.LogCaptureFixture, is_quiet: bool) -> None:
    """And then the terminal has no second one."""
    caplog.set_level(logging.INFO, LOGGER)
    log_ready(settings(namespace="eu", apps={"shop": URL}), is_quiet=is_quiet)
    assert [record.getMessage() for record in caplog.records] == [LINE]
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("fields", "is_quiet", "expected"),
    [({}, False, LINE + "\n"), ({}, True, ""), ({"log": "json"}, False, "")],
    ids=["shown", "quiet", "json"],
)
def test_the_terminal_has_it_at_warning(
    terminal: io.StringIO,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, object],
    is_quiet: bool,
    expected: str,
) -> None:
    """Celery's default level; not among JSON lines."""
    caplog.set_level(logging.WARNING, LOGGER)
    log_ready(settings(namespace="eu", apps={"shop": URL}, **fields), is_quiet=is_quiet)
    assert terminal.getvalue() == expected
    assert caplog.text == ""


def test_a_terminal_that_is_gone_ends_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """`worker | head` closes the pipe."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "__stdout__", closed)
    logging.getLogger(LOGGER).setLevel(logging.WARNING)
    try:
        log_ready(settings(), is_quiet=False)
    finally:
        logging.getLogger(LOGGER).setLevel(logging.NOTSET)
