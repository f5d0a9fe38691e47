"""The recorder: what it records of each way to publish, with production's own validation and bytes."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timezone

import pytest

from sockudo_publisher import (
    AsyncSockudo,
    Event,
    IdempotencyConflict,
    JournalUnavailable,
    Sockudo,
    ValidationError,
    apublish_many,
    configure,
    publish,
    publish_many,
)
from sockudo_publisher.testing import Published, capture_published

pytestmark = pytest.mark.unit


def test_data_is_what_a_subscriber_gets(published: Published) -> None:
    """JSON makes a list of a tuple; the caller's own object stays in `given`."""
    data = {"id": 789, "sizes": (1, 2)}
    result = publish.delay("orders", "shipped", data)
    (event,) = published.events
    assert event.data == {"id": 789, "sizes": [1, 2]}
    assert event.given is data
    assert (event.channel, event.name, event.message_id, event.app) == ("orders", "shipped", result.id, "default")
    assert result.get() == event.message_id


@pytest.mark.parametrize(
    ("given", "data"), [("text", "text"), (b"bytes", "bytes"), ('{"a": 1}', {"a": 1}), (None, None), (1.5, 1.5)]
)
def test_text_is_parsed_where_it_is_json(published: Published, given: object, data: object) -> None:
    publish.delay("orders", "shipped", given)
    assert published.events[0].data == data


def test_encrypted_events_are_recorded_decrypted(published: Published) -> None:
    publish.delay("private-encrypted-orders", "shipped", {"id": 1})
    Sockudo.from_env().trigger("private-encrypted-orders", "shipped", {"id": 2})
    assert [event.data for event in published.on("private-encrypted-orders")] == [{"id": 1}, {"id": 2}]


def test_options_are_recorded(published: Published) -> None:
    publish.delay("a", "e", 1, key="k", socket_id="1.2", tags={"t": "v"}, extras={"headers": {"h": 1}}, collapse="l")
    (event,) = published.events
    assert (event.key, event.message_id, event.socket_id, event.collapse) == ("k", "k", "1.2", "l")
    assert (event.tags, event.extras) == ({"t": "v"}, {"headers": {"h": 1}})


def test_features_of_the_server_are_recorded(published: Published) -> None:
    """By every way: what is asserted is what the server would have got."""
    client = Sockudo("id", "key", "secret")
    publish.delay("a", "1", 1, delta=False, extras={"ephemeral": True})
    publish.delay(None, "2", 1, user_id="42", key="k")
    publish.apply_async((), {"event": "3", "data": 1, "user_id": "42", "delta": True}, countdown=30)
    publish_many([Event(None, "4", 1, user_id="42"), {"channel": "a", "name": "5", "data": 1, "delta": False}])
    publish(None, "6", 1, user_id="42")
    client.trigger_batch([Event(None, "7", 1, user_id="42", delta=False)])
    client.send_to_user("42", "8", 1, delta=True)
    found = {event.name: (event.user_id, event.delta) for event in published.events}
    assert found == {
        **{"1": (None, False), "2": ("42", None), "3": ("42", True), "4": ("42", None), "5": (None, False)},
        **{"6": ("42", None), "7": ("42", False), "8": ("42", True)},
    }
    assert published.assert_one(user_id="42", key="k").channel == "#server-to-user-42"
    published.assert_one("a", extras={"ephemeral": True}, delta=False)


def test_caller_that_goes_on_gets_its_result(published: Published) -> None:
    """With `SOCKUDO_ON_UNAVAILABLE=log`, as in production."""
    configure(on_unavailable="log")
    try:
        with published.fail(JournalUnavailable):
            results = [publish.delay("a", "e", 1), publish.apply_async(("a", "e", 2))]
    finally:
        configure()
    assert [result.stored for result in results] == [False, False]
    published.assert_none()
    assert publish.delay("a", "e", 3).stored


