"""Assertions on what was published, and the text of one that fails."""

from __future__ import annotations

import uuid
from unittest.mock import ANY

import pytest

from sockudo_publisher import publish
from sockudo_publisher.testing import Published

pytestmark = pytest.mark.unit


@pytest.fixture
def shop(published: Published) -> Published:
    publish.delay("orders", "shipped", {"id": 788, "lines": [1, 2]}, key="k", tags={"region": "eu"})
    publish.delay("orders", "paid", {"id": 788})
    publish.delay("refunds", "paid", "text")
    return published


def test_events_are_found_by_channel_name_and_data(shop: Published) -> None:
    assert shop.assert_one("orders", "shipped").key == "k"
    assert shop.assert_one("orders", data={"id": 788}).name == "paid"
    assert shop.assert_one(name="shipped", data={"id": 788, "lines": ANY}).channel == "orders"
    assert shop.assert_one(tags={"region": "eu"}).message_id == "k"
    assert len(shop.assert_count(2, name="paid")) == 2
    assert [event.name for event in shop.on("orders")] == ["shipped", "paid"]
    assert [event.channel for event in shop.named("paid")] == ["orders", "refunds"]
    shop.assert_none("invoices")
    shop.clear()
    shop.assert_none()


def test_expected_data_is_compared_as_json(published: Published) -> None:
    """What is equal once it is encoded as the event was is equal: a subscriber cannot tell."""
    publish.delay("a", "e", {1: (1, 2), "n": None})
    published.assert_one("a", data={1: (1, 2), "n": None})
    published.assert_one("a", data={"1": [1, 2], "n": None})
    publish.delay("b", "e", "123")
    published.assert_one("b", data="123")
    published.assert_one("b", data=123)
    published.assert_none("b", data="1234")
    published.assert_none("b", data=uuid.uuid4)  # not JSON: it is not what was published


def test_later_changes_of_the_data_change_nothing(published: Published) -> None:
    data = {"id": 1}
    publish.delay("a", "e", data)
    data["id"] = 2
    published.assert_one("a", data={"id": 1})


def test_a_failure_shows_what_was_published_instead(shop: Published) -> None:
    with pytest.raises(AssertionError) as failed:
        shop.assert_one("orders", "shipped", data={"id": 789, "lines": [1, 2]})
    assert str(failed.value).splitlines() == [
        "expected exactly one event on 'orders' named 'shipped' with data {'id': 789, 'lines': [1, 2]}, found 0",
        "",
        "nearest: event 1 differs (- expected, + published):",
        "    data:",
        "  - {'id': 789, 'lines': [1, 2]}",
        "  ?          ^",
        "  + {'id': 788, 'lines': [1, 2]}",
        "  ?          ^",
        "",
        "published (3):",
        "  1. 'orders' 'shipped' data={'id': 788, 'lines': [1, 2]} key='k' tags={'region': 'eu'} via=delay",
        "  2. 'orders' 'paid' data={'id': 788} via=delay",
        "  3. 'refunds' 'paid' data='text' via=delay",
    ]


def test_failures_name_the_number_and_the_field(shop: Published) -> None:
    with pytest.raises(AssertionError, match="expected exactly one event on 'orders', found 2"):
        shop.assert_one("orders")
    with pytest.raises(AssertionError, match="expected no event, found 3"):
        shop.assert_none()
    with pytest.raises(AssertionError, match="expected 3 times event on 'orders', found 2"):
        shop.assert_count(3, "orders")
    with pytest.raises(AssertionError, match=r"(?s)with key='x', found 0.*- key='x'\n  \+ key='k'"):
        shop.assert_one("orders", "shipped", key="x")


def test_nothing_published_is_said(published: Published) -> None:
    with pytest.raises(AssertionError, match="found 0\n\npublished: nothing"):
        published.assert_one("orders")


def test_wrong_arguments_are_refused(published: Published) -> None:
    with pytest.raises(TypeError, match="no field 'colour', it has app, channel"):
        published.assert_one("a", colour="red")
    with pytest.raises(TypeError, match="count is a str"):
        published.assert_count("orders")
