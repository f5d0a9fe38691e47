"""A call whose script Redis ends in the middle: the caller's error, and that the repeat leaves one event."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from sockudo_publisher import BulkError, JournalUnavailable, configure, publish, publish_many
from sockudo_publisher.config.settings import DEFAULT_APP
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.wiring.app import app_named
from tests.support.redis_user import as_redis_user

pytestmark = pytest.mark.integration


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.acl_deluser("app")


@pytest.fixture
def allow(client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``allow("-hset")``: from now on our user may do everything but that."""

    def change(*rights: str) -> None:
        client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all", *rights)

    change()
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:1/apps/app")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", as_redis_user(redis_url, "app", "pw"))
    monkeypatch.delenv("SOCKUDO_BROKER_URL", raising=False)
    configure()
    yield change
    monkeypatch.undo()
    configure()


def stream_of(channel: str) -> str:
    return lane_keys(DEFAULT_APP, app_named().producer.layout().appending.lane_of(channel)).stream


def entries(client: redis.Redis, *channels: str) -> int:
    return sum(client.xlen(stream) for stream in {stream_of(channel) for channel in channels})


@pytest.mark.parametrize("denied", ["-hincrby", "-hsetnx", "-xadd"])
def test_a_repeat_with_the_id_as_key_is_one_event(client: redis.Redis, allow: Callable[..., None], denied: str) -> None:
    """As the error's own documentation says; the right that was missing is there by then."""
    publish.delay("c", "first", 0)  # the layout
    allow(denied)
    with pytest.raises(JournalUnavailable) as caught:
        publish.delay("c", "e", 1)
    assert caught.value.stored is None
    assert denied[1:] in str(caught.value)
    allow()
    publish.delay("c", "e", 1, key=caught.value.message_id)
    publish.delay("c", "e", 1, key=caught.value.message_id)
    assert entries(client, "c") == 2


def two_channels() -> tuple[str, str]:
    """Channels of two lanes."""
    first = stream_of("c0")
    other = next(f"c{i}" for i in range(1, 100) if stream_of(f"c{i}") != first)
    return "c0", other


def test_one_channel_stored_and_one_refused_is_not_unstored(client: redis.Redis, allow: Callable[..., None]) -> None:
    """A caller that repeats what says `stored=False` without a key would publish twice on the first channel."""
    one, other = two_channels()
    client.execute_command("ACL", "SETUSER", "app", "resetkeys", "~sockudo:*:lanes", "~sockudo:apps", "~sockudo")
    for suffix in ("stream", "state"):
        client.execute_command("ACL", "SETUSER", "app", f"~{stream_of(one).removesuffix('stream')}{suffix}")
    with pytest.raises(JournalUnavailable) as caught:
        publish.delay([one, other], "e", 1)
    assert caught.value.stored_channels == (one,)
    assert caught.value.stored is None
    allow()
    publish.delay([one, other], "e", 1, key=caught.value.message_id)
    assert entries(client, other) == 1


def test_bulk_says_the_same(client: redis.Redis, allow: Callable[..., None]) -> None:
    """Its cause is the journal's error; what is stored for sure is counted."""
    publish.delay("c", "first", 0)
    allow("-hsetnx")
    with pytest.raises(BulkError) as caught:
        publish_many([("c", "e", 1), ("c", "e", 2)])
    assert isinstance(caught.value.cause, JournalUnavailable)
    assert caught.value.cause.stored is None
    assert (caught.value.index, caught.value.stored) == (0, 0)


def test_countdown_whose_key_may_be_marked_is_not_stored(client: redis.Redis, allow: Callable[..., None]) -> None:
    """No message was sent: that is certain, whatever became of the mark; the repeat sends one."""
    publish.delay("c", "first", 0)
    allow("-set")
    app_named().producer.layout()
    with pytest.raises(JournalUnavailable) as caught:
        publish.apply_async(("c", "e", 1), {"key": "k"}, countdown=60)
    assert caught.value.stored is False
    allow()
    assert publish.apply_async(("c", "e", 1), {"key": "k"}, countdown=60).id == "k"
