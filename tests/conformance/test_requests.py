"""A request before its event is read: connection, path, method, body, CORS."""

from __future__ import annotations

import json

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.http import ANSWER_S, JSON
from tests.conformance.raw import read_answer, send_request
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

EVENT = {"channel": "c", "name": "e", "data": "d"}
SOURCE = "11-in-general"
ERRORS = "12-errors"


@fact("http.keep_alive", "Every answer closes its connection", promise=Promise.OUTCOME, source=SOURCE, quick=True)
def test_connection_is_closed(plain: Node):
    answers = {
        "200": plain.post("/events", EVENT),
        "400": plain.post("/events", {**EVENT, "channel": "a b"}),
        "400 of a batch": plain.batch({**EVENT, "channel": "a b"}),
        "400 in plain text": plain.post("/events", b"x"),
        "401": plain.post("/events", EVENT, secret="wrong"),
        "404": plain.post("/events", EVENT, parameters={"auth_key": "unknown"}),
        "405": plain.plain("GET", f"/apps/{plain.app.id}/events"),
        "422": plain.post("/events", b'"x"'),
        "query": plain.get("/channels"),
    }
    return {case: answer.headers.get("connection", "") for case, answer in answers.items()}


@fact(
    "http.keep_alive_kept",
    "A connection that asks for `keep-alive` is closed too",
    promise=Promise.OUTCOME,
    source=SOURCE,
)
def test_keep_alive_is_not_kept(plain: Node):
    body = b'{"channel":"c","name":"e","data":"d"}'
    with send_request(plain, "/events", body, {"Connection": "keep-alive"}) as connection:
        answer = read_answer(connection)
        # Everything until the server closes: nothing may follow.
        return {"status": answer.status, "after it": connection.recv(1).decode()}


