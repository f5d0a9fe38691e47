"""A server that repeats the request in its answers: logs, status and dead letters show its own words alone."""

from __future__ import annotations

import json
import logging
import re

import pytest

from sockudo_publisher.delivery.outcome import Reply
from tests.integration.delivery.world import DrainWorld
from tests.unit.delivery import model
from tests.unit.delivery.model import AnswerLost, Answers, Fault, NotSent

pytestmark = pytest.mark.integration

PAYLOAD = "s3cr3t-payload"
ECHO = f'{{"batch":[{{"data":"{PAYLOAD}"}}]}} ?auth_key=KEY&auth_signature=abc'
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
TEXT = {"content-type": "text/plain"}
READER = "Failed to deserialize the JSON body into the target type: "


def error(status: int, text: str, code: str, **headers: str) -> Reply:
    return Reply(status, json.dumps({"error": text, "code": code, "status": status}).encode(), {**JSON, **headers})


#: An answer, and what stays of it: in the pause if it is one, else in the dead letter.
ANSWERS = {
    "refused, unknown text": (error(400, ECHO, "invalid_input"), "invalid_input, text not shown"),
    "refused, known text": (error(400, f"Event name '{ECHO}' exceeds maximum length of 20", "limit_exceeded"), "Event"),
    "refused, code is an echo": (error(413, "Event name is required", "payload_too_large"), "Event name is required"),
    "refused by the reader": (
        Reply(
            422,
            f"Failed to deserialize the JSON body into the target type: {ECHO}".encode(),
            {"content-type": "text/plain"},
        ),
        "Failed to deserialize the JSON body into the target type: …",
    ),
    "conflict": (
        error(400, f"{ECHO} already used with a different payload", "invalid_input"),
        "invalid_input, text not",
    ),
    "page": (Reply(502, f"<p>{ECHO}</p>".encode(), HTML), "HTTP 502: text not shown (text/html, "),
    "busy": (error(503, ECHO, ECHO, **{"retry-after": ECHO}), "HTTP 503: text not shown (application/json, "),
    "limited": (Reply(429, ECHO.encode(), {"content-type": ECHO}), "HTTP 429: text not shown (another type, "),
    "redirect": (Reply(302, ECHO.encode(), {"location": ECHO}), "HTTP 302: redirected"),
    "not authorised": (error(401, ECHO, "auth_failed"), "HTTP 401: auth_failed, text not shown"),
    "too few receipts": (Reply(200, ECHO.encode(), JSON), "200 without a receipt"),
    "too large": (Reply(413, ECHO.encode(), HTML), "text not shown (text/html, "),
}


def stored_texts(world: DrainWorld) -> str:
    """Everything in Redis but the events themselves."""
    found = []
    for key in world.redis.keys("*"):
        kind = world.redis.type(key)
        if kind == b"hash":
            found.append(repr(world.redis.hgetall(key)))
        elif kind == b"string":
            found.append(repr(world.redis.get(key)))
    return "\n".join([*found, *(repr({**one, "item": ""}) for one in world.letters())])


@pytest.mark.parametrize(("reply", "kept"), ANSWERS.values(), ids=ANSWERS)
def test_only_own_words_are_stored_and_logged(
    world: DrainWorld, caplog: pytest.LogCaptureFixture, reply: Reply, kept: str
) -> None:
    """With the status and the code."""
    world.append_items([(world.channel(), "m-1")], data=PAYLOAD)
    world.server.faults = [Answers(reply)] * 20
    with caplog.at_level(logging.DEBUG, "sockudo_publisher"):
        world.drain()
    pause = world.journal.shared.view().pause
    texts = [one["message"] for one in world.letters()] + ([pause.message] if pause else [])
    assert all(text.startswith(kept) for text in texts)
    everything = stored_texts(world) + caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert not [one for one in (PAYLOAD, "KEY", "signature=abc") if one in everything]
    assert f": {kept}" in caplog.text, "the event is dead, or the app pauses"


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        pytest.param(Answers(model.REFUSED), ("dead letter", "channel", "event", "message_id", "reason"), id="refused"),
        pytest.param(Answers(model.STUCK), ("event is stuck", "channel", "event", "message_id", "retry_s"), id="stuck"),
        pytest.param(Answers(model.BAD_SIGNATURE), ("paused", "reason", "seconds"), id="misconfigured"),
        pytest.param(AnswerLost(), ("paused", "reason", "seconds"), id="unknown"),
        pytest.param(NotSent(), ("paused", "reason", "seconds"), id="unreachable"),
    ],
)
def test_lines_name_what_they_are_about(
    world: DrainWorld, caplog: pytest.LogCaptureFixture, fault: Fault, fields: tuple[str, ...]
) -> None:
    """What happened, then fields, which are on the record too: the app, and the event where there is one."""
    world.append_items([(world.channel(), "m-1")], data=PAYLOAD)
    world.server.faults = [fault] * 4
    with caplog.at_level(logging.INFO, "sockudo_publisher.delivery"):
        world.drain()
    record = next(one for one in caplog.records if one.getMessage().startswith(fields[0]))
    assert record.levelno >= logging.WARNING
    for name in ("app", *fields[1:]):
        assert re.search(rf" {name}={re.escape(str(getattr(record, name)))}(?=[ :]|$)", record.getMessage()), name
    if "message_id" in fields:
        assert (record.message_id, record.channel) == ("m-1", world.channel())
