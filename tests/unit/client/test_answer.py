"""What an answer means: the server's JSON, or the error of its status."""

import json
import pickle
from dataclasses import replace

import pytest
from requests.structures import CaseInsensitiveDict

from sockudo_publisher import errors
from sockudo_publisher.client.http.answer import Request, error_of, json_object, retry_after
from sockudo_publisher.client.http.transport import Response

pytestmark = pytest.mark.unit


def answer(status=200, body=b"", **headers):
    return Response(status, CaseInsensitiveDict({k.replace("_", "-"): v for k, v in headers.items()}), body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b" \n", {}),
        (b"{}", {}),
        (b'{"ok":true}', {}),
        (b"1", {}),
        (b"[]", {}),
        (b"null", {}),
        (b'{"channels":{"a":{"user_count":1}}}', {"channels": {"a": {"user_count": 1}}}),
        (b'{"batch":[{"subscription_count":2},{}]}', {"batch": [{"subscription_count": 2}, {}]}),
        (b'{"history_serial":9007199254740993}', {"history_serial": 9007199254740993}),
    ],
)
def test_success(body, expected):
    """Any JSON and nothing at all is success; only an object has something to say."""
    assert json_object(answer(200, body)) == expected
    assert json_object(answer(204, body)) == expected


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"channels":', b"\xff", b"[" * 100_000], ids=["html", "cut", "bytes", "deep"]
)
def test_a_success_that_is_not_json_proves_nothing(body):
    """Some proxy spoke: no answer of the server, so the fate is unknown."""
    with pytest.raises(
        errors.SockudoConnectionError, match=r"HTTP 200 with a body of .* bytes that is not JSON"
    ) as caught:
        json_object(answer(200, body))
    assert caught.value.sent


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"ok":true}', b"1", b"[]", b"null", b'{"users":null}', b'{"users":{}}', b'{"users":5}', b'{"u":[]}'],
)
def test_a_success_without_what_was_asked_for_proves_nothing(body):
    """Some proxy spoke, or a server that is none; the caller would meet a KeyError."""
    with pytest.raises(
        errors.SockudoConnectionError, match=r"HTTP 200 with a body of .* bytes without 'users'"
    ) as caught:
        json_object(answer(200, body), expected=("users", list))
    assert caught.value.sent
    assert json_object(answer(200, b'{"users":[],"more":1}'), expected=("users", list)) == {"users": [], "more": 1}
    with pytest.raises(errors.SockudoConnectionError, match="that is not JSON"):
        json_object(answer(200, b"<html>"), expected=("users", list))
    with pytest.raises(errors.NotFound):
        json_object(answer(404, body), expected=("users", list))


@pytest.mark.parametrize(
    ("status", "kind", "sent"),
    [
        (301, errors.BadStatus, True),
        (400, errors.BadRequest, True),
        (401, errors.AuthFailed, False),
        (403, errors.Forbidden, False),
        (404, errors.NotFound, False),
        (413, errors.PayloadTooLarge, True),
        (422, errors.BadStatus, True),
        (429, errors.RateLimited, False),
        (500, errors.ServerError, True),
        (503, errors.ServerError, True),
    ],
)
def test_error_of_each_status(status, kind, sent):
    """Its class, and whether something may have been delivered."""
    with pytest.raises(kind) as caught:
        json_object(answer(status, b'{"error":"Invalid API signature","code":"internal_error","status":1}'))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, "internal_error")
    assert caught.value.message == "Invalid API signature"
    assert caught.value.sent is sent


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"error":"Too Many Requests","message":"slow down"}', None, "Too Many Requests: slow down"),
        (b"plain\n text", None, "plain text"),
        (b"", None, ""),
        (b"[1]", None, "[1]"),
        (b'"words"', None, "words"),
        (b'{"error":5,"code":6}', None, ""),
        (b"\xff", None, "\ufffd"),
    ],
)
def test_words_of_the_server(body, code, message):
    """JSON of either shape, the framework's plain text, or junk: as it is where the client shows all answers."""
    error = error_of(replace(answer(400, body), is_shown=True))
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"Too Many Requests","message":"slow down"}', "text not shown (no type, 51 bytes"),
        (b'{"error":"Invalid API signature"}', "Invalid API signature"),
        (b"plain\n text", "text not shown (no type, 11 bytes"),
        (b"Not\n Found", "Not Found"),
        (b'{"request":{"data":"words"}}', "text not shown (no type, 28 bytes"),
        (b"", ""),
    ],
)
def test_only_sockudos_own_words_are_raised(body, message):
    """Of another text the type and the size."""
    error = error_of(answer(400, body))
    assert error.message == message or error.message.startswith(f"{message}; SOCKUDO_SHOW_ANSWERS=1")
    assert error.message in str(error)


def test_long_words_are_cut():
    """A proxy's page does not fill the log."""
    shown = [replace(answer(502, b"x" * 100_000), is_shown=True)]
    shown.append(replace(answer(400, json.dumps({"error": "x" * 1000}).encode()), is_shown=True))
    assert [len(error_of(one).message) for one in shown] == [301, 301]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        ("0", 0.0),
        (" 30 ", 30.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
        ("\u0661", None),
    ],
)
def test_retry_after(value, seconds):
    """Seconds or a date; what cannot be read is as if absent."""
    assert retry_after(answer(503, Retry_After=value), now=1445412480.0) == seconds
    assert retry_after(answer(503), now=0) is None


def test_retry_after_is_in_the_error():
    """In any case of letters."""
    assert error_of(answer(429, b"", **{"retry-after": "7"})).retry_after == 7.0


