"""Every row of docs/outcomes.md: what one answer proves about its batch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.delivery.outcome import (
    MAX_MESSAGE,
    MAX_RETRY_AFTER_S,
    Finding,
    NoReply,
    Outcome,
    Reply,
    blame_item,
    classify,
)
from tests.unit.delivery import model
from tests.unit.delivery.model import HTML, JSON, TEXT, error, receipts

pytestmark = pytest.mark.unit

#: What proxies in front of the server put beside a status: pages, or nothing.
PAGE = b"<html>\r\n<head><title>Oops</title></head>\r\n<body><center><h1>Oops</h1></center></body></html>"


def json_reply(status: int, document: object) -> Reply:
    return Reply(status, json.dumps(document).encode(), JSON)


def page(status: int, **headers: str) -> Reply:
    return Reply(status, PAGE, {**HTML, **headers})


def upstream(status: int, sent: str) -> Reply:
    return page(status, **{"x-upstream-bytes-sent": sent})


TWO = receipts(["a", "b"])

#: (what happened, what it proves), for a batch of two.
TABLE: dict[Outcome, dict[str, Reply | NoReply]] = {
    Outcome.ACCEPTED: {
        "a receipt each": TWO,
        "more fields beside the receipts": json_reply(
            200, {"batch": [{"acknowledgement_id": "a", "subscription_count": 3}, {"acknowledgement_id": "b"}], "x": 1}
        ),
        "receipts that are numbers": json_reply(200, {"batch": [{"acknowledgement_id": 7}, {"acknowledgement_id": 8}]}),
        "a space before": Reply(200, b" \n" + TWO.body, JSON),
        "an unknown content type": Reply(200, TWO.body, {}),
    },
    Outcome.NOT_SENT: {
        "connection refused": NoReply(sent=False, message="refused"),
        "502 of our nginx, nothing went upstream": upstream(502, "0"),
        "504 of our nginx, nothing went upstream": upstream(504, " 0 "),
    },
    Outcome.UNKNOWN: {
        "timeout after sending": NoReply(sent=True, message="timed out"),
        "200 with too few receipts": receipts(["a"]),
        "200 with no receipts": json_reply(200, {"batch": []}),
        "200 with a skipped item": json_reply(200, {"batch": [{"acknowledgement_id": "a"}, {}]}),
        "200 with a null item": json_reply(200, {"batch": [{"acknowledgement_id": "a"}, None]}),
        "200 with an empty receipt": json_reply(
            200, {"batch": [{"acknowledgement_id": ""}, {"acknowledgement_id": "b"}]}
        ),
        "200 with a null receipt": json_reply(200, {"batch": [{"acknowledgement_id": None}] * 2}),
        "200 with a receipt that is true": json_reply(200, {"batch": [{"acknowledgement_id": True}] * 2}),
        "200 with a receipt that is a list": json_reply(200, {"batch": [{"acknowledgement_id": ["a"]}] * 2}),
        "200 with a receipt that is an object": json_reply(200, {"batch": [{"acknowledgement_id": {"a": 1}}] * 2}),
        "200 with a batch that is an object": json_reply(200, {"batch": {"a": 1, "b": 2}}),
        "200 with a batch that is text": json_reply(200, {"batch": "ab"}),
        "200 with a list": json_reply(200, [{"acknowledgement_id": "a"}, {"acknowledgement_id": "b"}]),
        "200 with ok": json_reply(200, {"ok": True}),
        "200 with {}": Reply(200, b"{}", JSON),
        "200 with nothing": Reply(200, b"", JSON),
        "200 with null": Reply(200, b"null", JSON),
        "200 with a number": Reply(200, b"2", JSON),
        "200 cut off": Reply(200, TWO.body[:-3], JSON),
        "200 cut off in a character": Reply(200, b'{"batch":[{"acknowledgement_id":"\xc3', JSON),
        "200 not UTF-8": Reply(200, b'{"batch":["\xff\xfe"]}', JSON),
        "200 nested beyond any parser": Reply(200, b"[" * 200_000, JSON),
        "200 objects nested beyond any parser": Reply(200, b'{"batch":' * 100_000, JSON),
        "200 with a number of 10,000 digits": Reply(200, b'{"batch":[' + b"9" * 10_000 + b"]}", JSON),
        "200 of a captive portal": page(200),
        "200 with an error inside": json_reply(200, {"error": "x", "code": "y", "status": 200}),
        "103 that was not passed over": Reply(103, b"", {}),
        "101": Reply(101, b"", {}),
        "201": Reply(201, TWO.body, JSON),
        "206": Reply(206, TWO.body, JSON),
        "202": Reply(202, b"", {}),
        "204": Reply(204, b"", {}),
        "408 of a proxy": page(408),
        "409": page(409),
        "415": Reply(415, b"Expected request with `Content-Type: application/json`", TEXT),
        "418": page(418),
        "500": error(500, "internal_error", "Internal server error"),
        "500 page": page(500),
        "501": error(501, "not_implemented", "x"),
        "502 page": page(502),
        "502, bytes went upstream": upstream(502, "1234"),
        "502, nginx does not know": upstream(502, "-"),
        "502, two upstreams, one got it": upstream(502, "0, 512"),
        "502, two upstreams, neither got it": upstream(502, "0, 0"),
        "502, nothing said": upstream(502, ""),
        "502, garbage": upstream(502, "0x"),
        "504 page": page(504),
        "504, bytes went upstream": upstream(504, "99"),
        "500 with bytes-sent 0: not nginx's own answer": upstream(500, "0"),
        "507": page(507),
        "520 of a CDN": page(520),
        "599": Reply(599, b"", {}),
        "0": Reply(0, b"", {}),
        # An answer about content that is not Sockudo's must not cost an event its life.
        "400 page": page(400),
        "400 empty": Reply(400, b"", {}),
        "400 plain text of a proxy": Reply(400, b"400 Bad Request: malformed Host header", TEXT),
        "400 JSON of a gateway": json_reply(400, {"message": "Bad Request"}),
        "400 JSON with error but no code": json_reply(400, {"status": 400, "error": "Bad Request", "path": "/x"}),
        "400 with an error that is no text": json_reply(400, {"error": {"x": 1}, "code": "invalid_input"}),
        "400 cut off": Reply(400, model.REFUSED.body[:-1], JSON),
        "400 JSON list": json_reply(400, ["error"]),
        "400 nested beyond any parser": Reply(400, b'{"error":' * 100_000, JSON),
        "422 page": page(422),
        "422 plain text of a proxy": Reply(422, b"Unprocessable Entity", TEXT),
        "422 JSON with error but no code": json_reply(422, {"error": "Unprocessable"}),
    },
    Outcome.MISCOUNTED: {
        "200 with too many receipts": receipts(["a", "b", "c"]),
    },
    Outcome.STUCK: {
        "the server's words": model.STUCK,
        "a batch key": error(503, "backpressure", "Idempotent batch publish is still in progress"),
        "an outer key": error(503, "backpressure", "Idempotent publish is still in progress"),
    },
    Outcome.BUSY: {
        "503 draining": model.DRAINING,
        "503 backpressure about something else": error(503, "backpressure", "Too many requests in flight"),
        "503 in progress, but another code": error(503, "service_unavailable", "still in progress"),
        "503 service_unavailable": error(503, "service_unavailable", "Cache unavailable"),
        "503 page": page(503),
        "503 empty": Reply(503, b"", {}),
        "503 text in progress": Reply(503, b"idempotent publish is still in progress", TEXT),
        "503 cut off": Reply(503, model.STUCK.body[:-1], JSON),
        "503 with bytes-sent 0": upstream(503, "0"),
        "429 of the limiter": json_reply(429, {"error": "Too Many Requests", "message": "Rate limit exceeded"}),
        "429 of push": error(429, "rate_limited", "x"),
        "429 page": page(429),
    },
    Outcome.REFUSED: {
        "400 about content": model.REFUSED,
        "400 event name missing": error(400, "invalid_input", "Event name is required"),
        "400 long event name, the code of a large batch": model.LONG_NAME,
        "400 an event name that speaks of batches": error(
            400, "limit_exceeded", "Event name 'Batch size (6) exceeds limit (5)' exceeds maximum length of 20"
        ),
        "400 too many channels at once": error(400, "limit_exceeded", "Cannot publish to 101 channels, limit 100"),
        "400 no channel": error(400, "missing_channel_info", "Request must contain 'channels' (list) or 'channel'"),
        "400 bad JSON": model.BAD_JSON,
        "422 wrong type": model.WRONG_TYPE,
        "422 feature": error(422, "feature_disabled", "History is disabled"),
        "413 of one event's data": model.PAYLOAD,
        "403 an AI event without AI transport": model.AI_EVENT,
        "400 an AI event's extras": error(400, "ai_invalid_transport_field", "x"),
        "413 an AI event's extras": error(413, "ai_extras_too_large", "x"),
    },
    Outcome.CONFLICT: {
        "the server's words": model.CONFLICT,
    },
    Outcome.TOO_LARGE: {
        "400 about the batch": model.batch_too_large(2, 1),
        "413 of the body, plain text": model.BODY_TOO_LARGE,
        "413 page of nginx": page(413),
        "413 empty": Reply(413, b"", {}),
        "413 JSON of a gateway": json_reply(413, {"message": "Request Too Long"}),
        "413 Sockudo's code cut off": Reply(413, model.PAYLOAD.body[:-1], JSON),
        "413 another code": error(413, "body_limit", "x"),
    },
    Outcome.MISCONFIGURED: {
        "401 wrong secret": model.BAD_SIGNATURE,
        "401 clock": error(401, "auth_failed", "Timestamp expired or invalid"),
        "401 page": page(401),
        "403": error(403, "forbidden", "x"),
        "403 no code": json_reply(403, {"error": "ai_event_not_permitted"}),
        "403 page of a firewall": page(403),
        "404 unknown key": model.UNKNOWN_APP,
        "404 page of another server": page(404),
        "404 text": Reply(404, b"Not Found", TEXT),
        "405": Reply(405, b"", {}),
        "301": page(301, location="https://example.org/"),
        "302 to a login": page(302),
        "304": Reply(304, b"", {}),
        "308": page(308),
    },
}

ROWS = [
    pytest.param(result, outcome, id=f"{outcome.value}: {name}")
    for outcome, rows in TABLE.items()
    for name, result in rows.items()
]


@pytest.mark.parametrize(("result", "outcome"), ROWS)
def test_answer_proves(result: Reply | NoReply, outcome: Outcome) -> None:
    """One row of the table, for a batch of two."""
    assert classify(result, 2).outcome is outcome


def test_every_outcome_has_rows() -> None:
    """A new outcome without a row is a gap."""
    assert set(TABLE) == set(Outcome)


@pytest.mark.parametrize("status", [200, 201, 301, 400, 404, 408, 413, 422, 429, 500, 502, 503, 504, 520])
def test_page_of_a_proxy_never_settles_or_condemns(status: int) -> None:
    """HTML is no answer about an event: not accepted, not refused, not stuck."""
    assert classify(page(status), 2).outcome not in {
        Outcome.ACCEPTED,
        Outcome.REFUSED,
        Outcome.CONFLICT,
        Outcome.STUCK,
    }


@pytest.mark.parametrize(
    ("text", "kept", "limit"),
    [
        ("Batch size (51) exceeds limit (50)", "Batch size (51) exceeds limit (50)", 50),
        ("batch size (51) exceeds limit (50)", "batch size (51) exceeds limit (50)", 50),
        ("Batch size too large", "Batch size…", None),
        ("Batch size (51) is too large", "Batch size…", None),
        ("Batch size (51) exceeds limit (0)", "Batch size (51) exceeds limit (0)", None),
        (f"Batch size (51) exceeds limit ({'9' * 5000})", "Batch size…", None),
    ],
)
def test_limit_that_the_server_names(text: str, kept: str, limit: int | None) -> None:
    """The last number of the text, when there are two and it can be obeyed."""
    assert classify(error(400, "limit_exceeded", text), 51) == Finding(Outcome.TOO_LARGE, kept, limit=limit)


@pytest.mark.parametrize("reply", [model.DRAINING, page(429), page(503)], ids=["draining", "429", "proxy"])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 1.0),
        ("1", 1.0),
        ("17", 17.0),
        (" 5 ", 5.0),
        ("600", 600.0),
        ("601", MAX_RETRY_AFTER_S),
        ("999999", MAX_RETRY_AFTER_S),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("1e3", None),
        ("٣", None),
    ],
)
def test_retry_after(reply: Reply, header: str, seconds: float | None) -> None:
    """Whole seconds; 0 counts as 1, days as ten minutes; anything else as not said."""
    asked = Reply(reply.status, reply.body, {**reply.headers, "retry-after": header})
    assert classify(asked, 2).retry_after_s == seconds


def test_retry_after_absent() -> None:
    """The server has no wish."""
    assert classify(page(503), 2).retry_after_s is None


def test_words_are_the_servers_own_and_short() -> None:
    """People read them in the logs and dead letters: JSON's error text; of a page its type and size."""
    assert classify(model.REFUSED, 1).message.startswith("Channel name contains invalid characters")
    size = len(page(502).body)
    hidden = f"text not shown (text/html, {size} bytes; SOCKUDO_SHOW_ANSWERS=1 shows it)"
    assert classify(page(502), 1).message == f"HTTP 502: {hidden}"
    assert classify(model.BAD_SIGNATURE, 1).message == "HTTP 401: Invalid API signature"
    assert "SOCKUDO_URL" in classify(page(302), 1).message
    assert classify(error(400, "invalid_input", "x" * 5000), 1).message.startswith("invalid_input, text not shown")
    assert classify(Reply(405, b"", {}), 1).message == "HTTP 405"


