"""A journal that is away, as each way to publish meets it: told soon, told rightly, and safe to repeat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.caller import call
from tests.support.stack import Stack
from tests.support.timing import in_time

pytestmark = pytest.mark.integration

WAYS = {
    "delay": 'publish.delay(C, "e", "x")',
    "several channels": 'publish.delay([C, C + "2"], "e", "x")',
    "key": 'publish.delay(C, "e", "x", key="k")',
    "expires": 'publish.apply_async((C, "e", "x"), expires=60)',
    "key and countdown": 'publish.apply_async((C, "e", "x"), {"key": "k"}, countdown=1)',
}

TIMED = """
started = time.monotonic()
try: WAY
except JournalUnavailable as error: say([error.stored, error.message_id, time.monotonic() - started])
"""


@pytest.fixture
def frozen(stack: Stack, tmp_path: Path) -> Iterator[RedisServer]:
    """A journal that takes connections and answers nothing; the broker is another Redis, and well."""
    stack.environ["SOCKUDO_BROKER_URL"] = stack.redis_server.url
    with RedisServer(tmp_path / "journal") as journal:
        stack.environ["SOCKUDO_REDIS_URL"] = journal.url
        journal.pause()
        yield journal
        journal.resume()


def test_frozen_journal_reports_that_nothing_is_stored(stack: Stack, frozen: RedisServer) -> None:
    """Within two seconds, by every way to publish: not stored for certain, and an id to repeat with."""
    calls = "".join(TIMED.replace("WAY", way) for way in WAYS.values())
    said = in_time(lambda: call(stack, calls), lambda said: max(seconds for *_, seconds in said), 2.0)
    assert len(said) == len(WAYS)
    for way, (stored, message_id, _) in zip(WAYS, said, strict=True):
        assert (way, stored) == (way, False)
        assert message_id
        assert ("key" in way) == (message_id == "k")


def test_message_waits_in_the_broker_for_a_frozen_journal(stack: Stack, frozen: RedisServer) -> None:
    """Without a key it needs no journal to be sent; the worker stores it, once, when the journal is back."""
    seen = stack.subscribe(stack.channel())
    call(stack, 'publish.apply_async((C, "e", "later"), countdown=0.1, group_id="g")')
    frozen.resume()
    worker = stack.worker()
    frozen.pause()
    call(stack, 'publish.apply_async((C, "e", "later still"), countdown=0.1, group_id="g")')
    assert worker.is_running
    frozen.resume()
    seen.wait_for_count(2, 40)
    seen.wait_until_quiet(1.0)
    assert sorted(seen.data()) == ["later", "later still"]


def test_encrypted_event_is_resent_in_the_same_bytes(stack: Stack) -> None:
    """Killed between Sockudo's answer and settling: a new nonce would be another payload, and a dead letter."""
    stack.environ["SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"] = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
    channel = f"private-encrypted-{stack.unique}"
    seen = stack.subscribe(channel)
    victim = stack.worker(env={"SOCKUDO_FAULTPOINT": "posted"}, wait=False)
    call(stack, f'publish.apply_async(({channel!r}, "e", "hidden"), countdown=0.1)')
    assert victim.wait(60) == -9, "the fault must have fired"
    stack.worker()
    seen.wait_for_count(1, 20)

    def settled() -> int:
        return sum(int(stack.redis.hget(key, "settled") or 0) for key in stack.redis.scan_iter("sockudo:*:counts"))

    assert wait_for(lambda: settled() == 1, 60), "accepted again, as the same payload"
    assert seen.count == 1
    assert not [key for key in stack.redis.scan_iter("sockudo:*:dead") if stack.redis.xlen(key)]


def test_encrypted_event_stored_twice_is_delivered_once(stack: Stack) -> None:
    """The answer to the append was lost, and the call repeated with the id as key: the server knows both for one."""
    stack.environ["SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"] = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
    channel = f"private-encrypted-{stack.unique}"
    seen = stack.subscribe(channel)
    call(stack, f'publish.apply_async(({channel!r}, "e", "hidden"), task_id="the-id")')
    call(stack, f'publish.delay({channel!r}, "e", "hidden", key="the-id")')
    stack.worker()

    def counts() -> tuple[int, int]:
        keys = list(stack.redis.scan_iter("sockudo:*:counts"))
        return tuple(  # type: ignore[return-value]
            sum(int(stack.redis.hget(key, name) or 0) for key in keys) for name in ("settled", "conflict")
        )

    assert wait_for(lambda: sum(counts()) == 2, 60)
    assert counts() == (2, 0)
    seen.wait_until_quiet(1.0)
    assert seen.count == 1
