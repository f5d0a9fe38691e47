"""Beside your own Celery app: publish from your tasks, and put `publish` into your chains.

    celery -A examples.own_celery_app worker     # your workers: your tasks, and `publish` in chains
    sockudo-publisher worker                     # delivers
    python -m examples.own_celery_app

`MY_BROKER` is your broker; it may be another than `SOCKUDO_BROKER_URL`.
"""

import os

from celery import Celery, chain

from sockudo_publisher import publish, register

broker = os.environ.get("MY_BROKER", "redis://127.0.0.1:6379/1")
app = Celery("shop", broker=broker, backend=broker)
register(app)  # lets your workers run `publish` as a step of your chains


@app.task(name="shop.total")
def total(prices: list[float]) -> dict[str, float]:
    """Your own work: its result is the data of the next step."""
    return {"total": sum(prices)}


@app.task(name="shop.audit")
def audit(message_id: str) -> str:
    """The task after `publish` in a chain gets the message id."""
    return f"stored {message_id}"


def main() -> None:
    """The result of `total` is the event's data."""
    steps = chain(total.s([9.5, 20.5]), publish.s(channel="invoices", event="ready"), audit.s())
    print(steps.apply_async().get(timeout=30))


if __name__ == "__main__":
    main()