def test_collapse_keys_are_recorded_by_every_way(published: Published) -> None:
    """All events are recorded, also those that a worker would not send: which ones depends on the server."""
    publish.delay(["a", "b"], "e", 1, collapse="k")
    publish.delay("a", "e", 2, collapse="k")
    publish.apply_async(("a", "e", 3), {"collapse": "k"}, countdown=30)
    publish_many([Event("a", "e", 4, collapse="k"), {"channel": "a", "name": "e", "data": 5, "collapse": "k"}])
    publish.delay("a", "e", 6)
    publish("a", "e", 7, collapse="k")
    assert [event.data for event in published.events if event.collapse == "k"] == [1, 1, 2, 3, 4, 5]
    published.assert_one("b", "e", 1, collapse="k")
    assert published.on("a")[-1].collapse is None, "a direct call waits nowhere"


def test_a_countdown_is_recorded_at_the_call(published: Published) -> None:
    eta = datetime(2030, 1, 1, tzinfo=timezone.utc)
    result = publish.apply_async(("a", "in", 1), {"key": "k"}, countdown=30, expires=60)
    publish.apply_async(kwargs={"channel": "a", "event": "at", "data": 2}, eta=eta)
    first, second = published.events
    assert (first.countdown, first.expires, first.eta, first.key) == (30, 60, None, "k")
    assert (second.countdown, second.eta, second.data) == (None, eta, 2)
    assert result.get() == result.id == "k"


def test_a_keyed_countdown_is_recorded_once(published: Published) -> None:
    """A repeat in time, and a `delay` with the key, are stored once by the ledger."""
    publish.apply_async(("a", "e", 1), {"key": "k"}, countdown=30)
    publish.apply_async(("a", "e", 1), {"key": "k"}, countdown=30)
    publish.delay("a", "e", 1, key="k")
    published.assert_one("a", "e")


def test_a_revoked_countdown_is_not_recorded_any_more(published: Published) -> None:
    """No subscriber would get it; its key is free, and the state is what Celery's users expect."""
    result = publish.apply_async((["a", "b"], "e", 1), {"key": "k"}, countdown=30)
    other = publish.apply_async(("a", "e", 2), countdown=30)
    assert (result.state, len(published)) == ("SUCCESS", 3)
    result.revoke()
    assert (result.state, other.state) == ("REVOKED", "SUCCESS")
    published.assert_one("a", "e", 2)
    published.assert_none("b")
    publish.apply_async(("a", "e", 3), {"key": "k"}, countdown=30)
    published.assert_one("a", "e", 3)


def test_an_expiry_before_the_due_time_is_refused(published: Published) -> None:
    with pytest.raises(ValidationError, match=r"^expires: "):
        publish.apply_async(("a", "e", 1), eta=datetime(2030, 1, 1, tzinfo=timezone.utc), expires=1)
    assert not published.events


def test_every_way_is_named(published: Published) -> None:
    client = Sockudo("id", "key", "secret")
    publish.delay("a", "1", 1)
    publish.apply_async(("a", "2", 1))
    publish_many([("a", "3", 1), Event("a", "4", 1, key="k")])
    publish("a", "5", 1)
    client.trigger("a", "6", 1)
    client.trigger_batch([("a", "7", 1), Event("b", "8", 1)])
    client.send_to_user("u", "9", 1)
    ways = {event.name: event.via for event in published.events}
    assert ways == {
        **{"1": "delay", "2": "apply_async", "3": "publish_many", "4": "publish_many"},
        **dict.fromkeys("56789", "call"),
    }
    assert {event.app for event in published.events if event.name in "6789"} == {"id"}


def test_coroutines_are_recorded(published: Published) -> None:
    """`adelay`, `apublish_many` and the client of coroutines, with their keys and the objects that were given."""

    async def publish_all() -> None:
        await asyncio.gather(publish.adelay("a", "1", {"n": 1}, key="k"), publish.adelay(["a", "b"], "2", 2))
        assert (await apublish_many([("a", "3", 3)], key_prefix="p")).count == 1
        async with AsyncSockudo("id", "key", "secret") as client:
            await client.trigger("a", "4", 4)

    asyncio.run(publish_all())
    assert [(event.channel, event.name, event.given, event.via, event.key) for event in published.events] == [
        ("a", "1", {"n": 1}, "adelay", "k"),
        ("a", "2", 2, "adelay", None),
        ("b", "2", 2, "adelay", None),
        ("a", "3", 3, "publish_many", "p:0"),
        ("a", "4", 4, "call", None),
    ]


