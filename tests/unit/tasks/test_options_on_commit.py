"""What an event that is stored on commit is refused with at the call: all that the call at the commit would meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound

from sockudo_publisher import ConfigurationError, publish, register

pytestmark = pytest.mark.unit


@pytest.fixture
def shop() -> Iterator[Celery]:
    """An application's own Celery app, whose workers may run `publish`."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    register(app)
    yield app
    app.close()


@pytest.mark.parametrize(
    ("settings", "options", "kind", "error_text"),
    [
        ({}, {"serializer": "pickle"}, ConfigurationError, "serializer: "),
        ({"task_routes": {"sockudo_publisher.*": "sockudo"}}, {}, ConfigurationError, "name another queue"),
        ({"task_create_missing_queues": False}, {"queue": "missing"}, QueueNotFound, "missing"),
    ],
    ids=["serializer", "route", "queue"],
)
def test_link_that_cannot_be_sent_is_refused_now(
    shop: Celery, settings: dict[str, Any], options: dict[str, Any], kind: type[Exception], error_text: str
) -> None:
    """At the commit it would be too late: the rest is done, and the event would be lost."""
    shop.conf.update(settings)
    given = {"link": shop.signature("shop.audit"), **options}
    with pytest.raises(kind, match=error_text):
        publish.check_call_options(given)
    shop.conf.task_always_eager = True  # then nothing is sent
    assert publish.check_call_options(given) == given
