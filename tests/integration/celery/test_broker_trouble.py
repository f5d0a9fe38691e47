"""The broker is a hint, the journal is not: what callers see when either is away; events arrive all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.embedded import RedisServer, free_port
from tests.support.caller import call
from tests.support.stack import Stack
from tests.support.timing import BUSY_S, in_time

pytestmark = pytest.mark.integration

TIMED = """
started = time.monotonic()
try:
    say(publish.delay(C, "e", {"n": 1}, key=sys.argv[2] if len(sys.argv) > 2 else None).id)
except JournalUnavailable as error:
    say([error.stored, error.message_id])
say(time.monotonic() - started)
"""


def test_refused_broker_costs_a_caller_nothing(stack: Stack) -> None:
    """`delay` succeeds within a second, and a worker's sweep finds the lane."""
    seen = stack.subscribe(stack.channel())
    stack.worker()
    broker = f"redis://127.0.0.1:{free_port()}/0"
    in_time(lambda: call(stack, TIMED, SOCKUDO_BROKER_URL=broker), lambda said: said[1], 1.0)
    assert seen.take(1, 60) == ['{"n":1}']


def test_refused_rabbitmq_costs_a_caller_nothing(stack: Stack) -> None:
    """The same with an AMQP broker's address."""
    broker = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    in_time(lambda: call(stack, TIMED, SOCKUDO_BROKER_URL=broker), lambda said: said[1], 1.0)


def test_frozen_broker_costs_a_caller_less_than_a_second(stack: Stack, tmp_path: Path) -> None:
    """A broker that accepts connections and never answers: `delay` gives up on the doorbell, not on the event."""
    with RedisServer(tmp_path / "broker", appendonly=False) as broker:
        broker.pause()
        calls = TIMED + TIMED  # further rings are skipped for a while
        in_time(lambda: call(stack, calls, SOCKUDO_BROKER_URL=broker.url), lambda said: max(said[1], 5 * said[3]), 1.0)
        broker.resume()


def test_workers_deliver_while_the_broker_is_away(stack: Stack, tmp_path: Path) -> None:
    """The broker dies under a running worker: the sweep drains in its own process, and comes back with the broker."""
    with RedisServer(tmp_path / "broker", appendonly=False) as broker:
        stack.environ["SOCKUDO_BROKER_URL"] = broker.url
        seen = stack.subscribe(stack.channel())
        stack.worker()
        call(stack, 'publish.delay(C, "e", "before")')
        seen.wait_for_count(1, 20)
        broker.stop()
        call(stack, 'publish.delay(C, "e", "without")')
        seen.wait_for_count(2, 40)
        broker.start()
        call(stack, 'publish.delay(C, "e", "after")')
        seen.wait_for_count(3, 40)
        assert seen.data() == ["before", "without", "after"]


def test_refused_journal_raises_at_once_and_nothing_is_stored(stack: Stack) -> None:
    """`.stored` is False, and the message id is there to repeat with."""
    journal = f"redis://127.0.0.1:{free_port()}/0"
    said = in_time(lambda: call(stack, TIMED, SOCKUDO_REDIS_URL=journal), lambda said: said[1], 2.0)
    stored, message_id = said[0]
    assert stored is False
    assert message_id


def test_frozen_journal_raises_in_time_and_repeats_safely(stack: Stack, tmp_path: Path) -> None:
    """`.stored` is None: unknown; repeated with the message id as key, the event is seen once."""
    with RedisServer(tmp_path / "journal") as journal:
        stack.environ["SOCKUDO_REDIS_URL"] = journal.url
        seen = stack.subscribe(stack.channel())
        call(stack, 'publish.delay(C, "warm", "up")')
        said = call(
            stack,
            f"""
import os, signal
publish.delay(C, "e", "first")  # connected, so that the next call's command is taken by the kernel
os.kill({journal.pid}, signal.SIGSTOP)
started = time.monotonic()
try: publish.delay(C, "e", "frozen")
except JournalUnavailable as error: caught = error
say([caught.stored, bool(caught.message_id), time.monotonic() - started])
os.kill({journal.pid}, signal.SIGCONT)
time.sleep(0.2)
publish.delay(C, "e", "frozen", key=caught.message_id)
""",
        )
        stored, has_id, seconds = said[0]
        assert stored is None
        assert has_id
        assert seconds < 2.0 + BUSY_S
        stack.worker()
        seen.wait_for_count(3, 30)
        seen.wait_until_quiet(1.0)
        assert seen.data() == ["up", "first", "frozen"]


