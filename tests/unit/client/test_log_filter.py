"""urllib3's log lines about signed requests."""

from __future__ import annotations

import logging

import pytest

from sockudo_publisher.client.http.log_filter import LOGGERS, WithoutSignatures, hide_signatures

pytestmark = pytest.mark.unit

URL = "/apps/a/events?auth_key=k&auth_timestamp=1&auth_version=1.0&body_md5=d41d&auth_signature=S3CRET"

LINES = {
    "urllib3.connectionpool": [
        ('%s://%s:%s "%s %s %s" %s %s', ("http", "h", 1, "POST", URL, "HTTP/1.1", 200, None)),
        ("Retrying (%r) after connection broken by '%r': %s", ("Retry", "error", URL)),
        ("Redirecting %s -> %s", (URL, f"http://h{URL}")),
    ],
    "urllib3.util.retry": [("Incremented Retry for (url='%s'): %r", (URL, "Retry"))],
}


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in LINES.items() for line in lines])
def test_signature_is_not_logged(caplog, name, line):
    """As urllib3 writes them, at any level; the rest of the line stays."""
    hide_signatures()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(name).debug(line[0], *line[1])
    assert "/apps/a/events?auth_…" in caplog.text
    for private in ("S3CRET", "body_md5", "auth_key"):
        assert private not in caplog.text


def test_other_lines_stay(caplog):
    """Of the application's own requests."""
    hide_signatures()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("urllib3.connectionpool").debug("%s?%s", "/x", "y=1")
    assert "/x?y=1" in caplog.text
    assert caplog.records[-1].args == ("/x", "y=1")


def test_filter_is_installed_once():
    """However many clients there are."""
    hide_signatures()
    hide_signatures()
    for name in LOGGERS:
        filters = logging.getLogger(name).filters
        assert [type(one) for one in filters].count(WithoutSignatures) == 1
