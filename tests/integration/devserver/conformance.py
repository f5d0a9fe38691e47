"""The apps of the conformance tests, and the JSON of an error."""

from __future__ import annotations

from sockudo_publisher.dev.embedded import SockudoApp
from tests.support.http_api import HttpAnswer

#: Seconds that ids are remembered here.
DEDUP_TTL_S = 3
APP = SockudoApp(
    id="conformance",
    key="conformance-key",
    limits={"max_event_batch_size": 5, "max_event_payload_in_kb": 1, "max_event_channels_at_once": 3},
)
SECOND_APP = SockudoApp(id="second", key="second-key", secret="second-secret")

CONFLICT = "idempotency key was already used with a different payload"


def assert_refused(answer: HttpAnswer, status: int, code: str, error: str) -> None:
    """The JSON of an error, and nothing else in it."""
    assert (answer.status, answer.json) == (status, {"error": error, "code": code, "status": status})
    assert answer.media_type == "application/json"
    assert answer.headers["connection"] == "close"
