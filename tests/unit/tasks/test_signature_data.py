"""Data in a canvas: encoded before its message is made, as Celery's serializers have forms of their own."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from celery import Celery, chain, group

from sockudo_publisher import ValidationError, configure, publish, register

pytestmark = pytest.mark.unit


@dataclasses.dataclass
class Order:
    id: int
    at: datetime


ORDER = Order(7, datetime(2026, 1, 2, tzinfo=timezone.utc))
TEXT = '{"id":7,"at":"2026-01-02T00:00:00Z"}'


@pytest.fixture
def shop() -> Iterator[Celery]:
    """An application's own Celery app, with `publish`."""
    configure(url="http://key:secret@127.0.0.1:1/apps/app")
    app = Celery("shop", broker="memory://", set_as_current=False)
    register(app)
    yield app
    app.close()
    configure()


@pytest.mark.parametrize("how", ["freeze", "link", "pickle"])
@pytest.mark.parametrize("place", ["args", "kwargs", "parent's place"])
def test_typed_data_is_encoded_for_a_message(shop: Celery, how: str, place: str) -> None:
    """As a step that is frozen, as a link that JSON writes, and for an app that uses pickle."""
    task = shop.tasks[publish.name]
    one = {
        "args": lambda: task.si("c", "e", ORDER),
        "kwargs": lambda: task.si("c", "e", data=ORDER),
        "parent's place": lambda: task.si(ORDER, channel="c", event="e"),
    }[place]()
    if how == "freeze":
        one.freeze()
        sent: Any = dict(one)
    else:
        sent = json.loads(json.dumps(one)) if how == "link" else pickle.loads(pickle.dumps(one))
    assert TEXT in [*sent["args"], *sent["kwargs"].values()]


def test_plain_data_stays_as_it_is(shop: Celery) -> None:
    """Messages of today do not change; a step without data waits for its parent's result."""
    task = shop.tasks[publish.name]
    for one in (task.si("c", "e", {"n": [1, None]}), task.si("c", "e", "text"), task.s(channel="c", event="e")):
        before = dict(one)
        one.freeze()
        assert (one["args"], one["kwargs"]) == (before["args"], before["kwargs"])


def test_bad_data_in_a_canvas_is_refused_at_the_caller(shop: Celery) -> None:
    """With its path, before the first message."""
    task = shop.tasks[publish.name]
    bad = task.si("c", "e", {"items": [{"price": {1}}]})
    for canvas in (chain(task.si("c", "e", 1), bad), group([bad, task.si("c", "e", 1)])):
        with pytest.raises(ValidationError, match=r"^data\.items\[0\]\.price: not JSON, Object of type set"):
            canvas.freeze()
