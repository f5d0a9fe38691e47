"""Whether a failed call is made again: a table, and what the waits keep to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.http.retries import MIN_ATTEMPT_S, Retries, as_retries
from sockudo_publisher.errors import ConfigurationError, SockudoConnectionError, error_for_status

pytestmark = pytest.mark.unit


def http(status, code=None, retry_after=None):
    return error_for_status(status, code, "words", retry_after)


def gone(*, sent, permanent=False):
    return SockudoConnectionError("words", sent=sent, permanent=permanent)


# error, again without an identity, again with one
TABLE = {
    "refused, no DNS": (gone(sent=False), True, True),
    "certificate": (gone(sent=False, permanent=True), False, False),
    "timeout after sending": (gone(sent=True), False, True),
    "301 moved": (http(301), False, False),
    "400": (http(400, "invalid_input"), False, False),
    "400 too many in a batch": (error_for_status(400, "limit_exceeded", "Batch size (3) exceeds"), False, False),
    "401": (http(401, "auth_failed"), False, False),
    "403": (http(403, "forbidden"), False, False),
    "403 without AI transport": (http(403, "ai_event_not_permitted"), False, False),
    "404": (http(404, "app_not_found"), False, False),
    "408 of a proxy": (http(408), False, True),
    "409": (http(409), False, False),
    "413": (http(413, "payload_too_large"), False, False),
    "415": (http(415), False, False),
    "422": (http(422), False, False),
    "425": (http(425), False, True),
    "429": (http(429), True, True),
    "429 with a time": (http(429, None, 3.0), True, True),
    "500": (http(500, "internal_error"), False, True),
    "501": (http(501, "not_implemented"), False, False),
    "502": (http(502), False, True),
    "503 draining": (http(503, "draining", 1.0), True, True),
    "503 in progress": (http(503, "backpressure", 1.0), False, True),
    "503 without its cache": (http(503, "service_unavailable"), False, True),
    "503 of a proxy": (http(503), False, True),
    "504": (http(504), False, True),
    "505": (http(505), False, False),
}


@pytest.mark.parametrize(("error", "without", "under_identity"), TABLE.values(), ids=TABLE.keys())
def test_what_is_tried_again(error, without, under_identity):
    """Not sent: always. Unknown: where the server can tell the repeat. The same again next time: never."""
    policy = Retries()
    assert (policy.wait_s(error, repeatable=False, attempt=1, elapsed_s=0) is not None) is without
    assert (policy.wait_s(error, repeatable=True, attempt=1, elapsed_s=0) is not None) is under_identity


def test_attempts_count_the_first():
    """Three are the first and two more."""
    error = gone(sent=False)
    waits = [Retries(attempts=3).wait_s(error, repeatable=False, attempt=n, elapsed_s=0) for n in (1, 2, 3, 4)]
    assert [wait is None for wait in waits] == [False, False, True, True]


@given(st.integers(1, 60), st.floats(0.001, 10), st.floats(0.001, 50), st.floats(0, 100))
def test_waits_double_their_bound_and_end_with_the_deadline(attempt, first, longest, elapsed):
    """Between 0 and the bound, whatever is asked; none where it would leave no time for an attempt."""
    policy = Retries(attempts=100, total_s=100, first_wait_s=first, longest_wait_s=longest)
    wait = policy.wait_s(gone(sent=False), repeatable=False, attempt=attempt, elapsed_s=elapsed)
    if wait is not None:
        assert 0 <= wait <= min(longest, first * 2 ** (attempt - 1)) + 1e-9
        assert elapsed + wait + MIN_ATTEMPT_S <= 100
    else:
        assert elapsed + min(longest, first * 2 ** (attempt - 1)) + MIN_ATTEMPT_S > 100


def test_waits_are_spread():
    """Full jitter: a hundred clients that failed together do not come back together."""
    policy = Retries(first_wait_s=1.0)
    waits = {policy.wait_s(gone(sent=False), repeatable=False, attempt=1, elapsed_s=0) for _ in range(100)}
    assert min(waits) < 0.3
    assert max(waits) > 0.7


@given(st.sampled_from([429, 503]), st.floats(0, 10))
def test_retry_after_is_waited_out(status, asked):
    """Never less than asked, and 0 is taken for a second."""
    wait = Retries().wait_s(http(status, "draining", asked), repeatable=False, attempt=1, elapsed_s=0)
    assert max(1.0, asked) <= wait <= max(1.0, asked) + 0.2


def test_retry_after_beyond_the_deadline_is_not_waited_for():
    """The caller hears of it at once."""
    assert Retries(total_s=5).wait_s(http(429, None, 5.0), repeatable=True, attempt=1, elapsed_s=0) is None


@pytest.mark.parametrize(
    ("given", "attempts"), [(None, 1), (False, 1), (0, 1), (1, 2), (5, 6), (True, 3), (Retries(attempts=4), 4)]
)
def test_what_retries_may_be(given, attempts):
    """A number counts those after the first, so that 0 still sends once (docs/sdks.md, P18)."""
    assert as_retries(given).attempts == attempts


@pytest.mark.parametrize("bad", [-1, 100, "3", 1.5, [], object()])
def test_what_retries_may_not_be(bad):
    """Found at construction."""
    with pytest.raises(ConfigurationError, match=r"^retries: "):
        as_retries(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 2.0},
        {"attempts": 101},
        {"total_s": 0},
        {"total_s": 101},
        {"total_s": float("nan")},
        {"first_wait_s": -1},
        {"longest_wait_s": "5"},
        {"longest_wait_s": True},
    ],
    ids=str,
)
def test_bad_policies(bad):
    """Each field has its bounds; the server forgets an id after 120 s, so nothing is repeated later."""
    with pytest.raises(ConfigurationError, match=r"^retries: "):
        Retries(**bad)
