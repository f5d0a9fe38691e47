"""`configure()` in a program that publishes: events, doorbells and messages follow the settings."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis

from sockudo_publisher import BulkError, Event, JournalUnavailable, configure, publish, publish_many
from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.keys import lane_of
from tests.integration.journal.raw import read_lane

pytestmark = pytest.mark.integration

URL = "http://key:secret@127.0.0.1:9/apps/app-id"

Place = Callable[..., str]


@pytest.fixture
def place(redis_url: str, redis_server: RedisServer) -> Iterator[Place]:
    """`place(2)`: the URL of an empty database of the same Redis. No settings before and after."""
    yield lambda number: f"{redis_server.url.rpartition('/')[0]}/{number}"
    configure()


def stored(url: str, lanes: int = 2) -> list[str]:
    """The channels of all waiting events."""
    with redis.Redis.from_url(url) as client:
        return [item.channel for lane in range(lanes) for item in read_lane(client, "default", lane).queue.items]


def messages(url: str, queue: str = QUEUE) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.llen(queue))


def connected(url: str) -> int:
    """Connections to that database, without the one that asks."""
    database = url.rpartition("/")[2]
    with redis.Redis.from_url(url) as client:
        return sum(one["db"] == database for one in client.client_list()) - 1


def test_events_and_doorbells_go_where_the_settings_say(place: Place) -> None:
    """From the next call on, whatever was open before; what was open is closed."""
    first, second = "1", "4"
    assert lane_of(first, 2) != lane_of(second, 2)
    for number, channel in ((1, first), (2, first), (1, second)):
        configure(url=URL, redis_url=place(number), lanes=2)
        publish.delay(channel, "e", 1)
    assert (sorted(stored(place(1))), stored(place(2))) == ([first, second], [first])
    assert (messages(place(1)), messages(place(2))) == (2, 1), "a ring for each lane"
    gc.collect()
    assert connected(place(1)) > 0
    assert connected(place(2)) == 0


def test_messages_follow_to_queue_broker_and_results(place: Place) -> None:
    """They need Celery's own connections, which know the earlier broker."""
    configure(url=URL, redis_url=place(1))
    assert publish.apply_async(("a", "e", 1), group_id="g").backend.connparams["db"] == 1
    configure(url=URL, redis_url=place(2), broker_url=place(3), namespace="blue")
    result = publish.apply_async(("a", "e", 1), group_id="g")
    assert (messages(place(1)), messages(place(2)), messages(place(3), f"{QUEUE}.blue")) == (1, 0, 1)
    assert result.backend.connparams["db"] == 2
    publish.delay("a", "e", 1)  # the doorbell closes what it had when it next rings
    gc.collect()
    assert connected(place(1)) == 0


def test_environment_set_after_the_import_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """For Celery too, whose configuration is read when the package is imported."""
    configure()
    monkeypatch.setenv("SOCKUDO_URL", URL)
    monkeypatch.setenv("SOCKUDO_REDIS_URL", place(4))
    publish.delay("late", "e", 1)
    assert (stored(place(4), lanes=8), messages(place(4))) == (["late"], 1)


def test_threads_publish_while_settings_change(place: Place) -> None:
    """Every event is in one of the two journals, once; after the last change all are in the last one."""
    configure(url=URL, redis_url=place(1), lanes=2)
    stop, names = threading.Event(), [[], []]  # type: tuple[threading.Event, list[list[str]]]
    unanswered: dict[str, bool | None] = {}  # a busy machine: Redis did not answer in time, and `.stored` says the rest
    errors: list[BaseException] = []

    def run(thread: int) -> None:
        try:
            while not stop.is_set():
                name = f"t{thread}-{len(names[thread])}"
                names[thread].append(name)
                try:
                    if len(names[thread]) % 7 == 6:
                        publish_many([Event(name, "e", 1)])
                    else:
                        publish.delay(name, "e", 1)
                except JournalUnavailable as error:
                    unanswered[name] = error.stored
                except BulkError as error:
                    if not isinstance(error.cause, JournalUnavailable):
                        raise
                    unanswered[name] = error.cause.stored
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for change in range(60):
            configure(url=URL, redis_url=place(1 + change % 2), lanes=2)
            before = min(map(len, names))
            while min(map(len, names)) <= before and not errors:
                stop.wait(0.001)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not errors
    both = [stored(place(1)), stored(place(2))]
    copies = Counter(both[0] + both[1])
    answered = set(names[0] + names[1]) - set(unanswered)
    assert all(both)
    assert {name: copies[name] for name in answered} == dict.fromkeys(answered, 1)
    assert {copies[name] for name, is_stored in unanswered.items() if is_stored is False} <= {0}
    assert max(copies.values()) == 1
    publish.delay("last", "e", 1)
    assert "last" in stored(place(2))


def test_child_process_has_settings_of_its_own(place: Place) -> None:
    """It begins with its parent's."""
    configure(url=URL, redis_url=place(1), lanes=2)
    publish.delay("parent", "e", 1)
    child = os.fork()
    if child == 0:
        try:
            publish.delay("child-before", "e", 1)
            configure(url=URL, redis_url=place(2), lanes=2)
            publish.delay("child-after", "e", 1)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    publish.delay("parent", "e", 1)
    assert sorted(stored(place(1))) == ["child-before", "parent", "parent"]
    assert stored(place(2)) == ["child-after"]