def test_publish_in_an_iterable_of_publish_many(published: Published) -> None:
    """Code between two events of a bulk job publishes as itself."""

    def events():
        yield "a", "bulk", 1
        publish.delay("a", "single", 2)
        yield "a", "bulk", 3

    publish_many(events())
    assert {(event.name, event.via) for event in published.events} == {("bulk", "publish_many"), ("single", "delay")}
    assert [event.given for event in published.named("bulk")] == [1, 3]


def test_an_event_on_two_channels_is_two_events(published: Published) -> None:
    publish.delay(["a", "b"], "e", 1)
    publish(["a", "b"], "e", 1)
    assert [event.channel for event in published.events] == ["a", "b", "a", "b"]


def test_bad_input_is_refused_as_in_production(published: Published) -> None:
    with pytest.raises(ValidationError, match="limit 10240"):
        publish.delay("a", "e", "x" * 10_241)
    with pytest.raises(ValidationError, match="serializer"):
        publish.apply_async(("a", "e", 1), serializer="pickle")
    with pytest.raises(ValidationError, match="expires"):
        publish.apply_async(("a", "e", 1), countdown=5, expires=4)
    with pytest.raises(TypeError, match="countdown"):
        publish.apply_async(("a", "e", 1), countdwn=5)
    with pytest.raises(ValidationError) as stopped:
        publish_many([("a", "e", 1), ("a", "e", float("nan"))])
    assert (stopped.value.index, stopped.value.stored) == (1, 1)
    published.assert_one("a", "e", 1)


def test_a_key_with_another_payload_conflicts(published: Published) -> None:
    publish.delay("a", "e", 1, key="k")
    publish.delay("a", "e", 1, key="k")
    with pytest.raises(IdempotencyConflict):
        publish.delay("a", "e", 2, key="k")
    published.clear()
    publish.delay("a", "e", 1, key="k")
    published.assert_none()


def test_a_key_is_forgotten_after_its_time(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder's clock is `time.time`, which tools such as freezegun move; a day is the default."""
    publish.delay("a", "e", 1, key="k")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_399)
    with pytest.raises(IdempotencyConflict):
        publish.delay("a", "e", 2, key="k")
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    publish.delay("a", "e", 2, key="k")
    assert [event.data for event in published.events] == [1, 2]


def test_equal_texts_keep_their_own_objects(published: Published) -> None:
    """Python has one object for each text of one letter."""
    for given in (1, "1", b"1"):
        publish.delay("a", "e", given)
    assert [event.given for event in published.events] == [1, "1", b"1"]
    assert [event.data for event in published.events] == [1, 1, 1]


def test_settings_are_the_projects(published: Published) -> None:
    """`configure` under a recorder counts, and what is configured is not replaced by a dummy."""
    configure(url="http://k:s@127.0.0.1:1/apps/x", apps={"eu": "http://k:s@127.0.0.1:1/apps/eu"}, max_event_bytes=10)
    try:
        with pytest.raises(ValidationError, match="limit 10"):
            publish.delay("a", "e", "x" * 11)
        publish.delay("a", "e", 1, app="eu")
        published.assert_one("a", app="eu")
        with pytest.raises(ValueError, match="no app named 'us'"):
            publish.delay("a", "e", 1, app="us")
    finally:
        configure()


def test_threads_are_recorded(published: Published) -> None:
    threads = [threading.Thread(target=lambda n=n: publish.delay("a", "e", n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(event.data for event in published.events) == list(range(8))


def test_nested_recorders_are_refused(published: Published) -> None:
    with (
        pytest.raises(
            RuntimeError, match=r"a recorder is there already, begun at the fixture `published` of .*nested_recorders"
        ),
        capture_published(),
    ):
        pass
    publish.delay("a", "e", 1)
    published.assert_one("a")
