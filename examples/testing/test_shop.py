"""The shop's tests: no Redis, no Sockudo, no worker."""

import pytest
import shop

from sockudo_publisher import IdempotencyConflict, InvalidWebhook, JournalUnavailable
from sockudo_publisher.testing import Published, sign_webhook


def test_shipping_is_published(published: Published) -> None:
    message_id = shop.ship(789, ["tea", "cups"])
    event = published.assert_one("orders", "shipped", data={"id": 789, "lines": ["tea", "cups"]})
    assert event.message_id == message_id == "order-789-shipped"


def test_shipping_twice_is_published_once(published: Published) -> None:
    shop.ship(789, ["tea"])
    shop.ship(789, ["tea"])
    published.assert_count(1, "orders")
    with pytest.raises(IdempotencyConflict):
        shop.ship(789, ["coffee"])


def test_the_reminder_comes_a_day_later(published: Published) -> None:
    shop.remind(789)
    (event,) = published.on("private-order-789")
    assert (event.name, event.countdown, event.expires) == ("rate-us", 86_400, 90_000)


def test_prices_are_imported_in_order(published: Published) -> None:
    assert shop.import_prices({"tea": 2.5, "cups": 9}) == 2
    assert [(event.channel, event.data["price"]) for event in published.named("tick")] == [
        ("prices-tea", 2.5),
        ("prices-cups", 9),
    ]


def test_paying_works_without_a_journal(published: Published) -> None:
    with published.fail(JournalUnavailable):
        assert shop.pay(789) == "paid; reload the page to see it"
    published.assert_none("orders")
    assert shop.pay(789) == "paid"
    published.assert_one("orders", "paid")


def test_queries_get_the_answers_of_the_test(published: Published) -> None:
    published.answer("/channels/private-order-789", {"occupied": True})
    published.answer("/channels/private-order-790", {"occupied": False})
    assert [shop.is_watched(order) for order in (789, 790)] == [True, False]


@pytest.mark.usefixtures("published")
def test_webhooks_are_checked_and_read() -> None:
    headers, body = sign_webhook([{"name": "channel_occupied", "channel": "orders"}])
    assert shop.receive_webhook(headers, body) == ["orders"]
    with pytest.raises(InvalidWebhook):
        shop.receive_webhook(headers, body.replace(b"orders", b"prices"))


@pytest.mark.usefixtures("published")
def test_users_join_their_own_channel_alone() -> None:
    assert shop.authorize("ada", "private-user-ada", "1.2")["auth"]
    with pytest.raises(PermissionError):
        shop.authorize("ada", "private-user-bob", "1.2")
