"""One event with every option, by every way to publish: the same entry in the journal, the same record in a test."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest
import redis
from sqlalchemy import MetaData, create_engine

from sockudo_publisher import Event, apublish_many, configure, publish, publish_many
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.outbox.sqlalchemy import Outbox
from sockudo_publisher.publishing.call import FIELDS, bind
from sockudo_publisher.publishing.prepare import prepare
from sockudo_publisher.publishing.store import store_event
from sockudo_publisher.tasks.message import FinishedEvent, read_event, write_event
from sockudo_publisher.telemetry.observer import Observer
from sockudo_publisher.testing import capture_published
from sockudo_publisher.testing.event import PublishedEvent
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.workerapp.due_events import DueMover

pytestmark = pytest.mark.integration

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

#: Everything that a call takes beside channel, name and data.
OPTIONS: dict[str, Any] = {
    "socket_id": "123.456",
    "tags": {"kind": "é"},
    "extras": {"headers": {"priority": 7}, "ephemeral": True, "own": [1, {"a": None}]},
    "delta": False,
    "collapse": 'price "é"',
    "key": "order-1",
}

CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a channel": ("c", OPTIONS),
    "a user": (None, {**OPTIONS, "user_id": "42"}),
    "a collapse key alone": ("c", {"key": "k", "collapse": "x"}),
    "a key alone": ("c", {"key": "k"}),
    "several channels": (["c", "d", "e"], OPTIONS),
}


class Traced(Observer):
    """Gives every call the same context, as a tracer does."""

    traces_calls = True

    def publishing(self, *_: object) -> AbstractContextManager[str]:
        return nullcontext(TRACE)


@pytest.fixture
def journal(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """An empty journal of one lane, and a server that is not there."""
    for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
        monkeypatch.delenv(name)
    configure(url="http://key:secret@127.0.0.1:9/apps/app-id", redis_url=redis_url, lanes=1)
    with redis.Redis.from_url(redis_url) as client:
        yield client
    configure()


def later(channel: Any, options: dict[str, Any]) -> None:
    publish.apply_async((channel, "e", {"n": 1}), options, countdown=0.05)
    mover, until = DueMover("default"), time.monotonic() + 20
    while not mover.beat():
        assert time.monotonic() < until
        time.sleep(0.02)
    mover.stop()


def canvas(channel: Any, options: dict[str, Any]) -> None:
    """What a worker does with the message of a canvas."""
    app = app_named()
    prepared = prepare(app, bind((channel, "e", {"n": 1}), options), is_keyed=True)
    message = json.loads(json.dumps(write_event(FinishedEvent("", app.name, prepared))))
    store_event(app, read_event(message).prepared)


def bulk(channel: Any, options: dict[str, Any]) -> None:
    publish_many([Event(channel, "e", {"n": 1}, **options)])


def async_bulk(channel: Any, options: dict[str, Any]) -> None:
    asyncio.run(apublish_many([Event(channel, "e", {"n": 1}, **options)]))


def outbox(channel: Any, options: dict[str, Any]) -> None:
    table = Outbox(MetaData())
    with ExitStack() as ends:
        engine = create_engine("sqlite://")
        ends.callback(engine.dispose)
        table.table.metadata.create_all(engine)
        with engine.begin() as connection:
            table.add(connection, channel, "e", {"n": 1}, **options)
        table.relay(engine)


WAYS: dict[str, Callable[[Any, dict[str, Any]], object]] = {
    "delay": lambda channel, options: publish.delay(channel, "e", {"n": 1}, **options),
    "adelay": lambda channel, options: asyncio.run(publish.adelay(channel, "e", {"n": 1}, **options)),
    "apply_async": lambda channel, options: publish.apply_async((channel, "e", {"n": 1}), options),
    "countdown": later,
    "canvas": canvas,
    "publish_many": bulk,
    "apublish_many": async_bulk,
    "outbox": outbox,
}


#: Ways of a call with one channel alone.
ONE_CHANNEL = {"publish_many", "apublish_many"}

#: Ways that make no span of their own for the event: many events of a call, or none at the time of the append.
WITHOUT_TRACE = {"publish_many", "apublish_many", "outbox"}


def entries(journal: redis.Redis) -> list[tuple[dict[str, Any], list[Any]]]:
    """Meta and items of each entry, read without the journal's code."""
    found = []
    for key in sorted(journal.keys("*:stream")):
        for _, fields in journal.xrange(key):
            found.append((json.loads(fields[b"m"]), json.loads(b"[" + fields[b"b"] + b"]")))
    return found


