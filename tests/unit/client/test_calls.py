"""One call of several attempts: what each sends, what is waited, and what its error says of all of them."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from sockudo_publisher.client.http import calls
from sockudo_publisher.client.http.retries import Retries
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import BadRequest, CallError, ConfigurationError, RateLimited, SockudoConnectionError

pytestmark = pytest.mark.unit

NOT_SENT = requests.exceptions.ConnectTimeout()
UNKNOWN = requests.exceptions.ReadTimeout()
KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
ORDERED = {"headers": {"a": 1, "b": 2}}


class Page:
    """A body that is no JSON."""


class Clock:
    """Time that passes by waiting alone, and by as much as a test says an attempt takes."""

    def __init__(self):
        self.now = 1_700_000_000.0
        self.waits = []

    def time(self):
        return self.now

    monotonic = time

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(calls, "time", clock)
    return clock


class Script(requests.adapters.BaseAdapter):
    """Does one step a request: an exception, or ``(status, body, headers)``; then it answers with success."""

    def __init__(self, clock, steps, takes_s):
        super().__init__()
        self.clock, self.steps, self.takes_s = clock, list(steps), takes_s
        self.requests, self.timeouts = [], []

    def send(self, request, timeout=None, **_):
        self.requests.append(request)
        self.timeouts.append(timeout[0])
        self.clock.now += self.takes_s
        step = self.steps.pop(0) if self.steps else (200, {}, {})
        if isinstance(step, Exception):
            raise step
        response = requests.Response()
        response.status_code, body, headers = step
        response._content = b"<html>" if isinstance(body, Page) else json.dumps(body).encode()
        response.headers.update(headers)
        return response

    def close(self):
        pass


@pytest.fixture
def scripted(clock):
    """A client whose requests meet these steps, and the adapter that keeps them."""
    sessions = []

    def make(*steps, takes_s=0.0, **options):
        session = requests.Session()
        session.trust_env = False
        script = Script(clock, steps, takes_s)
        session.mount("http://", script)
        sessions.append(session)
        return Sockudo("app", "the-key", "the-secret", session=session, **options), script

    yield make
    for session in sessions:
        session.close()


def signature(request):
    return parse_qs(urlsplit(request.url).query)["auth_signature"][0]


def test_not_sent_is_tried_again_by_default(scripted):
    """With nothing but an event: twice, then it is an error."""
    client, script = scripted(NOT_SENT, NOT_SENT)
    assert client.trigger("c", "e", 1) == {}
    assert len(script.requests) == 3
    client, script = scripted(NOT_SENT, NOT_SENT, NOT_SENT)
    with pytest.raises(SockudoConnectionError) as caught:
        client.trigger("c", "e", 1)
    assert (caught.value.sent, caught.value.attempts) == (False, 3)


@pytest.mark.parametrize("unknown", [UNKNOWN, (500, {}, {}), (503, {"error": "x", "code": "backpressure"}, {})])
def test_unknown_is_not_repeated_without_an_identity(scripted, unknown):
    """It may be out: a second one would be seen twice."""
    for publish in (
        lambda client: client.trigger("c", "e", 1),
        lambda client: client.trigger_batch([("c", "e", 1)]),
        lambda client: client.send_to_user("u", "e", 1),
        lambda client: client.call("POST", "/anything", body=b"{}"),
    ):
        client, script = scripted(unknown)
        with pytest.raises(CallError) as caught:
            publish(client)
        assert (caught.value.sent, caught.value.attempts, len(script.requests)) == (True, 1, 1)


@pytest.mark.parametrize("identity", [{"message_id": "m"}, {"idempotency_key": "k"}, {"idempotency_key": True}])
def test_unknown_is_repeated_under_an_identity(scripted, identity):
    """With the same bytes, key and nonce: another ciphertext would be another payload."""
    client, script = scripted(UNKNOWN, (502, {}, {}), encryption_master_key_base64=KEY)
    client.trigger("private-encrypted-c", "e", {"x": 1}, **identity)
    assert len(script.requests) == 3
    assert len({request.body for request in script.requests}) == 1
    assert len({request.headers.get("X-Idempotency-Key") for request in script.requests}) == 1


def test_each_attempt_is_signed_anew(scripted, clock):
    """An answer that took ten minutes would otherwise be refused for its age."""
    client, script = scripted((429, {}, {"Retry-After": "2"}))
    client.trigger("c", "e", 1)
    first, second = script.requests
    assert first.body == second.body
    assert signature(first) != signature(second)


def test_retry_after_is_obeyed(scripted, clock):
    """Seconds, and 0 counts as one."""
    client, _ = scripted(
        (429, {}, {"Retry-After": "3"}), (503, {"error": "x", "code": "draining"}, {"Retry-After": "0"})
    )
    client.trigger("c", "e", 1)
    assert 3 <= clock.waits[0] <= 3.2
    assert 1 <= clock.waits[1] <= 1.4


def test_retry_after_beyond_the_deadline_ends_it(scripted, clock):
    """No call sleeps for an hour in a web request."""
    client, script = scripted((429, {}, {"Retry-After": "3600"}))
    with pytest.raises(RateLimited) as caught:
        client.trigger("c", "e", 1)
    assert caught.value.retry_after == 3600
    assert (len(script.requests), clock.waits) == (1, [])


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 415, 422, 501])
def test_permanent_answers_are_not_tried_again(scripted, status):
    """They would be the same, even under an identity."""
    client, script = scripted((status, {"error": "x", "code": "y"}, {}))
    with pytest.raises(CallError) as caught:
        client.trigger("c", "e", 1, message_id="m")
    assert caught.value.permanent
    assert len(script.requests) == 1


def test_queries_are_repeated(scripted):
    """A second one changes nothing."""
    client, script = scripted(UNKNOWN, (500, {}, {}), (200, {"channels": {}}, {}))
    assert client.channels_info() == {"channels": {}}
    assert len(script.requests) == 3


def test_the_error_speaks_for_all_attempts(scripted):
    """Refused at last, but an earlier attempt may be out: only the whole says what a caller may do."""
    client, _ = scripted(UNKNOWN, NOT_SENT, NOT_SENT)
    with pytest.raises(SockudoConnectionError, match="an earlier attempt may have arrived") as caught:
        client.trigger("c", "e", 1, message_id="m")
    assert (caught.value.sent, caught.value.attempts) == (True, 3)
    client, _ = scripted(UNKNOWN, (401, {"error": "body_md5 mismatch", "code": "auth_failed"}, {}))
    with pytest.raises(CallError, match=r"^HTTP 401 auth_failed: body_md5 mismatch; an earlier") as caught:
        client.trigger("c", "e", 1, message_id="m")
    assert caught.value.sent


def test_an_attempt_that_was_not_sent_says_nothing_of_the_next(scripted):
    """The deadline of the whole is unknown only if an attempt is."""
    client, _ = scripted(NOT_SENT, UNKNOWN)
    with pytest.raises(SockudoConnectionError) as caught:
        client.trigger("c", "e", 1)
    assert (caught.value.sent, caught.value.attempts) == (True, 2)
    assert "earlier" not in str(caught.value)


def test_one_deadline_for_all_attempts(scripted, clock):
    """The first has its whole timeout; the next what is left; none begins without enough to be answered in."""
    client, script = scripted(*[UNKNOWN] * 9, takes_s=4.0, timeout=4.0, retries=Retries(attempts=9, total_s=10.0))
    began = clock.now
    with pytest.raises(SockudoConnectionError):
        client.trigger("c", "e", 1, message_id="m")
    assert script.timeouts[:2] == [4.0, 4.0]
    assert all(0.2 <= timeout <= 2.0 for timeout in script.timeouts[2:])
    assert len(script.requests) in (3, 2)
    assert clock.now - began <= 10 + 4  # the script lets a short attempt take its four seconds too


def test_a_first_attempt_longer_than_the_deadline(scripted):
    """It has its time, and is the only one."""
    client, script = scripted(UNKNOWN, takes_s=30.0, timeout=30.0)
    with pytest.raises(SockudoConnectionError):
        client.trigger("c", "e", 1, message_id="m")
    assert script.timeouts == [30.0]


@pytest.mark.parametrize("none", [None, 0, False, Retries(attempts=1)])
def test_no_retries_at_all(scripted, none):
    """At construction and for one call, where it goes before the client's."""
    client, script = scripted(NOT_SENT, retries=none)
    with pytest.raises(SockudoConnectionError):
        client.trigger("c", "e", 1)
    assert len(script.requests) == 1
    client, script = scripted(NOT_SENT, retries=5)
    with pytest.raises(SockudoConnectionError):
        client.trigger_batch([("c", "e", 1)], retries=none)
    assert len(script.requests) == 1