def test_any_words_are_shown_if_the_settings_say_so() -> None:
    """The error's text or a page without its markup, cut."""
    assert classify(replace(page(502), is_shown=True), 1).message == "HTTP 502: Oops Oops"
    long = replace(error(400, "invalid_input", "x" * 5000), is_shown=True)
    assert classify(long, 1).message == "x" * MAX_MESSAGE
    longer = classify(Reply(500, b"y" * 50_000, TEXT, is_shown=True), 1).message
    assert len(longer) <= MAX_MESSAGE + len("HTTP 500: ")


@given(
    status=st.integers(100, 599),
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["error", "code", "batch", "acknowledgement_id"]), inner, max_size=3)
            ),
            max_leaves=8,
        ).map(lambda document: json.dumps(document).encode()),
    ),
    kind=st.sampled_from([JSON, TEXT, HTML, {}]),
    count=st.integers(1, 4),
)
def test_any_answer_has_an_outcome_and_only_receipts_settle(
    status: int, body: bytes, kind: dict[str, str], count: int
) -> None:
    """Nothing a server can say raises; accepted needs a receipt for each item."""
    finding = classify(Reply(status, body, kind), count)
    if finding.outcome is Outcome.ACCEPTED:
        answered = json.loads(body)["batch"]
        assert status == 200
        assert len(answered) == count
        assert all(one["acknowledgement_id"] for one in answered)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, b"<p>No /apps/1/e?auth_key=KEY&amp;auth_signature=deadbeef&amp;body_md5=x here</p>", HTML),
        json_reply(400, {"error": "no route for ?auth_key=KEY&auth_signature=deadbeef", "code": "invalid_input"}),
    ],
    ids=["page", "json"],
)
def test_words_that_quote_our_request_lose_its_signature(reply: Reply) -> None:
    """They go to the log, to `status`, into Redis."""
    text = classify(replace(reply, is_shown=True), 1).message
    assert "auth_…" in text
    assert not any(secret in text for secret in ("KEY", "deadbeef", "body_md5"))


