"""The recorder in Django's own test runner, under eager Celery apps, and with asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery, _state, chain, group

import sockudo_publisher
from sockudo_publisher import ConfigurationError, JournalUnavailable, publish
from sockudo_publisher.testing import Published
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


def test_django_test_cases() -> None:
    """`TestCase` with `captureOnCommitCallbacks`, `TransactionTestCase`, `override_settings`: no server at all."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
    done = run_python(["-m", "tests.integration.testing.django_project"], cwd=ROOT, env=env, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 7 tests" in done.stderr


@pytest.fixture
def eager_app() -> Iterator[Celery]:
    before = _state._tls.current_app
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    app.set_current()
    sockudo_publisher.register(app)
    yield app
    _state._tls.current_app = before


def test_eager_calls_and_canvases(eager_app: Celery, published: Published) -> None:
    """Eagerly the steps run in this process; `publish` is recorded as it was called."""

    @eager_app.task(shared=False)
    def add(a: int, b: int) -> int:
        return a + b

    ids: list[str] = []

    @eager_app.task(shared=False)
    def note(message_id: str) -> None:
        ids.append(message_id)

    publish.delay("orders", "direct", 1)
    publish.apply_async(("orders", "later", 2), countdown=30, link=note.s())
    chain(add.s(1, 2), publish.s(channel="orders", event="sum"), note.s()).delay()
    group(publish.si("orders", "one", 1), publish.si("orders", "two", 2)).delay()
    assert [(event.name, event.data) for event in published.events] == [
        ("direct", 1),
        ("later", 2),
        ("sum", 3),
        ("one", 1),
        ("two", 2),
    ]
    assert [event.via for event in published.events] == ["delay", *["apply_async"] * 4]
    assert published.named("later")[0].countdown == 30
    assert ids == [published.named(name)[0].message_id for name in ("later", "sum")]


def test_canvas_messages_are_recorded(published: Published) -> None:
    """Not eager: the message of the first step is recorded, nothing runs; without `register` it is refused."""
    app = Celery("shop2", broker="memory://", set_as_current=False)

    @app.task(shared=False)
    def note(message_id: str) -> None:
        raise AssertionError("no worker runs it")

    with pytest.raises(ConfigurationError, match="register"):
        publish.apply_async(("orders", "linked", 1), link=note.s())
    sockudo_publisher.register(app)
    result = publish.apply_async(("orders", "linked", 1), link=note.s())
    event = published.assert_one("orders", "linked")
    assert event.message_id == result.id
    with published.fail(JournalUnavailable), pytest.raises(JournalUnavailable) as raised:
        publish.apply_async(("orders", "linked", 2), link=note.s())
    assert raised.value.message_id


def test_tasks_of_asyncio_are_recorded(published: Published) -> None:
    async def handler(n: int) -> None:
        await asyncio.sleep(0)
        publish.delay("orders", "e", n)

    async def serve() -> None:
        await asyncio.gather(*(handler(n) for n in range(5)))
        await asyncio.to_thread(publish.delay, "orders", "e", 5)

    asyncio.run(serve())
    assert sorted(event.data for event in published.events) == list(range(6))
