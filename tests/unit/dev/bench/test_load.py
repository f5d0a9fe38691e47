"""How much is published, and what: known beforehand, numbered, of the size that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.limits import check_channel
from sockudo_publisher.dev.bench.load import PREFIX, NumberedEvents, channel_names, text_of
from sockudo_publisher.dev.bench.plan import EVENTS_ALONE, EVENTS_HERE, MIN_BYTES, Amounts, Plan
from sockudo_publisher.dev.demo.stage import MAX_WAITING_MESSAGES
from sockudo_publisher.dev.tally import Tally

ROOT = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.unit


def test_a_round_publishes_both_sides_of_each_pair():
    """The bulk is shared out over the rounds, single calls are in proportion."""
    plan = Plan(events=60_000)
    assert plan.each == Amounts(calls=1000, bulk=20_000, light=40)
    assert plan.total == 1 + plan.warm_up.total + 3 * 2 * 21_040


@pytest.mark.parametrize(
    ("events", "each"),
    [(1, (10, 2, 10)), (900, (15, 300, 12)), (3000, (50, 1000, 40)), (300_000, (1000, 100_000, 40))],
)
def test_single_calls_have_bounds(events, each):
    """Enough for a p95 of sorts, and few enough for a slow network not to make minutes of them."""
    assert Plan(events).each == Amounts(*each)


def test_a_deployment_gets_a_few_thousand():
    """By default, warm-up and direct calls included."""
    total = Plan(EVENTS_HERE).total
    assert total < 8_000
    assert EVENTS_HERE < EVENTS_ALONE
    assert f"the number of events ({total:,} by default)" in (ROOT / "docs" / "cli.md").read_text()


def test_a_round_fits_into_what_sockudo_lets_wait():
    """Or it would drop the subscriber's events, and the bench would call them lost."""
    from sockudo_publisher.cli.bench import MAX_EVENTS

    assert Plan(MAX_EVENTS).each.bulk <= MAX_WAITING_MESSAGES


def test_channels_are_the_run_s_own():
    """Good names, and others in every run."""
    first, second = channel_names(500), channel_names(500)
    assert len({*first, *second}) == 1000
    assert all(check_channel(name).startswith(PREFIX) for name in first)


@pytest.mark.parametrize("size", [MIN_BYTES, 230, 10_240])
def test_every_event_has_the_size_and_its_number(size):
    """Numbered per channel without a gap, also over several calls."""
    load = NumberedEvents(("a", "b"), size, Tally())
    events = [*load.events(3), *load.events(2)]
    assert [(channel, data["seq"]) for channel, _, data in events] == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)]
    assert {len(text_of(data)) for _, _, data in events} == {size}
    assert load.tally.published == 5


def test_the_text_is_what_the_publisher_sends():
    """Else everything would count as altered."""
    [(_, _, data)] = NumberedEvents(("a",), 230, Tally()).events(1)
    encoder = Encoder()
    assert encoder.payload(data) == text_of(data)


def test_the_smallest_size_has_room_for_any_number():
    """Of the most events that may be asked for."""
    assert len(text_of({"seq": 10**6, "fill": ""})) <= MIN_BYTES
