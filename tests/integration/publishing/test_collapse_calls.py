"""``collapse=`` by every way to publish: stored with the event, checked at the caller, no part of its identity."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import MetaData, create_engine

from sockudo_publisher import (
    Event,
    IdempotencyConflict,
    Sockudo,
    ValidationError,
    apublish_many,
    configure,
    publish,
    publish_many,
)
from sockudo_publisher.cli import main
from sockudo_publisher.outbox.sqlalchemy import Outbox
from sockudo_publisher.workerapp.due_events import DueMover

pytestmark = pytest.mark.integration


@pytest.fixture
def journal(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """An empty journal of one lane, and a server that is not there."""
    for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", redis_url)
    monkeypatch.setenv("SOCKUDO_LANES", "1")
    configure()
    with redis.Redis.from_url(redis_url) as client:
        yield client
    monkeypatch.undo()
    configure()


def stored_keys(journal: redis.Redis) -> list[tuple[str, str]]:
    """Channel and collapse key of each item that waits, read without the journal's code."""
    found = []
    for stream in journal.keys("*:stream"):
        for _, fields in journal.xrange(stream):
            meta = json.loads(fields[b"m"])
            found += zip(meta["c"], meta.get("k", [""] * len(meta["c"])), strict=True)
    return found


def run_countdown(journal: redis.Redis, **options: Any) -> None:
    """A countdown, and what a worker does when it is due."""
    publish.apply_async(("c", "e", 1), options, countdown=0.2)
    assert stored_keys(journal) == [], "it takes its number when it is due"
    mover, until = DueMover("default"), time.monotonic() + 20
    while not mover.beat():
        assert time.monotonic() < until
        time.sleep(0.05)
    mover.stop()


def run_outbox(**options: Any) -> None:
    outbox = Outbox(MetaData())
    with ExitStack() as ends:
        engine = create_engine("sqlite://")
        ends.callback(engine.dispose)
        outbox.table.metadata.create_all(engine)
        with engine.begin() as connection:
            outbox.add(connection, "c", "e", 1, **options)
        assert outbox.relay(engine).stored == 1


def run_command(*arguments: str) -> None:
    result = CliRunner().invoke(main, [*arguments], catch_exceptions=False)
    if result.exit_code:
        raise ValidationError(result.output)


def run_file(directory: Path, name: str, text: str, *options: str) -> None:
    (directory / name).write_text(text)
    run_command("publish-file", str(directory / name), *options)


def line(**options: Any) -> str:
    return json.dumps({"channel": "c", "name": "e", "data": 1, **options}) + "\n"


def csv_of(collapse: str) -> tuple[str, ...]:
    return ("--csv", "--channel", "c", "--event", "e", "--collapse", collapse)


async def one_of(**options: Any) -> Any:
    yield Event("c", "e", 1, **options)


Way = Callable[[redis.Redis, Path, str], object]

WAYS: dict[str, Way] = {
    "delay": lambda _, _dir, key: publish.delay("c", "e", 1, collapse=key),
    "delay with a key": lambda _, _dir, key: publish.delay("c", "e", 1, key="id", collapse=key),
    "adelay": lambda _, _dir, key: asyncio.run(publish.adelay("c", "e", 1, collapse=key)),  # type: ignore[arg-type]
    "apply_async": lambda _, _dir, key: publish.apply_async(("c", "e", 1), {"collapse": key}, expires=60),
    "signature": lambda _, _dir, key: publish.s("c", "e", 1, collapse=key).apply_async(),
    "countdown": lambda journal, _dir, key: run_countdown(journal, collapse=key),
    "publish_many": lambda _, _dir, key: publish_many([Event("c", "e", 1, collapse=key)]),
    "publish_many of dicts": lambda _, _dir, key: publish_many(
        [{"channel": "c", "name": "e", "data": 1, "collapse": key}]
    ),
    "publish_many with a key": lambda _, _dir, key: publish_many([Event("c", "e", 1, collapse=key)], key_prefix="job"),
    "apublish_many": lambda _, _dir, key: asyncio.run(apublish_many(one_of(collapse=key))),
    "outbox": lambda _, _dir, key: run_outbox(collapse=key),
    "publish": lambda _, _dir, key: run_command("publish", "c", "e", "1", "--collapse", key),
    "publish-file": lambda _, directory, key: run_file(directory, "e.ndjson", line(collapse=key)),
    "publish-file of CSV": lambda _, directory, key: run_file(
        directory, "e.csv", f'currency\n"{key}"\n', *csv_of("{currency}")
    ),
}