def test_more_retries_for_one_call(scripted):
    """Than the client's own."""
    client, script = scripted(*[NOT_SENT] * 5, retries=None)
    client.trigger("c", "e", 1, retries=5)
    assert len(script.requests) == 6


def test_bad_retries_are_found_before_anything_is_sent(scripted):
    """In both places."""
    with pytest.raises(ConfigurationError, match=r"^retries: "):
        Sockudo("a", "k", "s", retries=-1)
    client, script = scripted()
    with pytest.raises(ConfigurationError, match=r"^retries: "):
        client.trigger("c", "e", 1, retries="3")
    assert script.requests == []


def test_send_is_one_attempt(scripted):
    """The worker has its own rules (delivery/decide.py)."""
    client, script = scripted(NOT_SENT)
    with pytest.raises(SockudoConnectionError):
        client.send("POST", "/batch_events", body=b"{}")
    client, script = scripted((503, {}, {}))
    assert client.send("GET", "/channels").status == 503
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("events", "again"),
    [
        (
            [
                {"channel": "c", "name": "e", "data": 1, "key": "a"},
                {"channel": "c", "name": "e", "data": 1, "key": "b"},
            ],
            True,
        ),
        ([{"channel": "c", "name": "e", "data": 1, "key": "a"}, ("c", "e", 1)], False),
        ([{"channel": "c", "name": "e", "data": 1, "idempotency_key": "a"}], False),
        ([{"channel": "c", "name": "e", "data": 1, "idempotency_key": True}], False),
        ([{"channel": "c", "name": "e", "data": 1, "idempotency_key": "a", "key": "a"}], False),
        ([{"channel": "c", "name": "e", "data": 1, "key": "a", "extras": ORDERED}], False),
        ([{"channel": "c", "name": "e", "data": 1, "key": "a", "extras": {"headers": {"a": 1}}}], True),
    ],
    ids=["all have ids", "one has none", "keys", "made keys", "ids and keys", "extras out of order", "extras in order"],
)
@pytest.mark.parametrize("unknown", [UNKNOWN, (500, {}, {})])
def test_which_batches_are_repeated(scripted, events, again, unknown):
    """Those that the server can tell in full; never one with idempotency keys, which loses what failed.

    See docs/sdks.md, V5.
    """
    client, script = scripted(unknown)
    if again:
        client.trigger_batch(events)
        first, second = script.requests
        assert first.body == second.body
    else:
        with pytest.raises(CallError) as caught:
            client.trigger_batch(events)
        assert caught.value.sent
        assert len(script.requests) == 1


