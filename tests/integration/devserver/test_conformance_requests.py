"""What a Sockudo answers to a request, before it looks at the event: route, signature, body. On both servers."""

from __future__ import annotations

import hashlib
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.devserver.conformance import APP, SECOND_APP, assert_refused
from tests.support.http_api import HttpApi, signature

pytestmark = pytest.mark.integration


def test_health_of_server_and_app_is_not_signed(api: HttpApi) -> None:
    """`/up` says OK, in the body and in a header; an unknown app is 404."""
    for path, status, word in (("/up", 200, "OK"), (f"/up/{APP.id}", 200, "OK"), ("/up/unknown", 404, "NOT_FOUND")):
        answer = api.plain("GET", path)
        assert (answer.status, answer.body, answer.headers["x-health-check"]) == (status, word.encode(), word)


@pytest.mark.parametrize("path", ["/", "/nothing", "/apps/conformance/nothing"])
def test_an_unknown_path_is_404_in_plain_text(api: HttpApi, path: str) -> None:
    """Not JSON, signed or not."""
    answer = api.request("POST", path, b"{}")
    assert (answer.status, answer.body, answer.media_type) == (404, b"404 NOT FOUND", "text/plain")


def test_another_method_is_405_without_a_body(api: HttpApi) -> None:
    """Before the signature is looked at."""
    answer = api.plain("GET", f"/apps/{APP.id}/events")
    assert (answer.status, answer.body, answer.headers["connection"]) == (405, b"", "close")


MD5_MISSING = "body_md5 is required and must be non-empty in query parameters for POST requests with a non-empty body"
EXPIRED = "Timestamp expired or too far in the future"
AUTH: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "unknown key": (
        {"parameters": {"auth_key": "unknown"}},
        404,
        "app_not_found",
        "Application key not found or invalid: Invalid app key",
    ),
    "no key": (
        {"without": ["auth_key"]},
        404,
        "app_not_found",
        "Application key not found or invalid: Invalid app key",
    ),
    "no query": ({"query": ""}, 400, "invalid_input", "Missing authentication query parameters"),
    "key of another app": (
        {"parameters": {"auth_key": SECOND_APP.key}, "secret": SECOND_APP.secret},
        401,
        "auth_failed",
        "Authenticated app does not match route app_id",
    ),
    "wrong secret": ({"secret": "wrong"}, 401, "auth_failed", "Invalid API signature"),
    "wrong signature": ({"parameters": {"auth_signature": "0" * 64}}, 401, "auth_failed", "Invalid API signature"),
    "no signature": ({"without": ["auth_signature"]}, 401, "auth_failed", "Invalid API signature"),
    "signature not ASCII": ({"parameters": {"auth_signature": "ä" * 64}}, 401, "auth_failed", "Invalid API signature"),
    "no timestamp": ({"without": ["auth_timestamp"]}, 401, "auth_failed", "auth_timestamp is missing"),
    "timestamp in words": (
        {"parameters": {"auth_timestamp": "now"}},
        401,
        "auth_failed",
        "Invalid auth_timestamp format",
    ),
    "no md5": ({"without": ["body_md5"]}, 401, "auth_failed", MD5_MISSING),
    "empty md5": ({"parameters": {"body_md5": ""}}, 401, "auth_failed", MD5_MISSING),
    "wrong md5": ({"parameters": {"body_md5": "0" * 32}}, 401, "auth_failed", "body_md5 mismatch"),
}


@pytest.mark.parametrize(("how", "status", "code", "error"), AUTH.values(), ids=AUTH)
def test_who_did_not_sign_is_refused(api: HttpApi, how: dict[str, Any], status: int, code: str, error: str) -> None:
    """404 for an unknown key, 400 without a query, 401 for the rest."""
    assert_refused(api.post("/events", {"channel": "c", "name": "e", "data": "d"}, **how), status, code, error)


@pytest.mark.parametrize(("offset_s", "status"), [(-604, 401), (604, 401), (-596, 200), (596, 200)])
def test_a_clock_may_differ_by_ten_minutes(api: HttpApi, offset_s: int, status: int) -> None:
    """Either way."""
    how = {"parameters": {"auth_timestamp": str(int(time.time()) + offset_s)}}
    answer = api.post("/events", {"channel": "c", "name": "e", "data": "d"}, **how)
    assert answer.status == status
    if status == 401:
        assert answer.json["error"] == EXPIRED


@pytest.mark.parametrize(
    "parameters",
    [{"x": "a b&c=ü+"}, {"Upper": "Case"}, {"empty": ""}, {"auth_version": "2.0"}],
    ids=["to be escaped", "upper case", "empty", "version"],
)
def test_further_parameters_are_signed_decoded_in_lower_case(api: HttpApi, parameters: dict[str, str]) -> None:
    """And the version is not looked at."""
    answer = api.post("/events", {"channel": "c", "name": "e", "data": "d"}, parameters=parameters)
    assert (answer.status, answer.json) == (200, {"ok": True})


