"""Who may call: keys, signatures, digests, clocks."""

from __future__ import annotations

import hashlib
import time
from functools import partial
from operator import itemgetter

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import SECOND, Node
from tests.support.timing import in_time

pytestmark = pytest.mark.integration

EVENT = {"channel": "c", "name": "e", "data": "d"}
SOURCE = "2-signing"
#: Seconds that a request may take whose timestamp is near the limit.
NEAR_S = 2.0


@fact("auth.signed", "A signed publish is accepted", promise=Promise.CLIENT, source=SOURCE, quick=True)
def test_signed_request(plain: Node):
    return plain.post("/events", EVENT).line


@fact(
    "auth.unknown_key", "An unknown key is 404, before anything else is checked", promise=Promise.OUTCOME, source=SOURCE
)
def test_unknown_key(plain: Node):
    return plain.post("/events", EVENT, parameters={"auth_key": "unknown", "auth_signature": "x"}).line


@fact("auth.no_key", "Without `auth_key` the answer is the same", promise=Promise.OUTCOME, source=SOURCE)
def test_no_key(plain: Node):
    return plain.post("/events", EVENT, without=["auth_key"]).line


@fact("auth.no_query", "Without a query it is 400", promise=Promise.OUTCOME, source=SOURCE)
def test_no_query(plain: Node):
    return plain.plain("POST", f"/apps/{plain.app.id}/events", b"{}", {"Content-Type": "application/json"}).line


@fact("auth.other_app", "The key of another app than the path's is 401", promise=Promise.OUTCOME, source=SOURCE)
def test_key_of_another_app(plain: Node):
    other = plain.of(SECOND)
    return plain.post("/events", EVENT, parameters={"auth_key": other.app.key}, secret=other.app.secret).line


@fact("auth.wrong_secret", "A signature of another secret is 401", promise=Promise.OUTCOME, source=SOURCE, quick=True)
def test_wrong_secret(plain: Node):
    return plain.post("/events", EVENT, secret="wrong").line


@fact(
    "auth.no_signature",
    "No signature is a wrong one, and so is any text that is none",
    promise=Promise.OUTCOME,
    source=SOURCE,
)
def test_no_signature(plain: Node):
    found = {"absent": plain.post("/events", EVENT, without=["auth_signature"]).line}
    for case, text in {"empty": "", "zeros": "0" * 64, "not ASCII": "ä" * 64}.items():
        found[case] = plain.post("/events", EVENT, parameters={"auth_signature": text}).line
    return found


@fact("auth.upper_case", "A signature in upper-case hex is refused", promise=Promise.CLIENT, source=SOURCE)
def test_signature_in_upper_case(plain: Node):
    body = b'{"channel":"c","name":"e","data":"d"}'
    target = plain.target("POST", f"/apps/{plain.app.id}/events", body)
    head, _, signature = target.rpartition("=")
    return plain.plain("POST", f"{head}={signature.upper()}", body, {"Content-Type": "application/json"}).line


@fact("auth.other_path", "A signature is for its path alone", promise=Promise.CLIENT, source=SOURCE)
def test_signature_of_another_path(plain: Node):
    return plain.post("/events", EVENT, sign_path=f"/apps/{plain.app.id}/batch_events").line


