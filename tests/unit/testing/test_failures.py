"""Ordered failures and answers: the caller's error paths, without a Redis that fails."""

from __future__ import annotations

import pytest

from sockudo_publisher import (
    BacklogFull,
    BadRequest,
    BulkError,
    JournalUnavailable,
    RateLimited,
    ServerError,
    Sockudo,
    SockudoConnectionError,
    SockudoHTTPError,
    ValidationError,
    publish,
    publish_many,
)
from sockudo_publisher.testing import Published

pytestmark = pytest.mark.unit


def test_journal_failures_reach_every_way(published: Published) -> None:
    with published.fail(JournalUnavailable) as failure:
        with pytest.raises(JournalUnavailable) as raised:
            publish.delay("a", "e", 1)
        with pytest.raises(JournalUnavailable):
            publish.apply_async(("a", "e", 1), countdown=5)
        with pytest.raises(BulkError) as stopped:
            publish_many([("a", "e", 1)])
        assert publish("a", "direct", 1).message_id  # needs no journal
    assert failure.raised == 3
    assert (raised.value.stored, len(raised.value.message_id or "")) == (False, 32)
    assert (stopped.value.index, stopped.value.stored) == (0, 0)
    published.assert_none("a", "e")
    publish.delay("a", "e", 1, key=raised.value.message_id)
    published.assert_one("a", "e")


def test_a_failure_ends_after_its_times(published: Published) -> None:
    published.fail(BacklogFull, times=2)
    for _ in range(2):
        with pytest.raises(BacklogFull):
            publish.delay("a", "e", 1)
    publish.delay("a", "e", 1)
    published.assert_one("a")


def test_an_instance_is_raised_as_a_copy(published: Published) -> None:
    error = JournalUnavailable("frozen", stored=None)
    published.fail(error)
    ids = set()
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="frozen") as raised:
            publish.delay("a", "e", 1)
        assert raised.value.stored is None
        ids.add(raised.value.message_id)
    assert len(ids) == 2
    assert error.message_id is None
    published.succeed()
    publish.delay("a", "e", 1)


@pytest.mark.parametrize(
    ("given", "kind", "sent"),
    [
        (ServerError, ServerError, True),
        (RateLimited(429, None, "slow", 3.0), RateLimited, False),
        (SockudoHTTPError(503, "draining"), SockudoHTTPError, False),
        (SockudoConnectionError, SockudoConnectionError, False),
        (SockudoConnectionError("cut", sent=True), SockudoConnectionError, True),
    ],
)
def test_direct_calls_fail_as_ordered(published: Published, given: object, kind: type, sent: bool) -> None:
    published.fail(given, times=2)
    with pytest.raises(kind) as raised:
        publish("a", "e", 1)
    assert raised.value.sent is sent
    with pytest.raises(kind):
        Sockudo("a", "k", "s").trigger_batch([("a", "e", 1)])
    publish.delay("a", "e", 1)
    published.assert_one("a", via="delay")


@pytest.mark.parametrize("given", [ValueError, ValidationError, "JournalUnavailable", BulkError])
def test_what_production_never_raises_there_is_refused(published: Published, given: object) -> None:
    with pytest.raises(TypeError, match="expected JournalUnavailable or BacklogFull"):
        published.fail(given)
    with pytest.raises(ValueError, match="times: 0"):
        published.fail(JournalUnavailable, times=0)


def test_queries_are_answered_as_the_test_says(published: Published) -> None:
    client = Sockudo("a", "k", "s")
    with pytest.raises(AssertionError, match=r"GET /channels/orders: .* published.answer\('/channels/orders'"):
        client.channel_info("orders")
    published.answer("/channels/*", lambda path, query: {"occupied": path.endswith("orders"), **query})
    assert client.channel_info("orders", ["subscription_count"]) == {"occupied": True, "info": "subscription_count"}
    published.answer("/channels/gone", ServerError(500))
    with pytest.raises(ServerError):
        client.channel_info("gone")
    assert client.terminate_user_connections("u") == {}
    published.assert_none()


def test_direct_ids_are_deduplicated_as_by_the_server(published: Published) -> None:
    client = Sockudo("a", "k", "s")
    first = client.trigger("a", "e", 1, message_id="m")
    assert client.trigger("a", "e", 1, message_id="m") == first == {"channels": {"a": {"acknowledgement_id": "m"}}}
    with pytest.raises(BadRequest, match="different payload"):
        client.trigger("a", "e", 2, message_id="m")
    assert client.trigger("b", "e", 1) == {}
    published.assert_count(1, "a")