def by_channel(journal: redis.Redis) -> dict[str, dict[str, Any]]:
    """What each channel's item is and has, whichever entry it is in."""
    found: dict[str, dict[str, Any]] = {}
    for meta, items in entries(journal):
        for place, item in enumerate(items):
            assert meta["c"][place] not in found, "stored once"
            found[meta["c"][place]] = {
                "item": item,
                "collapse": meta.get("k", [""] * len(items))[place],
                "trace": meta.get("r", [""] * len(items))[place],
            }
    return found


def cases() -> list[Any]:
    return [
        pytest.param(call, way, id=f"{call}, {way}")
        for call, (channel, _) in CALLS.items()
        for way in WAYS
        if not (isinstance(channel, list) and way in ONE_CHANNEL)
    ]


def test_calls_have_every_field() -> None:
    """A field that is added later is met here."""
    given = {name for _, options in CALLS.values() for name in options} | {"channel", "event", "data", "app"}
    assert given == set(FIELDS)


@pytest.mark.parametrize(("call", "way"), cases())
def test_every_way_stores_the_same(journal: redis.Redis, monkeypatch: pytest.MonkeyPatch, call: str, way: str) -> None:
    """Body, collapse key and trace context of each channel's item; under its key the event is stored once."""
    monkeypatch.setattr(app_named(), "observer", Traced())
    channel, options = CALLS[call]
    publish.delay(channel, "e", {"n": 1}, **options)
    by_delay = by_channel(journal)
    assert {one["trace"] for one in by_delay.values()} == {TRACE}
    journal.flushdb()
    configure(get_settings())  # the processes of an empty journal
    monkeypatch.setattr(app_named(), "observer", Traced())
    WAYS[way](channel, dict(options))
    if way in WITHOUT_TRACE:
        by_delay = {name: {**one, "trace": ""} for name, one in by_delay.items()}
    assert by_channel(journal) == by_delay
    assert publish.delay(channel, "e", {"n": 1}, **options).stored
    assert sum(len(items) for _, items in entries(journal)) == len(by_delay), "its key is known"


#: What differs between ways by its nature.
OF_THE_WAY = {"via", "countdown", "given"}


def recorded(publish_it: Callable[[], object]) -> list[dict[str, Any]]:
    with capture_published(immediate_on_commit=True) as published:
        publish_it()
        return [_fields(one) for one in published.events]


def _fields(event: PublishedEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in PublishedEvent.__dataclass_fields__ if name not in OF_THE_WAY}


def record_later(channel: Any, options: dict[str, Any]) -> None:
    publish.apply_async((channel, "e", {"n": 1}), options, countdown=5)


RECORDED = {
    **{name: act for name, act in WAYS.items() if name not in ("countdown", "canvas", "outbox")},
    "countdown": record_later,
    "on_commit": lambda channel, options: publish.delay_on_commit(channel, "e", {"n": 1}, **options),
    "on_commit, countdown": lambda channel, options: publish.apply_async_on_commit(
        (channel, "e", {"n": 1}), options, countdown=5
    ),
}


@pytest.mark.parametrize("way", RECORDED)
@pytest.mark.parametrize("call", CALLS)
def test_every_way_is_recorded_the_same(call: str, way: str) -> None:
    """The recorder shows each option of each way."""
    channel, options = CALLS[call]
    if isinstance(channel, list) and way in ONE_CHANNEL:
        channel = channel[0]
    expected = recorded(lambda: publish.delay(channel, "e", {"n": 1}, **options))
    assert {name: expected[0][name] for name in options} == options
    assert recorded(lambda: RECORDED[way](channel, dict(options))) == expected
