"""Dates and dataclasses in data, in every way to publish: each subscriber gets the same text."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine
from sqlalchemy.orm import Session

from sockudo_publisher import Event, Sockudo, ValidationError, publish, publish_many
from sockudo_publisher.outbox.sqlalchemy import Outbox
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


@dataclasses.dataclass
class Line:
    price: Decimal
    at: datetime


LINE = Line(Decimal("1.10"), datetime(2026, 1, 2, tzinfo=timezone.utc))
TEXT = '{"price":"1.10","at":"2026-01-02T00:00:00Z"}'


def test_every_way_sends_the_same_text(stack: Stack, tmp_path: Path) -> None:
    """The queue, a countdown, a bulk job, the outbox, a call in this process and the client."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    stack.worker()
    engine = create_engine(f"sqlite:///{tmp_path}/app.sqlite3")
    outbox = Outbox(metadata := MetaData())
    metadata.create_all(engine)

    publish.delay(channel, "delay", LINE)
    publish.apply_async((channel, "apply_async", LINE))
    publish.apply_async((channel, "countdown", LINE), countdown=0.1)
    publish_many([(channel, "tuple", LINE), Event(channel, "event", LINE, key=f"k-{channel}")])
    publish(channel, "call", LINE)
    with Session(engine) as session, session.begin():
        outbox.add(session, channel, "outbox", LINE)
    outbox.relay(engine)
    client = Sockudo.from_url(stack.environ["SOCKUDO_URL"])
    client.trigger(channel, "trigger", LINE)
    client.trigger_batch([Event(channel, "batch", LINE)])

    seen.wait_for_count(9, 60)
    assert {event.event: event.data for event in seen.events()} == dict.fromkeys(
        ["delay", "apply_async", "countdown", "tuple", "event", "call", "outbox", "trigger", "batch"], TEXT
    )
    engine.dispose()


def test_same_key_with_the_same_value_is_one_event(stack: Stack) -> None:
    """The text is the identity, whichever type it is made of."""
    channel = stack.channel()
    first = publish.delay(channel, "e", LINE, key=f"key-{channel}")
    again = publish.delay(channel, "e", json.loads(TEXT), key=f"key-{channel}")
    assert first.id == again.id
    assert sum(stack.redis.xlen(name) for name in stack.redis.scan_iter(_type="stream")) == 1


def test_bad_data_is_refused_before_anything_is_stored(stack: Stack) -> None:
    """With the place, in the queue and in a bulk job, whose events before it are stored."""
    bad = {"items": [LINE, {"price": {1}}]}
    with pytest.raises(ValidationError, match=r"^data\.items\[1\]\.price: not JSON, Object of type set"):
        publish.delay("c", "e", bad)
    with pytest.raises(ValidationError, match=r"^data\.items\[1\]\.price: ") as caught:
        publish_many([("c", "e", LINE), ("c", "e", bad)])
    assert (caught.value.index, caught.value.stored) == (1, 1)
