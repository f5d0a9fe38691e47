"""`publish` in two Celery apps: ours, and the one that registers it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery

from sockudo_publisher import publish, register
from sockudo_publisher.celery_app import celery_app

pytestmark = pytest.mark.unit


@pytest.fixture
def shop() -> Iterator[Celery]:
    """An application's own Celery app."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    yield app
    app.close()


def test_registering_elsewhere_leaves_publish_with_its_own_app(shop: Celery) -> None:
    """A countdown of `publish` goes to our broker, also after `register`."""
    register(shop)
    assert publish.app is celery_app
    assert celery_app.tasks[publish.name] is publish


def test_registered_task_belongs_to_the_app_that_registered_it(shop: Celery) -> None:
    """Two apps, two tasks, each bound to its own; settings and signatures are the same."""
    other = Celery("other", broker="memory://", set_as_current=False)
    ours, theirs = register(shop), register(other)
    assert (ours.app, theirs.app) == (shop, other)
    assert shop.tasks[publish.name] is ours
    assert ours.request_stack is not publish.request_stack
    other.close()


def test_signature_finds_the_queue_and_hides_the_payload(shop: Celery) -> None:
    """From any app: queue `sockudo`, and nothing of the arguments where Celery shows them."""
    for task in (publish, register(shop)):
        options = task.s("orders", "shipped", {"id": 1}).options
        assert options == {"queue": "sockudo", "argsrepr": "(...)", "kwargsrepr": "(...)"}