def test_a_signature_holds_for_its_parameters_alone(api: HttpApi) -> None:
    """With one more, or one changed, it is another text."""
    body = b'{"channel":"c","name":"e","data":"d"}'
    signed = {"auth_key": APP.key, "auth_timestamp": str(int(time.time())), "body_md5": hashlib.md5(body).hexdigest()}
    query = urlencode({**signed, "auth_signature": signature(APP.secret, "POST", f"/apps/{APP.id}/events", signed)})
    assert api.post("/events", body, query=query).status == 200
    assert api.post("/events", body, query=f"{query}&more=1").json["error"] == "Invalid API signature"
    assert api.post("/batch_events", body, query=query).json["error"] == "Invalid API signature"


def test_one_trailing_slash_is_no_part_of_the_path(api: HttpApi) -> None:
    """Neither for the route nor for the signature."""
    path = f"/apps/{APP.id}/events"
    body = b'{"channel":"c","name":"e","data":"d"}'
    assert api.request("POST", path + "/", body, sign_path=path).status == 200
    assert api.request("POST", path + "/", body).status == 401


BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "Failed to parse the request body as JSON: "),
    "half of an object": (b'{"name":', 400, "Failed to parse the request body as JSON: "),
    "something behind it": (b"{}x", 400, "Failed to parse the request body as JSON: "),
    "not UTF-8": (b'{"name":"\xff"}', 400, "Failed to parse the request body as JSON: "),
    "NaN": (b'{"data":NaN}', 400, "Failed to parse the request body as JSON: "),
    "half a surrogate pair": (b'{"name":"\\ud800"}', 400, "Failed to parse the request body as JSON: "),
    "a string": (b'"x"', 422, "Failed to deserialize the JSON body into the target type: "),
    "a channel of another type": (b'{"channel":1}', 422, "Failed to deserialize the JSON body into the target type: "),
    "channels of another type": (
        b'{"channels":"c"}',
        422,
        "Failed to deserialize the JSON body into the target type: ",
    ),
    "a name of another type": (b'{"name":1}', 422, "Failed to deserialize the JSON body into the target type: "),
    "a message_id of another type": (b'{"message_id":1}', 422, "Failed to deserialize the JSON body into the target"),
    "a socket_id of another type": (b'{"socket_id":1}', 422, "Failed to deserialize the JSON body into the target"),
    "info of another type": (b'{"info":["user_count"]}', 422, "Failed to deserialize the JSON body into the target"),
    "delta of another type": (b'{"delta":1}', 422, "Failed to deserialize the JSON body into the target type: "),
    "a tag of another type": (b'{"tags":{"a":1}}', 422, "Failed to deserialize the JSON body into the target type: "),
    "extras of another type": (b'{"extras":5}', 422, "Failed to deserialize the JSON body into the target type: "),
    "headers of another type": (
        b'{"extras":{"headers":5}}',
        422,
        "Failed to deserialize the JSON body into the target",
    ),
}


@pytest.mark.parametrize(("body", "status", "start"), BODIES.values(), ids=BODIES)
def test_what_cannot_be_decoded_is_refused_in_plain_text(api: HttpApi, body: bytes, status: int, start: str) -> None:
    """400 for what is no JSON, 422 for JSON of other types."""
    answer = api.post("/events", body)
    assert (answer.status, answer.media_type, answer.headers["connection"]) == (status, "text/plain", "close")
    assert answer.body.decode().startswith(start)


BATCH_BODIES = {
    "no batch": b"{}",
    "an object": b'{"batch":{}}',
    "null": b'{"batch":null}',
    "an item that is a string": b'{"batch":["x"]}',
}


@pytest.mark.parametrize("body", BATCH_BODIES.values(), ids=BATCH_BODIES)
def test_a_batch_of_another_type_is_422_in_plain_text(api: HttpApi, body: bytes) -> None:
    """As for one event."""
    answer = api.post("/batch_events", body)
    assert (answer.status, answer.media_type) == (422, "text/plain")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/vnd.x+json", 200),
        ("text/plain", 415),
        (None, 415),
    ],
)
def test_a_body_must_be_called_json(api: HttpApi, content_type: str | None, status: int) -> None:
    """415 in plain text for anything else."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = api.post("/events", {"channel": "c", "name": "e", "data": "d"}, headers=headers)
    assert answer.status == status
    if status == 415:
        assert answer.body == b"Expected request with `Content-Type: application/json`"


def test_a_body_over_ten_mebibytes_is_413_in_plain_text(api: HttpApi) -> None:
    """The transport's own limit, whatever is in it."""
    answer = api.post("/events", b" " * (10 * 1024 * 1024 + 1))
    assert (answer.status, answer.media_type) == (413, "text/plain")