#: Ways whose call is checked here; what they store: tests/integration/outbox/test_django.py.
CHECKED: dict[str, Way] = {
    **WAYS,
    "on_commit": lambda _, _dir, key: publish.delay_on_commit("c", "e", 1, collapse=key),
    "now": lambda _, _dir, key: publish("c", "e", 1, collapse=key),
}


@pytest.mark.parametrize("way", WAYS)
def test_collapse_key_is_stored_by_every_way(journal: redis.Redis, tmp_path: Path, way: str) -> None:
    """With the item, and as the latest of its channel and key."""
    WAYS[way](journal, tmp_path, "eur")
    assert stored_keys(journal) == [("c", "eur")]
    assert journal.hgetall("sockudo:{default:0}:latest") == {b"1:ceur": b"1"}


@pytest.mark.parametrize("way", CHECKED)
@pytest.mark.parametrize(("key", "complaint"), [("", "empty"), ("x" * 129, "129 bytes, limit 128")])
def test_wrong_collapse_key_is_refused_by_every_way(
    journal: redis.Redis, tmp_path: Path, way: str, key: str, complaint: str
) -> None:
    """A ValidationError that names the field, the limit and the size; nothing is stored."""
    with pytest.raises(ValidationError, match="collapse") as caught:
        CHECKED[way](journal, tmp_path, key)
    assert complaint in " ".join(str(caught.value).split())
    assert stored_keys(journal) == []
    assert journal.llen("sockudo") == 0
    assert not journal.keys("*:latest")


@pytest.mark.parametrize("key", [1, b"k", ["k"], True, "\ud800"])
def test_collapse_key_of_another_type_is_refused(journal: redis.Redis, key: Any) -> None:
    """By its type, without its value."""
    with pytest.raises(ValidationError, match=r"^collapse: "):
        publish.delay("c", "e", 1, collapse=key)
    with pytest.raises(ValidationError, match=r"^collapse: "):
        publish_many([Event("c", "e", 1, collapse=key)])
    assert stored_keys(journal) == []


def test_collapse_key_is_no_part_of_the_identity(journal: redis.Redis) -> None:
    """A repeat with another one is a repeat, and changes nothing; other data is a conflict."""
    publish.delay("c", "e", 1, key="id", collapse="k")
    publish.delay("c", "e", 1, key="id", collapse="l")
    publish.delay("c", "e", 1, key="id")
    assert stored_keys(journal) == [("c", "k")]
    assert set(journal.hgetall("sockudo:{default:0}:latest")) == {b"1:ck"}
    with pytest.raises(IdempotencyConflict):
        publish.delay("c", "e", 2, key="id", collapse="k")


def test_each_channel_collapses_for_itself(journal: redis.Redis) -> None:
    """An event on several channels is the latest on each of them."""
    publish.delay(["a", "b"], "e", 1, collapse="k")
    publish.delay("b", "e", 2, collapse="k")
    assert journal.hgetall("sockudo:{default:0}:latest") == {b"1:ak": b"1", b"1:bk": b"3"}


def test_event_without_a_key_is_stored_as_before(journal: redis.Redis) -> None:
    """No field, no hash, no number."""
    publish.delay("c", "e", 1)
    publish.delay("c", "e", 1, key="id")
    publish_many([("c", "e", 1), Event("c", "e", 2)])
    [stream] = journal.keys("*:stream")
    for _, fields in journal.xrange(stream):
        assert set(fields) == {b"v", b"n", b"x", b"m", b"b"}
        assert set(json.loads(fields[b"m"])) == {"n", "c"}
    assert not journal.exists("sockudo:{default:0}:latest")
    assert journal.hget("sockudo:{default:0}:state", "numbered") is None


def test_direct_batch_refuses_a_collapse_key() -> None:
    """Nothing waits there, so the key could have no effect."""
    client = Sockudo(app_id="a", key="k", secret="s", host="127.0.0.1", port=9)
    with pytest.raises(ValidationError, match=r"^event 1: collapse: only for queued events") as caught:
        client.trigger_batch([Event("c", "e", 1), Event("c", "e", 2, collapse="k")])
    assert caught.value.index == 1


def test_empty_cell_gives_no_collapse_key(journal: redis.Redis, tmp_path: Path) -> None:
    """The column is needed: the line is named, and the lines before it are stored."""
    with pytest.raises(ValidationError, match=r"line 3: column currency: empty, and --collapse needs it"):
        run_file(tmp_path, "e.csv", "currency,n\neur,1\n,2\n", *csv_of("p-{currency}"))
    assert stored_keys(journal) == [("c", "p-eur")]


def test_collapse_needs_csv(journal: redis.Redis, tmp_path: Path) -> None:
    """In lines of JSON it is a field."""
    with pytest.raises(ValidationError, match="--collapse: only with --csv"):
        run_file(tmp_path, "e.ndjson", line(), "--collapse", "k")