@fact(
    "auth.added_parameter",
    "A parameter that was not signed makes the signature wrong",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_parameter_that_was_not_signed(plain: Node):
    body = b"{}"
    target = plain.target("POST", f"/apps/{plain.app.id}/events", body)
    return plain.plain("POST", f"{target}&more=1", body, {"Content-Type": "application/json"}).line


@fact(
    "auth.parameters",
    "Further parameters are signed decoded, their names in lower case",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_further_parameters(plain: Node):
    cases = {"escaped": {"x": "a b&c=ü+"}, "upper case": {"Upper": "Case"}, "empty": {"empty": ""}}
    return {case: plain.post("/events", EVENT, parameters=more).status for case, more in cases.items()}


@fact("auth.version", "`auth_version` is signed if it is sent, and not checked", promise=Promise.CLIENT, source=SOURCE)
def test_version_is_not_checked(plain: Node):
    return {
        "2.0": plain.post("/events", EVENT, parameters={"auth_version": "2.0"}).status,
        "absent": plain.post("/events", EVENT, without=["auth_version"]).status,
    }


@fact("auth.no_timestamp", "A timestamp is required", promise=Promise.OUTCOME, source=SOURCE)
def test_no_timestamp(plain: Node):
    return plain.post("/events", EVENT, without=["auth_timestamp"]).line


@fact("auth.timestamp_format", "A timestamp is in whole seconds", promise=Promise.OUTCOME, source=SOURCE)
def test_timestamp_in_text(plain: Node):
    now = time.time()
    return {
        "text": plain.post("/events", EVENT, parameters={"auth_timestamp": "now"}).line,
        "fraction": plain.post("/events", EVENT, parameters={"auth_timestamp": f"{now:.3f}"}).line,
        "milliseconds": plain.post("/events", EVENT, parameters={"auth_timestamp": str(int(now * 1000))}).line,
    }


@fact(
    "auth.clock_skew",
    "The caller's clock may differ by ten minutes, either way",
    promise=Promise.OUTCOME,
    source=SOURCE,
    quick=True,
)
def test_clock_skew(plain: Node):
    def ask(offset: int) -> tuple[str, float]:
        start = time.time()
        line = plain.post("/events", EVENT, parameters={"auth_timestamp": str(int(start) + offset)}).line
        return line, time.time() - start

    # The server may have read its clock whenever the request ran: one that took longer has seen nothing.
    offsets = (-604, -596, 596, 604)
    return {f"{offset:+} s": in_time(partial(ask, offset), itemgetter(1), NEAR_S)[0] for offset in offsets}


@fact("auth.no_md5", "A POST needs `body_md5`, also of an empty body", promise=Promise.CLIENT, source=SOURCE)
def test_no_md5(plain: Node):
    user = "/users/none/terminate_connections"
    return {
        "absent": plain.post("/events", EVENT, without=["body_md5"]).line,
        "empty": plain.post("/events", EVENT, parameters={"body_md5": ""}).line,
        "absent, no body": plain.post(user, b"", without=["body_md5"]).line,
        "of an empty body": plain.post(user, b"").line,
    }


@fact("auth.wrong_md5", "`body_md5` must be the body's, in lower case", promise=Promise.CLIENT, source=SOURCE)
def test_wrong_md5(plain: Node):
    body = b'{"channel":"c","name":"e","data":"d"}'
    upper = hashlib.md5(body).hexdigest().upper()
    return {
        "wrong": plain.post("/events", body, parameters={"body_md5": "0" * 32}).line,
        "upper case": plain.post("/events", body, parameters={"body_md5": upper}).line,
    }


@fact("auth.md5_of_get", "`body_md5` is refused with any other method", promise=Promise.CLIENT, source=SOURCE)
def test_md5_with_a_query(plain: Node):
    empty = hashlib.md5(b"").hexdigest()
    return plain.get("/channels", body_md5=empty).line


@fact(
    "auth.replay",
    "There is no nonce: a signed request that comes again is accepted again",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_same_request_twice(plain: Node, name: str):
    body = b'{"channel":"%s","name":"e","data":"d"}' % name.encode()
    target = plain.target("POST", f"/apps/{plain.app.id}/events", body)
    with plain.socket() as socket:
        socket.subscribe(name)
        answers = [plain.plain("POST", target, body, {"Content-Type": "application/json"}).status for _ in range(2)]
        return {"answers": answers, "delivered": len(socket.wait_for_texts(2))}


@fact(
    "auth.slash",
    "One slash at the end is no part of the path that is signed",
    promise=Promise.CLIENT,
    source="11-in-general",
)
def test_slash_at_the_end(plain: Node):
    path, body = f"/apps/{plain.app.id}/events", b'{"channel":"c","name":"e","data":"d"}'
    return {
        "signed without it": plain.request("POST", f"{path}/", body, sign_path=path).line,
        "signed with it": plain.request("POST", f"{path}/", body).line,
    }


@fact(
    "auth.escaped_app_id",
    "The path's app id is compared undecoded",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_escaped_app_id(plain: Node):
    first, rest = plain.app.id[0], plain.app.id[1:]
    body = b'{"channel":"c","name":"e","data":"d"}'
    return plain.request("POST", f"/apps/%{ord(first):02x}{rest}/events", body).line
