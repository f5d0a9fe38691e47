"""What the board receives and when: every flight's life in order, every channel's numbers without a gap."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.dev.demo.flights import Departure, departures
from sockudo_publisher.dev.demo.timetable import (
    AIRPORT_CHANNELS,
    Numbering,
    carrier_channels,
    day_messages,
    outcome_messages,
    schedule_messages,
    updates,
)

pytestmark = pytest.mark.unit

NOON = datetime(2013, 3, 8, 12)


def flight(delay_min: int | None) -> Departure:
    departed = None if delay_min is None else NOON + timedelta(minutes=delay_min)
    return Departure(NOON, departed, delay_min, "UA", "United", 1, None, "EWR", "IAH", "Houston")


@pytest.mark.parametrize(
    ("delay_min", "life"),
    [
        pytest.param(None, [("11:15", "cancelled")], id="cancelled"),
        pytest.param(0, [("11:35", "boarding"), ("12:00", "departed")], id="on time"),
        pytest.param(-5, [("11:30", "boarding"), ("11:55", "departed")], id="early"),
        pytest.param(14, [("11:49", "boarding"), ("12:14", "departed")], id="hardly late"),
        pytest.param(15, [("11:20", "delayed"), ("11:50", "boarding"), ("12:15", "departed")], id="late"),
        pytest.param(800, [("11:20", "delayed"), ("00:55", "boarding"), ("01:20", "departed")], id="the next day"),
    ],
)
def test_a_flight_lives_through_its_statuses(delay_min, life):
    """Announced as delayed from a quarter of an hour on, then boarding, then departed; or cancelled."""
    assert [(f"{update.at:%H:%M}", update.status) for update in updates([flight(delay_min)])] == life


@given(st.lists(st.none() | st.integers(-60, 1500), max_size=20))
def test_updates_come_in_the_board_s_time(delays):
    """And every flight ends once, departed or cancelled, as its last word."""
    found = updates([flight(delay) for delay in delays])
    assert [update.at for update in found] == sorted(update.at for update in found)
    last = {update.number: update.status for update in found}
    ends = Counter(update.number for update in found if update.status in ("departed", "cancelled"))
    assert ends == dict.fromkeys(range(len(delays)), 1)
    assert all(status in ("departed", "cancelled") for status in last.values())


def test_a_day_numbers_every_channel_without_a_gap():
    """From 1, across the schedule and the updates: what the subscribers' check relies on."""
    day, numbering = departures(), Numbering()
    seen = defaultdict(list)
    for message in [*schedule_messages(day, numbering), *day_messages(day, numbering)]:
        seen[message.channel].append(message.data["seq"])
    assert set(seen) == {*AIRPORT_CHANNELS, *carrier_channels(day)}
    for numbers in seen.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert {channel: len(numbers) for channel, numbers in seen.items()} == numbering.last()


def test_a_day_is_so_many_messages():
    """979 of the schedule, and each of the 2,330 updates for an airport and for a carrier."""
    day, numbering = departures(), Numbering()
    assert len(list(schedule_messages(day, numbering))) == 979
    assert len(list(day_messages(day, numbering))) == 2 * 2330


def test_messages_fit_the_limits_of_an_event():
    """Small, as events are; plain JSON."""
    day, numbering = departures(), Numbering()
    for message in [*schedule_messages(day, numbering), *day_messages(day, numbering)]:
        assert json.loads(message.text()) == message.data
        assert len(message.text().encode()) < 400


def test_a_long_period_is_one_message_a_departure():
    """How each ended, on its airport's channel."""
    messages = list(outcome_messages(departures(), Numbering()))
    assert len(messages) == 979
    assert Counter(message.data["status"] for message in messages) == {"departed": 799, "cancelled": 180}
    assert {message.channel for message in messages} == set(AIRPORT_CHANNELS)