LATER = """
def later(**options):
    started = time.monotonic()
    try: sent = publish.apply_async((C, "e", "later"), **{"countdown": 0.5, "group_id": "g", **options})
    except JournalUnavailable as error: said = [error.stored, error.message_id, str(error).split(": ")[0]]
    else: said = ["sent", sent.id, ""]
    say([*said, time.monotonic() - started])
    return said[1]
"""


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "amqp://guest:guest@127.0.0.1:{port}//"])
def test_message_without_a_broker_raises_at_once(stack: Stack, url: str) -> None:
    """A canvas needs one: JournalUnavailable, certainly not stored, never the broker's client's own error."""
    broker = url.format(port=free_port())
    ((stored, message_id, error_text, _),) = in_time(
        lambda: call(stack, LATER + "later()", SOCKUDO_BROKER_URL=broker), lambda said: said[0][3], 2.0
    )
    assert (stored, error_text) == (False, "the broker cannot be reached")
    assert message_id


def test_message_with_a_frozen_broker_raises_in_time(stack: Stack, tmp_path: Path) -> None:
    """Whether the message was sent is unknown; repeated with its id as key, the event is stored and seen once."""
    with RedisServer(tmp_path / "broker", appendonly=False) as broker:
        stack.environ["SOCKUDO_BROKER_URL"] = broker.url
        seen = stack.subscribe(stack.channel())
        said = call(
            stack,
            LATER
            + f"""
import os, signal
later()
os.kill({broker.pid}, signal.SIGSTOP)
lost = later()  # on the connection that is there: taken by the kernel, not answered
later()
os.kill({broker.pid}, signal.SIGCONT)
time.sleep(0.2)
later()
publish.delay(C, "e", "later", key=lost)
publish.apply_async((C, "e", "later"), {{"key": lost}}, countdown=0.1, group_id="g")
""",
        )
        assert [one[0] for one in said] == ["sent", None, False, "sent"]
        assert all(one[3] < 2 + BUSY_S for one in said)
        stack.worker()
        seen.wait_for_count(3, 30)
        seen.wait_until_quiet(2)
        assert seen.count == 3, "the third was certainly not sent"
        counts = [stack.redis.hgetall(key) for key in stack.redis.scan_iter("sockudo:*:counts")]
        assert sum(int(one.get(b"settled", 0)) for one in counts) == 3, "the journal took it once, not only the server"


def test_link_while_their_broker_is_away_raises_in_time(stack: Stack, tmp_path: Path) -> None:
    """Through the application's own app: refused, frozen; alone and in a group."""
    theirs = """
from celery import group
from tests.integration.celery.their_app import app, audit
later(link=audit.s())
started = time.monotonic()
try: group(publish.s(C, "e", n) for n in range(3)).apply_async()
except JournalUnavailable as error: say([error.stored, error.message_id, "", time.monotonic() - started])
"""
    with RedisServer(tmp_path / "broker", appendonly=False) as broker:
        broker.pause()

        def both() -> list[Any]:
            return call(stack, LATER + theirs, MY_BROKER=broker.url)

        frozen = in_time(both, slowest, 2.0)
        broker.resume()
    refused = in_time(both, slowest, 2.0)
    for stored, message_id, _, _seconds in [*frozen, *refused]:
        assert stored is False
        assert message_id


def slowest(said: list[Any]) -> float:
    """Seconds of the slowest of several calls."""
    return max(seconds for *_, seconds in said)