@pytest.mark.parametrize(
    ("status", "body", "headers", "sent"),
    [
        (503, b'{"error":"x","code":"draining"}', {}, False),
        (503, b'{"error":"x","code":"backpressure"}', {}, True),
        (503, b'{"error":"x","code":"service_unavailable"}', {}, True),
        (400, b'{"error":"Batch size (51) exceeds limit (50)","code":"limit_exceeded"}', {}, False),
        (400, b'{"error":"Event name exceeds limit (200)","code":"limit_exceeded"}', {}, True),
        (403, b'{"error":"x","code":"ai_event_not_permitted","ai_code":104003,"status":403}', {}, True),
        (400, b'{"error":"x","code":"ai_invalid_transport_header","ai_code":104001,"status":400}', {}, True),
        (413, b'{"error":"x","code":"ai_header_too_large","ai_code":104001,"status":413}', {}, True),
        (403, b'{"error":"x","code":"forbidden","status":403}', {}, False),
        (403, b'{"error":"x","code":"email_not_verified"}', {}, False),
        (403, b'{"error":"x","code":5}', {}, False),
        (403, b"<html>ai_event_not_permitted", {}, False),
        (401, b'{"error":"x","code":"ai_event_not_permitted"}', {}, False),
        (413, b'{"error":"x","code":"payload_too_large"}', {}, True),
        (413, b"length limit exceeded", {}, False),
        (415, b"Expected request with Content-Type: application/json", {}, False),
        (502, b"<html>", {}, True),
        (502, b"<html>", {"X-Upstream-Bytes-Sent": "0"}, False),
        (504, b"<html>", {"X-Upstream-Bytes-Sent": "0"}, False),
        (504, b"<html>", {"X-Upstream-Bytes-Sent": "1024"}, True),
        (500, b"<html>", {"X-Upstream-Bytes-Sent": "0"}, True),
        (502, b'{"error":"x","code":"internal_error"}', {"X-Upstream-Bytes-Sent": "0"}, True),
    ],
)
def test_answers_that_tell_whether_anything_was_published(status, body, headers, sent):
    """By status, code and words; a proxy's own answer by its header, and never with a code of Sockudo's."""
    assert error_of(Response(status, CaseInsensitiveDict(headers), body)).sent is sent


def test_decoder_of_the_caller_reads_a_success():
    """And where it fails, nothing is known."""

    class Numbers(json.JSONDecoder):
        def __init__(self):
            super().__init__(parse_int=str)

    assert json_object(answer(200, b'{"a":1}'), decoder=Numbers) == {"a": "1"}


def test_the_last_error_speaks_for_earlier_attempts():
    """And states it; what it knew by itself stays."""
    error = error_of(answer(401, b'{"error":"Invalid API signature","code":"auth_failed"}'))
    error.cover_attempts(2, earlier_sent=False)
    assert (error.sent, error.attempts, str(error)) == (False, 2, "HTTP 401 auth_failed: Invalid API signature")
    error.cover_attempts(3, earlier_sent=True)
    assert (error.sent, error.attempts) == (True, 3)
    assert str(error) == "HTTP 401 auth_failed: Invalid API signature; an earlier attempt may have arrived"
    again = pickle.loads(pickle.dumps(error))
    assert (again.sent, str(again)) == (True, str(error))
    unknown = errors.SockudoConnectionError("words", sent=True)
    unknown.cover_attempts(2, earlier_sent=True)
    assert str(unknown) == "words"


def test_input_that_is_refused_is_not_sent():
    """Errors of the caller's own have the attribute too."""
    assert errors.ValidationError("x").sent is False
    assert errors.ConfigurationError("x").sent is False


def refused(code):
    return b'{"error":"words","code":"%s","status":1}' % code.encode()


# A status with its body, and what it leaves open: of a query, one event, one on several channels, several events.
PROOFS = [
    (400, refused("invalid_input"), (False, False, True, True)),
    (400, refused("limit_exceeded"), (False, False, False, True)),
    (400, refused("ai_invalid_transport_header"), (False, False, True, True)),
    (400, b"<html>Bad Request", (False, False, True, True)),
    (400, b"Failed to parse the request body as JSON: key must be a string", (False, False, False, False)),
    (401, refused("auth_failed"), (False, False, False, False)),
    (403, refused("ai_event_not_permitted"), (False, False, True, True)),
    (404, refused("app_not_found"), (False, False, False, False)),
    (405, b"", (False, False, False, False)),
    (408, b"", (False, True, True, True)),
    (409, b"", (False, True, True, True)),
    (411, b"", (False, False, False, False)),
    (413, refused("payload_too_large"), (False, False, False, True)),
    (413, b"length limit exceeded", (False, False, False, False)),
    (415, b"", (False, False, False, False)),
    (422, refused("feature_disabled"), (False, False, True, True)),
    (422, b"Failed to deserialize the JSON body into the target type: batch[0]", (False, False, False, False)),
    (429, b"", (False, False, False, False)),
    (302, b"", (False, True, True, True)),
    (500, refused("internal_error"), (False, True, True, True)),
    (503, refused("backpressure"), (False, True, True, True)),
    (503, refused("draining"), (False, False, False, False)),
    (504, b"", (False, True, True, True)),
]


@pytest.mark.parametrize(("status", "body", "sent"), PROOFS, ids=[f"{row[0]} {row[1][:40]!r}" for row in PROOFS])
def test_proof_of_a_refusal_depends_on_the_request(status, body, sent):
    """One event on one channel is refused whole; of the others some may be out."""
    requests = (Request.QUERY, Request.ONE, Request.CHANNELS, Request.EVENTS)
    assert tuple(error_of(answer(status, body), request).sent for request in requests) == sent