@given(st.integers(1, 40), st.integers(0, 45))
def test_receipts_are_counted(sent: int, answered: int) -> None:
    """One too few or too many and nothing is settled; too many are of items that hold several events."""
    expected = {0: Outcome.ACCEPTED, 1: Outcome.MISCOUNTED, -1: Outcome.UNKNOWN}[(answered > sent) - (answered < sent)]
    assert classify(receipts([str(n) for n in range(answered)]), sent).outcome is expected


@pytest.mark.parametrize(
    ("reply", "faults", "culprit"),
    [
        (receipts(["a", "b", "c"]), ["", "two"], 1),
        (receipts(["a"]), ["none", "two"], 0),
        (json_reply(200, {"batch": [{"acknowledgement_id": "a"}, {}]}), ["", "no id"], 1),
        (Reply(200, b"{}", JSON), ["", "no id"], 1),
        (Reply(200, b"{}", JSON), ["", ""], None),
        (TWO, ["", "no id"], None),
        (page(502), ["", "no id"], None),
        (NoReply(sent=True), ["no id", ""], None),
        (model.REFUSED, ["no id", ""], None),
    ],
    ids=["more", "fewer", "a receipt missing", "of a proxy", "items in order", "accepted", "502", "none", "refused"],
)
def test_only_an_item_at_fault_is_blamed_for_an_odd_200(
    reply: Reply | NoReply, faults: list[str], culprit: int | None
) -> None:
    """By its own bytes; the answer of a proxy condemns no event that is in order."""
    before = classify(reply, 2)
    after = blame_item(before, reply, faults)
    assert after.culprit == culprit
    assert after == before if culprit is None else after.outcome is Outcome.MISCOUNTED


@given(st.data())
def test_truncated_answer_is_never_taken_for_an_acceptance(data: st.DataObject) -> None:
    """A connection that ends in the answer proves nothing."""
    cut = data.draw(st.integers(0, len(TWO.body) - 1))
    assert classify(Reply(200, TWO.body[:cut], JSON), 2).outcome is Outcome.UNKNOWN


def test_documented_rows_are_the_outcomes() -> None:
    """docs/outcomes.md has a row for each outcome, in the enum's order, and no other."""
    text = (Path(__file__).parents[3] / "docs" / "outcomes.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip().strip("*") for line in text.splitlines() if line.startswith("| **")]
    assert rows == [outcome.value for outcome in Outcome]
