"""Records about messages that cannot be used: the kind stays, the content goes."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from celery.worker.consumer import consumer

from sockudo_publisher.workerapp.log_filter import WithoutPayloads

pytestmark = pytest.mark.unit

SECRET = "not-for-the-log"


@pytest.fixture
def log():
    """A logger with the filter, and what it has written."""
    logger, written = logging.getLogger("a worker's"), io.StringIO()
    handler, without = logging.StreamHandler(written), WithoutPayloads()
    logger.addHandler(handler)
    logger.addFilter(without)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)
    logger.removeFilter(without)


@pytest.mark.parametrize(
    ("text", "values", "complaint"),
    [
        (consumer.UNKNOWN_FORMAT, (SECRET,), "a message that is no task's"),
        (consumer.UNKNOWN_TASK_ERROR, (SECRET,) * 4, "an unregistered task"),
        (consumer.INVALID_TASK_ERROR, (SECRET,) * 2, "an invalid task message"),
        (consumer.MESSAGE_DECODE_ERROR, (SECRET,) * 5, "cannot be decoded"),
        ("In another release, the full contents of the message was: %s", (SECRET,), "cannot be used"),
    ],
)
def test_kind_is_written_and_content_is_not(log, text, values, complaint):
    """Celery's own texts, as this release of it has them, with an error that quotes the message."""
    logger, written = log
    try:
        raise UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET)
    except ValueError:
        logger.error(text, *values, exc_info=True)
    assert complaint in written.getvalue()
    assert "UnicodeDecodeError" in written.getvalue()
    assert SECRET not in written.getvalue()
    assert written.getvalue().count("\n") == 1


def test_everything_else_is_written_as_it_is(log):
    """With its traceback."""
    logger, written = log
    try:
        sys.intern(1)
    except TypeError:
        logger.exception("consumer: Cannot connect to %s", "redis")
    assert "Cannot connect to redis\nTraceback" in written.getvalue()
