"""Publishing where the wire cannot show it: a key that another request holds, a client that does not read."""

from __future__ import annotations

import asyncio
import json

import pytest

from sockudo_publisher.dev.devserver import publishing, session
from sockudo_publisher.dev.devserver.app_keys import KeyMemory
from sockudo_publisher.dev.devserver.config import AppConfig, ServerConfig, ServerLimits
from sockudo_publisher.dev.devserver.decoding import decode_event
from sockudo_publisher.dev.devserver.dedup import Claim, DedupStore, fingerprint
from sockudo_publisher.dev.devserver.event_log import EventLog
from sockudo_publisher.dev.devserver.publishing import Publisher
from sockudo_publisher.dev.devserver.refusal import Refusal
from sockudo_publisher.dev.devserver.session import Session
from sockudo_publisher.dev.devserver.state import AppState

pytestmark = pytest.mark.unit

APP = AppConfig("app", "key", "secret")
MESSAGE = decode_event(b'{"channel":"c","name":"e","data":"d","message_id":"m"}')


class Listener:
    """Keeps what it is given, or fails."""

    socket_id = "1.2"

    def __init__(self, *, fails: bool = False) -> None:
        self.frames: list[str] = []
        self.fails = fails

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("it is not closed here")

    def put(self, frame: str) -> None:
        if self.fails:
            raise RuntimeError("no memory")
        self.frames.append(frame)


@pytest.fixture
def dedup() -> DedupStore:
    return DedupStore(10.0, 100, lambda: 0.0)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def publisher(dedup: DedupStore, listener: Listener) -> Publisher:
    state = AppState(APP)
    state.registry.subscribe(listener, "c")
    return Publisher(state, dedup, KeyMemory(10.0, 100, lambda: 0.0), EventLog())


def other_request(dedup: DedupStore) -> Claim:
    claim = dedup.begin(("app", "c", "m"), fingerprint(MESSAGE, "c"))
    assert isinstance(claim, Claim)
    return claim


def test_a_key_that_another_request_holds_is_503_after_a_wait(publisher, dedup, listener, monkeypatch):
    """With Retry-After; nothing is delivered."""
    monkeypatch.setattr(publishing, "PENDING_LOOK_S", 0.0)
    other_request(dedup)
    with pytest.raises(Refusal) as refusal:
        asyncio.run(publisher.publish(MESSAGE))
    assert (refusal.value.status, refusal.value.code, refusal.value.retry_after) == (503, "backpressure", 1)
    assert refusal.value.text == "idempotent publish is still in progress"
    assert listener.frames == []


def test_it_waits_about_a_second():
    """As long as the real server does (40 looks, 25 ms apart)."""
    seconds = publishing.PENDING_LOOKS * publishing.PENDING_LOOK_S
    assert seconds == pytest.approx(1.0)


def test_a_key_that_is_published_meanwhile_is_replayed(publisher, dedup, listener, monkeypatch):
    """The other request's receipt is the answer."""
    monkeypatch.setattr(publishing, "PENDING_LOOK_S", 0.001)
    monkeypatch.setattr(publishing, "PENDING_LOOKS", 100_000)  # it waits for as long as this machine takes

    async def both() -> dict[str, object]:
        claim = other_request(dedup)
        waiting = asyncio.create_task(publisher.publish(MESSAGE))
        await asyncio.sleep(0.005)
        assert not waiting.done()
        dedup.commit(claim, "receipt of the other")
        return await waiting

    assert asyncio.run(both()) == {"channels": {"c": {"acknowledgement_id": "receipt of the other"}}}
    assert listener.frames == []


def test_a_publish_that_fails_releases_its_key(publisher, dedup, listener):
    """The next attempt is a first one."""
    listener.fails = True
    with pytest.raises(RuntimeError):
        asyncio.run(publisher.publish(MESSAGE))
    assert len(dedup) == 0
    listener.fails = False
    asyncio.run(publisher.publish(MESSAGE))
    assert len(listener.frames) == 1


def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    """Past the bound it gets no more, and its connection is to be closed."""
    monkeypatch.setattr(session, "MAX_WAITING_FRAMES", 3)
    slow = Session(AppState(APP))
    for number in range(5):
        slow.put(str(number))
    assert slow.is_overrun
    frames = asyncio.run(slow.next_frames())
    assert json.loads(frames[0])["event"] == "pusher:connection_established"
    assert frames[1:] == ["0", "1"]


def test_limits_are_given_by_their_names():
    """Anything else is refused, by name."""
    assert ServerLimits().with_setting("max_event_batch_size=7").max_event_batch_size == 7
    for text in ("max_events=7", "max_event_batch_size=many", "max_event_batch_size", ""):
        with pytest.raises(ValueError, match="expected name=number"):
            ServerLimits().with_setting(text)


def test_two_apps_may_not_share_an_id_or_a_key():
    """And there must be one."""
    other = AppConfig("other", "other-key", "secret")
    assert ServerConfig.of([APP, other], dedup_ttl_s=1, dedup_capacity=1).app_by_id("other") is other
    for apps in ([], [APP, APP], [APP, AppConfig("other", "key", "s")], [APP, AppConfig("app", "k", "s")]):
        with pytest.raises(ValueError, match="app: "):
            ServerConfig.of(apps, dedup_ttl_s=1, dedup_capacity=1)
    for ttl_s, capacity in ((0.0, 1), (1.0, 0)):
        with pytest.raises(ValueError, match="dedup: "):
            ServerConfig.of([APP], dedup_ttl_s=ttl_s, dedup_capacity=capacity)
