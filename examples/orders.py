"""Publish from application code: one event, with your own key, later, and now.

    SOCKUDO_URL=http://key:secret@127.0.0.1:6001/apps/app python examples/orders.py order-789

Needs Redis for the queued events and Sockudo for the one that is sent now; a worker delivers the rest.
"""

import sys

from sockudo_publisher import publish


def ship(order: str) -> None:
    """Publish the events of one order to its channel."""
    channel = f"orders-{order}"

    result = publish.delay(channel, "packed", {"order": order})
    print("stored as", result.id)

    # Called twice (a retried request, a redelivered job), it is stored once: the key is remembered for a day.
    for _ in range(2):
        publish.delay(channel, "shipped", {"order": order}, key=f"{order}-shipped")

    # One second later; dropped if it cannot be sent within a minute.
    publish.apply_async((channel, "rate-us", {"order": order}), countdown=1, expires=60)

    # Now, in this process: not ordered with queued events, raises if Sockudo is down.
    receipt = publish(f"{channel}-courier", "picked-up", "by bicycle")
    print("accepted as", receipt.message_id)


if __name__ == "__main__":
    ship(sys.argv[1] if len(sys.argv) > 1 else "order-789")
