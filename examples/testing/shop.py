"""A shop that publishes what happens to its orders."""

from collections.abc import Iterable, Mapping

from sockudo_publisher import JournalUnavailable, Sockudo, publish, publish_many


def ship(order: int, lines: Iterable[str]) -> str:
    """Publish that an order is shipped. Returns the message id."""
    data = {"id": order, "lines": list(lines)}
    return publish.delay("orders", "shipped", data, key=f"order-{order}-shipped").id


def remind(order: int) -> None:
    """Ask for a rating in a day, unless it cannot be delivered within another hour."""
    publish.apply_async((f"private-order-{order}", "rate-us", {"id": order}), countdown=86_400, expires=90_000)


def import_prices(prices: Mapping[str, float]) -> int:
    """Publish all prices. Returns their number."""
    return publish_many((f"prices-{name}", "tick", {"price": price}) for name, price in prices.items()).count


def pay(order: int) -> str:
    """Publish that an order is paid. Without a journal the page shows a hint to reload."""
    try:
        publish.delay("orders", "paid", {"id": order})
    except JournalUnavailable:
        return "paid; reload the page to see it"
    return "paid"


def is_watched(order: int) -> bool:
    """Whether a browser has the order's channel open."""
    return bool(Sockudo.from_env().channel_info(f"private-order-{order}")["occupied"])


def receive_webhook(headers: Mapping[str, str], body: bytes) -> list[str]:
    """The channels that a webhook of Sockudo reports as occupied. Raises ``InvalidWebhook``."""
    webhook = Sockudo.from_env().webhook(headers, body)
    return [event.channel for event in webhook.events if event.name == "channel_occupied" and event.channel]


def authorize(user: str, channel: str, socket_id: str) -> Mapping[str, str]:
    """The answer of the auth endpoint. Raises ``PermissionError``."""
    if channel != f"private-user-{user}":
        raise PermissionError(channel)
    return Sockudo.from_env().authenticate(channel, socket_id)
