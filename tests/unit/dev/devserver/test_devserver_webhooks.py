"""Webhooks as values: who gets what, when it is sent again; and what is kept of events and histories."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.dev.devserver import event_log, history
from sockudo_publisher.dev.devserver.app_keys import KeyMemory
from sockudo_publisher.dev.devserver.config import AppConfig, WebhookConfig
from sockudo_publisher.dev.devserver.event_log import AcceptedEvent, EventLog
from sockudo_publisher.dev.devserver.history import MessageHistory, Query
from sockudo_publisher.dev.devserver.last_events import LastEvents
from sockudo_publisher.dev.devserver.rate import EventRate
from sockudo_publisher.dev.devserver.webhooks import deliveries, is_final, next_wait_s

pytestmark = pytest.mark.unit

EVENTS = [{"name": "cache_miss", "channel": "private-a"}, {"name": "channel_occupied", "channel": "b"}]


def test_each_address_gets_what_it_wants() -> None:
    """By the names of events and the form of the channel; nothing is sent for nothing."""
    app = AppConfig(
        "a",
        "k",
        "s",
        webhooks=(
            WebhookConfig("http://all"),
            WebhookConfig("http://some", ("cache_miss",), channel_prefix="private-", headers=(("X-Mine", "1"),)),
            WebhookConfig("http://none", ("member_added",)),
            WebhookConfig("http://pattern", channel_pattern="^b$"),
        ),
    )
    made = deliveries(app, EVENTS, 5)
    assert [(one.url, json.loads(one.body)) for one in made] == [
        ("http://all", {"time_ms": 5, "events": EVENTS}),
        ("http://some", {"time_ms": 5, "events": EVENTS[:1]}),
        ("http://pattern", {"time_ms": 5, "events": EVENTS[1:]}),
    ]
    assert made[1].headers["X-Mine"] == "1"


def test_a_hundred_events_make_a_webhook() -> None:
    """The next ones make another."""
    app = AppConfig("a", "k", "s", webhooks=(WebhookConfig("http://all"),))
    made = deliveries(app, EVENTS[:1] * 101, 5)
    assert [len(json.loads(one.body)["events"]) for one in made] == [100, 1]


@pytest.mark.parametrize(
    ("status", "final"),
    [(200, True), (302, True), (400, True), (404, True), (410, True)]
    + [(status, False) for status in (408, 409, 425, 429, 500, 503, None)],
)
def test_which_answers_are_final(status: int | None, final: bool) -> None:
    """Those that a repetition would not change."""
    assert is_final(status) is final


def test_waits_are_doubled_up_to_five_minutes() -> None:
    """1, 2, 4 … 60 seconds, as long as all of it is within 300."""
    waits, elapsed_s = [], 0.0
    for attempt in range(1, 100):
        wait_s = next_wait_s(attempt, elapsed_s)
        if wait_s is None:
            break
        waits.append(wait_s)
        elapsed_s += wait_s
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_event_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In events and in bytes; the counts go on."""
    monkeypatch.setattr(event_log, "MAX_EVENTS", 3)
    monkeypatch.setattr(event_log, "MAX_BYTES", 10)
    log = EventLog()
    for data in ("1", "2", "3", "4"):
        log.accept(AcceptedEvent("a", "c", "e", data, None, None, None, None, 0, 0))
    assert [event.data for event in log.last()] == ["2", "3", "4"]
    log.accept(AcceptedEvent("a", "c", "e", "x" * 9, None, None, None, None, 0, 0))
    assert [event.data for event in log.last()] == ["4", "x" * 9]
    assert log.counts.accepted == 5
    log.clear()
    assert (log.last(), log.counts.accepted) == ([], 0)


def test_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By channel, in messages and bytes, and in channels."""
    monkeypatch.setattr(history, "MAX_ENTRIES_OF_CHANNEL", 3)
    monkeypatch.setattr(history, "MAX_CHANNELS", 2)
    kept = MessageHistory("a", now_ms=lambda: 7)
    bounds = dict.fromkeys(("start_serial", "end_serial", "start_time_ms", "end_time_ms"))
    for number in range(5):
        kept.append("c", {"event": "e", "message_id": str(number)})
    page = kept.read("c", Query("oldest_first", 100, None, bounds))
    assert [entry.serial for entry in page.entries] == [3, 4, 5]
    first = kept.stream("c").stream_id
    for channel in ("d", "e"):
        kept.append(channel, {"event": "e"})
    assert kept.stream("c").stream_id != first
    monkeypatch.setattr(history, "MAX_BYTES_OF_CHANNEL", 100)
    for _ in range(5):
        kept.append("c", {"event": "e", "data": "x" * 50})
    assert kept.stream("c").size <= 100


def test_a_last_event_is_kept_for_its_time() -> None:
    """Then the channel has none."""
    now = 0.0
    kept = LastEvents(lambda: now)
    kept.set("c", "frame")
    now = 299.5
    assert kept.look("c") == ("frame", 0)
    now = 300.5
    assert kept.get("c") is None


def test_keys_are_forgotten_after_their_time() -> None:
    """And a full memory keeps no new one."""
    now = 0.0
    keys = KeyMemory(10.0, 1, lambda: now)
    keys.set("a", 1)
    keys.set("b", 2)
    assert (keys.get("a"), keys.get("b")) == (1, None)
    now = 10.0
    assert keys.get("a") is None


def test_a_rate_begins_anew_with_its_window() -> None:
    """Zero is no limit."""
    now = 0.0
    rate = EventRate(2, 1.0, lambda: now)
    assert [rate.allows() for _ in range(3)] == [True, True, False]
    now = 1.0
    assert rate.allows()
    assert all(EventRate(0, 1.0, lambda: now).allows() for _ in range(100))
