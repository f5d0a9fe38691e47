"""What Sockudo always refuses raises at the caller by every way to publish, and what the caller takes is delivered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from sqlalchemy import MetaData, create_engine, func, select

from sockudo_publisher import Event, ValidationError, configure, publish, publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.operations import AppStatus, status
from sockudo_publisher.outbox.sqlalchemy import Outbox
from tests.support.stack import Stack
from tests.support.verdicts import ACCEPTED, REFUSED, nested

pytestmark = pytest.mark.integration

#: Seconds for a worker to deliver a few dozen events, on a machine with a lot to do.
DELIVERED_S = 60.0


@pytest.fixture
def journal(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """An empty journal, and a server that is not there."""
    for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", redis_url)
    configure()
    with redis.Redis.from_url(redis_url) as client:
        yield client
    monkeypatch.undo()
    configure()


def call_of(form: dict[str, Any]) -> tuple[tuple[Any, Any, Any], dict[str, Any]]:
    """The arguments of `publish` for a form of an event."""
    fields = {"channel": "c", "name": "e", "data": "x", **form}
    rest = {name: value for name, value in fields.items() if name in ("tags", "extras")}
    if "message_id" in fields:
        rest["key"] = fields["message_id"]
    return (fields["channel"], fields["name"], fields["data"]), rest


def add_to_outbox(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Insert it in a transaction; a refused event leaves no row."""
    outbox = Outbox(MetaData())
    engine = create_engine("sqlite://")
    with ExitStack() as ends:
        ends.callback(engine.dispose)
        connection = ends.enter_context(engine.begin())
        outbox.table.metadata.create_all(connection)
        try:
            outbox.add(connection, *args, **kwargs)
        finally:
            assert connection.scalar(select(func.count()).select_from(outbox.table)) == 0


WAYS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], object]] = {
    "delay": lambda args, kwargs: publish.delay(*args, **kwargs),
    "apply_async": lambda args, kwargs: publish.apply_async(args, kwargs, expires=60),
    "countdown": lambda args, kwargs: publish.apply_async(args, kwargs, countdown=60),
    "signature": lambda args, kwargs: publish.s(*args, **kwargs).apply_async(),
    "publish_many": lambda args, kwargs: publish_many([Event(*args, **kwargs)]),
    "publish_many of dicts": lambda args, kwargs: publish_many(
        [dict(zip(("channel", "name", "data"), args, strict=True), **kwargs)]
    ),
    "outbox": add_to_outbox,
    "on_commit": lambda args, kwargs: publish.delay_on_commit(*args, **kwargs),
    "now": lambda args, kwargs: publish(*args, **kwargs),
}


@pytest.mark.parametrize("way", WAYS)
def test_certain_refusals_raise_and_store_nothing(journal: redis.Redis, way: str) -> None:
    """A ValidationError that names the field, and an empty journal: nothing of it becomes a dead letter."""
    for name, (form, message) in REFUSED.items():
        if way == "now" and "levels of JSON" in message:
            continue  # `/events` has another limit, see below
        with pytest.raises(ValidationError) as caught:
            WAYS[way](*call_of(form))
        assert message in str(caught.value), name
    assert journal.keys("*:stream") == []
    assert journal.llen("sockudo") == 0


def test_a_direct_call_refuses_its_own_depth(journal: redis.Redis) -> None:
    """The same check with the limit of `/events`."""
    with pytest.raises(ValidationError, match="extras: 127 levels of JSON, limit 126"):
        publish("c", "e", "x", extras={"z": nested(126)})


def test_events_before_a_refused_one_are_stored(journal: redis.Redis) -> None:
    """Of many, the error tells which it was."""
    events = [Event("c", "e", 1), Event("c", "e", 2, extras={"push": {}}), Event("c", "e", 3)]
    with pytest.raises(ValidationError, match=r"extras\.push") as caught:
        publish_many(events)
    assert (caught.value.index, caught.value.stored) == (1, 1)


def test_what_the_caller_takes_leaves_no_dead_letter(stack: Stack) -> None:
    """Every accepted form, through the queue, to the real server."""
    stack.worker()
    for form in ACCEPTED.values():
        args, kwargs = call_of(form)
        publish.delay(*args, **kwargs)

    def app() -> AppStatus:
        return status()[0]

    assert wait_for(lambda: not any(lane.depth + lane.held for lane in app().lanes), DELIVERED_S)
    assert [lane.dead for lane in app().lanes if lane.dead] == []
    assert app().counters["settled"] == len(ACCEPTED)