@fact(
    "http.cut_body",
    "A body that is cut before its end publishes nothing and claims no id",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_cut_body(plain: Node, name: str):
    body = json.dumps({"channel": name, "message_id": name, "name": "e", "data": "d" * 500}).encode()
    with plain.socket() as socket:
        socket.subscribe(name)
        with send_request(plain, "/events", body, {}, cut=len(body) - 250):
            pass
        # Other data: if anything of the cut one was kept, this is a conflict.
        answer = plain.event(channel=name, name="e", data="whole", message_id=name)
        return {"another event under its id": answer.line, "delivered": socket.wait_for_texts(1)}


@fact("http.chunked", "A body may come in chunks", promise=Promise.CLIENT, source=SOURCE)
def test_chunked_body(plain: Node, name: str):
    body = b'{"channel":"c","name":"e","data":"d"}'
    with send_request(plain, "/events", body, {}, is_chunked=True) as connection:
        return read_answer(connection).line


@fact("http.unknown_path", "An unknown path is 404 in plain text", promise=Promise.OUTCOME, source=SOURCE, quick=True)
def test_unknown_path(plain: Node):
    return {
        "/nothing": plain.plain("GET", "/nothing").line,
        "/, signed": plain.request("POST", "/", b"{}").line,
        "below the app, signed": plain.post("/nothing", b"{}").line,
        "of an app": plain.request("POST", "/apps", b"{}").line,
    }


@fact(
    "http.method",
    "Another method is 405 without a body, before the signature is checked",
    promise=Promise.OUTCOME,
    source=SOURCE,
)
def test_other_method(plain: Node):
    path = f"/apps/{plain.app.id}"
    return {
        "GET /events": plain.plain("GET", f"{path}/events").line,
        "PUT /batch_events": plain.plain("PUT", f"{path}/batch_events", b"{}").line,
        "POST /channels": plain.plain("POST", f"{path}/channels", b"{}").line,
    }


@fact("http.content_type", "A body needs a JSON type, else 415", promise=Promise.OUTCOME, source=SOURCE)
def test_content_type(plain: Node):
    cases = {
        "application/json; charset=utf-8": {"Content-Type": "application/json; charset=utf-8"},
        "application/vnd.x+json": {"Content-Type": "application/vnd.x+json"},
        "text/plain": {"Content-Type": "text/plain"},
        "none": {},
    }
    return {case: plain.post("/events", EVENT, headers=headers).line for case, headers in cases.items()}


@fact("http.body_limit", "A body has at most 10 MiB, else 413 in plain text", promise=Promise.OUTCOME, source=SOURCE)
def test_body_limit(plain: Node):
    limit = 10 * 1024 * 1024
    body = b'{"batch":[]}'
    return {
        "10,485,760 bytes": plain.post("/batch_events", body.ljust(limit)).line,
        "one more": plain.post("/batch_events", body.ljust(limit + 1)).line,
        "one more, of one event": plain.post("/events", b" " * (limit + 1)).line,
    }


@fact(
    "http.error_body",
    "Its own errors are JSON with `error`, `code` and `status`, and nothing else",
    promise=Promise.OUTCOME,
    source=ERRORS,
    quick=True,
)
def test_error_body(plain: Node):
    answers = {
        "401": plain.post("/events", EVENT, secret="wrong"),
        "404": plain.post("/events", EVENT, parameters={"auth_key": "unknown"}),
        "400": plain.post("/events", {**EVENT, "channel": "a b"}),
    }
    return {case: [answer.media_type, *sorted(answer.json)] for case, answer in answers.items()}


@fact("http.bad_json", "A body that is not JSON is 400 in plain text", promise=Promise.OUTCOME, source=ERRORS)
def test_bad_json(plain: Node):
    cases = {
        "empty": b"",
        "half": b'{"name":',
        "more behind it": b"{}x",
        "NaN": b'{"data":NaN}',
        "not UTF-8": b'{"name":"\xff"}',
        "half a surrogate pair": b'{"name":"\\ud800"}',
    }
    return {case: _start(plain, body) for case, body in cases.items()}


@fact("http.other_types", "JSON of other types is 422 in plain text", promise=Promise.OUTCOME, source=ERRORS)
def test_other_types(plain: Node):
    cases = {
        "text": b'"x"',
        "channel": b'{"channel":1}',
        "channels": b'{"channels":"c"}',
        "name": b'{"name":1}',
        "message_id": b'{"message_id":1}',
        "socket_id": b'{"socket_id":1}',
        "info": b'{"info":["user_count"]}',
        "delta": b'{"delta":1}',
        "tags": b'{"tags":{"a":1}}',
        "extras": b'{"extras":5}',
        "headers": b'{"extras":{"headers":5}}',
    }
    return {case: _start(plain, body) for case, body in cases.items()}


@fact(
    "http.batch_types",
    "A batch needs a list of objects, else 422 in plain text",
    promise=Promise.OUTCOME,
    source=ERRORS,
)
def test_batch_types(plain: Node):
    cases = {"absent": b"{}", "null": b'{"batch":null}', "object": b'{"batch":{}}', "text in it": b'{"batch":["x"]}'}
    return {case: _start(plain, body, "/batch_events") for case, body in cases.items()}


def _start(node: Node, body: bytes, path: str = "/events") -> str:
    """The answer up to the parser's own text, which any release of its library may change."""
    return ": ".join(node.post(path, body).line.split(": ")[:2])


@fact(
    "http.depth",
    "The parser stops at the 128th level of the body",
    promise=Promise.CHECKED,
    source="36-extras",
)
def test_depth(plain: Node):
    def body(levels: int) -> bytes:
        extras = '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"
        return b'{"channel":"c","name":"e","data":"d","extras":%s}' % extras.encode()

    return {f"{levels} levels of extras": plain.post("/events", body(levels)).status for levels in (126, 127)}


@fact(
    "http.cors",
    "The default CORS policy of the HTTP API",
    promise=Promise.DEVSERVER,
    source=SOURCE,
)
def test_cors(plain: Node):
    path = f"/apps/{plain.app.id}/events"
    origin = {"Origin": "https://shop.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = plain.plain("OPTIONS", path, None, asked)
    answer = plain.post("/events", EVENT, headers={**JSON, **origin})
    names = (
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-allow-methods",
        "access-control-allow-headers",
    )
    return {
        "preflight": preflight.status,
        **{f"preflight {name}": preflight.headers.get(name, "absent") for name in names},
        "answer": answer.headers.get("access-control-allow-origin", "absent"),
    }


@fact(
    "http.up",
    "`/up` and `/up/APP` are not signed, and name the state twice",
    promise=Promise.DOCTOR,
    source="19-without-a-signature",
    quick=True,
)
def test_up(plain: Node):
    answers = {
        case: plain.plain("GET", path)
        for case, path in (("/up", "/up"), ("/up/APP", f"/up/{plain.app.id}"), ("/up/unknown", "/up/unknown"))
    }
    return {case: f"{one.line} ({one.headers.get('x-health-check')})" for case, one in answers.items()}


@fact("http.live", "Further paths without a signature", promise=Promise.DOCTOR, source="19-without-a-signature")
def test_unsigned_paths(plain: Node):
    return {
        path: plain.plain("GET", path).status
        for path in ("/live", "/ready", "/accept-traffic", "/usage", "/stats", "/metrics")
    }


@fact("http.head", "`HEAD` and `OPTIONS` of a publish do nothing", promise=Promise.DEVSERVER, source=SOURCE)
def test_head(plain: Node):
    return {method: plain.plain(method, f"/apps/{plain.app.id}/events").status for method in ("HEAD", "OPTIONS")}


@fact("http.slow", "A request whose body comes in pieces is waited for", promise=Promise.OUTCOME, source=SOURCE)
def test_body_in_pieces(plain: Node):
    body = b'{"channel":"c","name":"e","data":"d"}'
    with send_request(plain, "/events", body, {}, cut=len(body) - 5) as connection:
        connection.settimeout(0.3)
        try:
            early = connection.recv(1).decode()
        except TimeoutError:
            early = "no answer"
        connection.settimeout(ANSWER_S)
        connection.sendall(body[-5:])
        return {"before its end": early, "then": read_answer(connection).line}
