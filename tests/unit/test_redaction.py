"""Words of the server and of proxies that hold what is ours: the kinds that Sockudo 5.2.0 was seen to say."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.client.http.answer import error_of
from sockudo_publisher.client.http.transport import Response
from sockudo_publisher.delivery.outcome import Outcome, Reply, classify
from sockudo_publisher.redaction import redact
from sockudo_publisher.server_texts import known_code

pytestmark = pytest.mark.unit

SECRET = "EXTRASECRET"
READER = "Failed to deserialize the JSON body into the target type: "

WORDS = {
    "text": (
        f'invalid type: string "{SECRET}", expected a map at line 1 column 73',
        "string …, expected a map at line",
    ),
    "text with quotes": (f'invalid type: string "a\\"{SECRET}\\\\", expected a map', "string …, expected a map"),
    "text with its words": (
        f'invalid type: string "x\\", expected {SECRET}", expected a boolean',
        "string …, expected a boolean",
    ),
    "text cut short": (f'invalid value: string "{SECRET} and mo', "invalid value: string …"),
    "text cut in an escape": (f'invalid value: string "{SECRET}\\', "invalid value: string …"),
    "number": ("invalid type: integer `12345678`, expected a boolean", "integer …, expected a boolean"),
    "fraction": ("invalid type: floating point `12345678.5`, expected a str", "floating point …, expected a str"),
    "choice": (f"unknown variant `{SECRET}`, expected `a` or `b`", "unknown variant …, …"),
    "choice with a tick": (f"unknown variant `a`, {SECRET}`, expected `b`", "unknown variant …, …"),
    "choice cut short": (f"unknown variant `{SECRET}", "unknown variant …"),
}


@pytest.mark.parametrize(("said", "kept"), WORDS.values(), ids=WORDS)
def test_values_are_taken_out_and_the_reason_is_kept(said: str, kept: str) -> None:
    """In errors of direct calls, and in what delivery logs and keeps with a dead letter."""
    body = f"{READER}batch[0].extras.headers: {said}".encode()
    reply = Reply(422, body, {"content-type": "text/plain; charset=utf-8"})
    direct = error_of(Response(422, {"content-type": "text/plain"}, body))  # type: ignore[arg-type]
    queued = classify(reply, 1)
    assert queued.outcome is Outcome.REFUSED
    for error_text in (str(direct), queued.message):
        assert f"{READER}batch[0].extras.headers: " in error_text
        assert kept in error_text
        assert SECRET not in error_text
        assert "12345678" not in error_text


def test_own_errors_of_sockudo_too() -> None:
    """As JSON, with a code."""
    body = json.dumps({"error": f'invalid type: string "{SECRET}"', "code": "bad_request", "status": 400}).encode()
    assert SECRET not in classify(Reply(400, body, {}), 1).message
    assert SECRET not in str(error_of(Response(400, {}, body)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "kept"), [("top_secret", ""), ("ai_top_secret", "ai_…"), ("not_found", "not_found")])
def test_code_that_is_not_of_sockudo_is_not_kept(code: str, kept: str) -> None:
    """A server that repeats the request may do so anywhere in its answer. ``SOCKUDO_SHOW_ANSWERS`` shows it."""
    body = json.dumps({"error": "x", "code": code, "status": 400}).encode()
    assert (error_of(Response(400, {}, body)).code or "") == kept  # type: ignore[arg-type]
    for text in (classify(Reply(400, body, {}), 1).message, str(error_of(Response(400, {}, body)))):  # type: ignore[arg-type]
        assert "top_secret" not in text
        assert kept in text
    assert known_code(f"{code}\x1b", is_shown=True) == f"{code}\\x1b"


@pytest.mark.parametrize(
    "error_text",
    [
        "extras.push: invalid type: newtype struct, expected a valid json at line 1 column 57",
        "extras.headers.a: data did not match any variant of untagged enum ExtrasValue at line 1 column 83",
        "missing field `name` at line 1 column 20",
        "Batch size (51) exceeds limit (50)",
    ],
)
def test_what_quotes_nothing_stays_as_it_is(error_text: str) -> None:
    """The server's reasons are for people to read."""
    assert redact(error_text) == error_text


def test_signature_of_a_quoted_url_is_taken_out() -> None:
    """Key and signature; the rest of a proxy's page stays."""
    assert redact("no route to /apps/a/events?auth_key=k&auth_signature=s  here") == (
        "no route to /apps/a/events?auth_…  here".replace("  ", " ")
    )