def test_unsent_batches_of_any_kind_are_repeated(scripted):
    """Nothing arrived, so nothing can be lost."""
    client, script = scripted(NOT_SENT, (429, {}, {}))
    client.trigger_batch([{"channel": "c", "name": "e", "data": 1, "idempotency_key": "a"}])
    assert len({request.body for request in script.requests}) == 1
    assert len(script.requests) == 3


def test_extras_out_of_order_are_not_repeated_under_a_message_id(scripted):
    """The server would take the repeat for another payload and answer 400 for what it has published."""
    client, script = scripted(UNKNOWN)
    with pytest.raises(SockudoConnectionError):
        client.trigger("c", "e", 1, message_id="m", extras=ORDERED)
    client, script = scripted(UNKNOWN)
    client.trigger("c", "e", 1, message_id="m", extras={"headers": {"a": 1}})
    assert len(script.requests) == 2


def test_what_is_not_json_in_a_success_is_unknown(scripted):
    """Some proxy spoke: repeated under an identity alone."""
    client, script = scripted((200, Page(), {}))
    with pytest.raises(SockudoConnectionError, match="not JSON") as caught:
        client.trigger("c", "e", 1)
    assert caught.value.sent
    client, script = scripted((200, Page(), {}))
    client.trigger("c", "e", 1, message_id="m")
    assert len(script.requests) == 2


def test_a_conflict_after_an_unknown_attempt_may_be_our_own(scripted):
    """The event may be out: that is what the error says."""
    conflict = {"error": "idempotency key was already used with a different payload", "code": "invalid_input"}
    client, _ = scripted(UNKNOWN, (400, conflict, {}))
    with pytest.raises(BadRequest, match="already used") as caught:
        client.trigger("c", "e", 1, message_id="m")
    assert (caught.value.sent, caught.value.attempts) == (True, 2)
