"""The same calls under a recorder and against a real journal: the same is stored, and the same errors are raised.

That is the proof that a test with a recorder refuses what production refuses.
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import redis

from sockudo_publisher import Event, SockudoError, configure, publish, publish_many
from sockudo_publisher.testing import capture_published
from sockudo_publisher.testing.event import subscriber_data
from sockudo_publisher.wiring.app import app_named
from tests.integration.journal.raw import read_lane

pytestmark = pytest.mark.integration

LANES = 4
KEY = base64.b64encode(b"k" * 32).decode()
LONG = "x" * 10_241


@pytest.fixture(autouse=True)
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
        monkeypatch.delenv(name)
    configure(
        url="http://key:secret@127.0.0.1:9/apps/app-id",
        apps={"eu": "http://key:secret@127.0.0.1:9/apps/eu"},
        redis_url=redis_url,
        lanes=LANES,
        encryption_master_key_base64=KEY,
    )
    yield
    monkeypatch.undo()
    configure()


def later(**options: Any) -> Callable[[], object]:
    return lambda: publish.apply_async(("a", "later", 1), **options)


def many(*events: Any, **options: Any) -> Callable[[], object]:
    return lambda: publish_many(events, **options)


SCENARIOS: dict[str, list[Callable[[], object]]] = {
    "plain": [lambda: publish.delay("a", "e", {"id": 1}), lambda: publish.delay(["a", "b"], "e", "text")],
    "encrypted": [
        lambda: publish.delay("private-encrypted-a", "e", {"id": 1}, key="k"),
        lambda: publish.delay("private-encrypted-a", "e", {"id": 1}, key="k"),
        lambda: publish.delay("private-encrypted-a", "e", {"id": 2}, key="k"),
        lambda: publish.delay(["private-encrypted-a", "b"], "e", 1),
    ],
    "options": [
        lambda: publish.delay("a", "e", 1, socket_id="1.2", tags={"t": "v"}, extras={"headers": {"h": 1}}),
        lambda: publish.delay("a", "e", 1, socket_id="wrong"),
        lambda: publish.delay("a", "e", 1, tags={"t": 1}),  # type: ignore[dict-item]
        lambda: publish.delay("a", "e", 1, extras={"idempotency_key": "k"}),
        lambda: publish.delay("a", "e", 1, extras={"push": {}}),
        lambda: publish.delay("a", "e", 1, delta=False),
        lambda: publish.delay("a", "e", 1, delta="no"),  # type: ignore[arg-type]
        lambda: publish.delay(None, "e", 1, user_id="42"),
        lambda: publish.delay(None, "e", 1, user_id="4 2"),
        lambda: publish.delay("a", "e", 1, user_id="42"),
        lambda: publish.delay(None, "e", 1),
        lambda: publish.apply_async((), {"event": "e", "data": 1, "user_id": "42", "delta": True}, countdown=30),
        many(
            Event(None, "e", 2, user_id="42"), {"name": "e", "data": 3, "user_id": "43"}, Event("a", "e", 4, delta=True)
        ),
        many(Event("a", "e", 1, user_id="42")),
        lambda: publish.delay("a", "e", 1, app="eu"),
        lambda: publish.delay("a", "e", 1, app="us"),
        lambda: publish.delay("a", "e", 1, colour="red"),  # type: ignore[call-arg]
    ],
    "bad input": [
        lambda: publish.delay("a b", "e", 1),
        lambda: publish.delay("a" * 201, "e", 1),
        lambda: publish.delay([], "e", 1),
        lambda: publish.delay(["a"] * 101, "e", 1),
        lambda: publish.delay("a", "", 1),
        lambda: publish.delay("a", "e" * 201, 1),
        lambda: publish.delay("a", "e", LONG),
        lambda: publish.delay("a", "e", {"x": float("nan")}),
        lambda: publish.delay("a", "e", {"x": {1, 2}}),
        lambda: publish.delay("a", "e", b"\xff"),
        lambda: publish.delay("a", "e", "\ud800"),
        lambda: publish.delay("a", "e", 1, key=""),
        lambda: publish.delay("a", "e", 1, key="k" * 129),
        lambda: publish.delay("a", "e", 1, collapse=""),
        lambda: publish.delay("a", "e", 1, collapse="k" * 129),
        lambda: publish.delay("a", "e", 1, collapse=1),  # type: ignore[arg-type]
    ],
    "collapse": [
        lambda: publish.delay("a", "e", 1, collapse="k"),
        lambda: publish.delay("a", "e", 2, collapse="k", key="1"),
        lambda: publish.delay("a", "e", 2, collapse="l", key="1"),
        lambda: publish.delay(["a", "b"], "e", 3, collapse="k"),
        many(Event("a", "e", 4, collapse="k"), {"channel": "b", "name": "e", "data": 5, "collapse": "k"}),
        many(Event("a", "e", 6, collapse="")),
    ],
    "keys": [
        lambda: publish.delay("a", "e", 1, key="k"),
        lambda: publish.delay("a", "e", 1, key="k"),
        lambda: publish.delay("a", "e", 2, key="k"),
        lambda: publish.delay("a", "e", 1, key="k", socket_id="1.2"),
        lambda: publish.delay("b", "e", 2, key="k"),
        lambda: publish.delay(["a", "b", "c"], "e", 1, key="k"),
        lambda: publish.delay(["c", "d"], "e", 1, key="k"),
        lambda: publish.delay(["c", "d"], "e", 1, key="k"),
        lambda: publish.delay("a", "e", 1, key="k", app="eu"),
    ],
    "bulk": [
        many(("a", "e", 1), Event("b", "e", 2), {"channel": "c", "name": "e", "data": 3}),
        many(("a", "e", 1), Event("b", "e", 2, key="k"), ("c", "e", 3), Event("b", "e", 2, key="k")),
        many(("a", "e", 1), Event("d", "e", 2), Event("b", "e", 3, key="k"), ("c", "e", 4)),
        many(("a", "e", 1), ("b", "e", 2), ("a", "e", float("nan"))),
        many(("a", "e", 1), ("b", "e", 2), key_prefix="job"),
        many(("a", "e", 1), ("b", "e", 2), ("c", "e", 3), key_prefix="job"),
        many(("a", "e", 1), ("b", "e", "other"), ("c", "e", 3), key_prefix="job"),
        many(Event("a", "e", 1, info="user_count")),
        many(Event("a", "e", 1, idempotency_key="k")),
        many(Event(["a", "b"], "e", 1)),  # type: ignore[arg-type]
        many(("a", "e", 1), ("a", "e")),  # type: ignore[arg-type]
        many(("a", "e", 1), app="us"),
        many(("a", "e", 1), progress=1),
    ],
    "countdown": [
        later(countdown=30),
        later(eta=datetime.now(timezone.utc) + timedelta(hours=1), expires=7200),
        later(countdown=0),
        later(countdown=-1),
        lambda: publish.apply_async(("a", "e", 1), {"key": "k"}, countdown=30),
        lambda: publish.apply_async(("a", "e", 2), {"key": "k"}, countdown=30),
        lambda: publish.delay("b", "e", 1, key="k"),
        lambda: publish.apply_async(("b", "e", 1), {"key": "k"}, countdown=30),
        lambda: publish.apply_async(("b", "e", 2), {"key": "k"}, countdown=30),
        later(countdown=30, expires=20),
        later(eta=datetime(2040, 1, 2, tzinfo=timezone.utc), expires=datetime(2040, 1, 1, tzinfo=timezone.utc)),
        later(eta=datetime.now(timezone.utc) - timedelta(hours=1)),
        lambda: publish.apply_async((["c", "d"], "e", 1), {"key": "gone"}, countdown=30).revoke(),
        lambda: publish.apply_async(("c", "e", 2), {"key": "gone"}, countdown=30).revoke(),
        lambda: publish.delay("c", "e", 3, key="gone"),
    ],
    "countdown with a task id": [
        lambda: publish.apply_async(("a", "e", 1), task_id="t", countdown=30),
        lambda: publish.apply_async(("a", "e", 1), task_id="t", countdown=60),
        lambda: publish.apply_async(("a", "e", 2), task_id="t", countdown=30),
        lambda: publish.apply_async(("a", "e", 1), {"collapse": "x"}, task_id="t", countdown=30),
        lambda: publish.apply_async((["a", "b"], "e", 1), task_id="t", countdown=30),
        lambda: publish.apply_async((), {"event": "e", "data": 3, "user_id": "42"}, task_id="u", countdown=30),
        lambda: publish.apply_async((), {"event": "e", "data": 4, "user_id": "42"}, task_id="u", countdown=30),
        lambda: publish.apply_async(("a", "e", 5), task_id="v", countdown=30).revoke(),
        lambda: publish.apply_async(("a", "e", 6), task_id="v", countdown=30),
    ],
    "options of the message": [
        later(expires=60),
        later(expires=datetime(2001, 1, 1, tzinfo=timezone.utc)),
        later(expires="soon"),
        later(countdown="soon"),
        later(countdown=1e12),
        later(countdown=5, queue="other"),
        later(queue="other"),
        later(serializer="pickle"),
        later(compression="zstd"),
        later(expiration=5),
        later(content_type="text/plain"),
        later(priority="high"),
        later(headers=[1]),
        later(countdwn=5),
        later(key="k"),
        later(task_id="t" * 129),
        later(task_id="mine"),
        later(link=5),
        later(link="other.task"),
        later(countdown=5, headers={"mine": 1}, compression="zlib"),
        lambda: publish.apply_async("a"),  # type: ignore[arg-type]
        lambda: publish.apply_async(("a", "e")),
        lambda: publish.apply_async(("a", "e", 1), {"event": "twice"}),
    ],
}


def outcome(call: Callable[[], object]) -> tuple[Any, ...]:
    """What a call returned or raised, without what is random: ids of events without a key."""
    try:
        result = call()
    except (SockudoError, TypeError) as error:
        facts = {name: getattr(error, name, None) for name in ("index", "stored", "stored_channels", "sent")}
        return type(error).__name__, str(error), tuple(facts.items())
    return type(result).__name__ if "Receipt" in type(result).__name__ else "result", repr(result) if hasattr(
        result, "already_stored"
    ) else ""


def event_key(channel: str, item: dict[str, Any], app: str) -> str:
    """An event as text, without a random id; decrypted."""
    data = subscriber_data(item["data"], channel, app_named(app).encoder.channel_secret)
    fields = {name: value for name, value in item.items() if name not in ("data", "message_id", "channel")}
    return json.dumps([app, channel, fields, data], sort_keys=True)


def stored_events(redis_url: str) -> Counter[str]:
    """What waits in the lanes, and in the schedule."""
    found: Counter[str] = Counter()
    with redis.Redis.from_url(redis_url) as client:
        for app in ("default", "eu"):
            for lane in range(LANES):
                for item in read_lane(client, app, lane).queue.items:
                    found[event_key(item.channel, json.loads(item.body), app)] += 1
            for scheduled in app_named(app).schedule_book().events():
                assert scheduled.item is not None
                found[event_key(scheduled.item.channel, json.loads(scheduled.item.body), app)] += 1
    return found


def recorded_events(events: list[Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for event in events:
        fields = {"name": event.name} | {
            name: value
            for name in ("socket_id", "tags", "extras", "delta")
            if (value := getattr(event, name)) is not None
        }
        found[json.dumps([event.app, event.channel, fields, event.data], sort_keys=True)] += 1
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_recorder_and_journal_agree(name: str, redis_url: str) -> None:
    real = [outcome(call) for call in SCENARIOS[name]]
    stored = stored_events(redis_url)
    with capture_published() as published:
        recorded = [outcome(call) for call in SCENARIOS[name]]
        events = recorded_events(published.events)
    assert recorded == real
    assert events == stored
    assert stored or name == "bad input"


def test_a_recorder_touches_no_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("stats")["total_connections_received"]
        with capture_published():
            for calls in SCENARIOS.values():
                for call in calls:
                    outcome(call)
        assert client.info("stats")["total_connections_received"] == before
        assert client.dbsize() == 0
