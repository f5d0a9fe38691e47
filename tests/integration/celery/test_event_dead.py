"""The signal `event_dead` in real workers: what a receiver gets, deaths of the worker, receivers that fail."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.dead_reports import RIGHT_MS
from tests.support.oracle import numbers
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

#: An event of this name needs AI Transport, which the server does not have: it refuses it.
REFUSED = "ai-output"

#: Writes what it gets, a line each.
RECEIVER = """
import json
from dataclasses import asdict
from sockudo_publisher.signals import event_dead

@event_dead.connect
def on_dead(sender, letter, **kwargs):
    fields = {name: value for name, value in asdict(letter).items() if name != "item"}
    line = {"sender": sender, **fields, "data": letter.data, "repr": repr(letter)}
    with open("dead.ndjson", "a") as file:
        print(json.dumps(line), file=file, flush=True)
"""

#: Connected before the one above.
FAILING = """
from sockudo_publisher.signals import event_dead

@event_dead.connect
def fails(sender, letter, **kwargs):
    raise RuntimeError("the receiver is broken")
"""


class Receivers:
    """Workers with receivers, and what these wrote."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._file = stack.directory / "dead.ndjson"

    def worker(self, *sources: str, concurrency: int = 2, wait: bool = True, **env: str) -> Any:
        """A worker that includes a module of each source."""
        names = []
        for number, source in enumerate(sources or (RECEIVER,)):
            names.append(f"receivers_{number}")
            (self._stack.directory / f"receivers_{number}.py").write_text(source)
        directory = str(self._stack.directory)
        args = [f"--include={','.join(names)}"]
        return self._stack.worker(args=args, concurrency=concurrency, env={"PYTHONPATH": directory, **env}, wait=wait)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    def wait_for(self, count: int, timeout_s: float = 30) -> list[dict[str, Any]]:
        assert wait_for(lambda: len(self.lines()) >= count, timeout_s), f"{len(self.lines())} of {count} signals"
        return self.lines()


@pytest.fixture
def receivers(stack: Stack) -> Receivers:
    return Receivers(stack)


def test_receiver_gets_the_letter_without_its_payload(stack: Stack, receivers: Receivers) -> None:
    """Once, after it is stored: its id finds the dead letter."""
    worker = receivers.worker()
    channel = stack.channel()
    refused = publish.delay(channel, REFUSED, {"secret": "payload"})
    (line,) = receivers.wait_for(1)
    [letter] = operations.dead_list(get_settings(), "default", 10)
    expected = {"id": letter.id, "sender": "default", "app": "default", "channel": channel, "name": REFUSED}
    expected |= {"message_id": refused.id, "reason": "refused", "maybe_delivered": False, "size": letter.size}
    expected |= {"data": '{"secret":"payload"}', "dead_ms": letter.dead_ms, "attempts": letter.attempts}
    assert {name: line[name] for name in expected} == expected
    assert "AI Transport" in line["message"]
    assert "payload" not in line["repr"]
    assert "secret" not in worker.log_text()
    time.sleep(5)  # two looks of the sweep
    assert len(receivers.lines()) == 1


def test_failing_receiver_hurts_nothing(stack: Stack, receivers: Receivers) -> None:
    """Its error is logged; the other receiver is called, and events flow on."""
    worker = receivers.worker(FAILING, RECEIVER)
    channel = stack.channel()
    seen = stack.subscribe(channel)
    for number in range(10):
        publish.delay(channel, "n", {"n": number})
        if number % 3 == 0:
            publish.delay(channel, REFUSED, "x")
    seen.wait_for_count(10, 30)
    assert numbers(seen.events())[channel] == list(range(10))
    assert {line["reason"] for line in receivers.wait_for(4)} == {"refused"}
    assert "the receiver is broken" in worker.log_text()


def test_letters_without_a_refusal_are_reported_too(stack: Stack, receivers: Receivers) -> None:
    """One that has expired, which the journal itself buries."""
    publish.apply_async((stack.channel(), "e", "late"), expires=0.01)
    time.sleep(0.1)
    receivers.worker(SOCKUDO_ON_EXPIRED="dead")
    (line,) = receivers.wait_for(1)
    assert (line["reason"], line["data"], line["first_ms"]) == ("expired", "late", 0)


@pytest.mark.parametrize(("point", "times"), [("buried", 1), pytest.param("reported", 2, marks=pytest.mark.long)])
def test_worker_killed_beside_its_report(stack: Stack, receivers: Receivers, point: str, times: int) -> None:
    """Between the bury and the signal: another worker sends it. After the receiver has run: it is sent again."""
    victim = receivers.worker(concurrency=1, wait=False, SOCKUDO_FAULTPOINT=point)
    refused = publish.delay(stack.channel(), REFUSED, "x")
    assert victim.wait(60) == -signal.SIGKILL, "the fault must have fired"
    assert len(receivers.lines()) == times - 1
    receivers.worker()
    lines = receivers.wait_for(times, RIGHT_MS / 1000 + 30)
    assert [line["message_id"] for line in lines] == [refused.id] * times
    time.sleep(5)
    assert len(receivers.lines()) == times


def test_letter_of_a_worker_without_receivers_is_reported(stack: Stack, receivers: Receivers) -> None:
    """It waits for the first worker that has one; a replay that dies again is a letter of its own."""
    plain = stack.worker()
    refused = publish.delay(stack.channel(), REFUSED, "x")
    assert wait_for(lambda: bool(operations.dead_list(get_settings(), "default", 10)), 30)
    time.sleep(2.5)
    plain.kill()
    receivers.worker()
    assert receivers.wait_for(1)[0]["message_id"] == refused.id
    operations.dead_replay(get_settings(), "default", None)
    first, second = receivers.wait_for(2)
    assert (first["message_id"], second["message_id"]) == (refused.id, refused.id)
    assert first["id"] != second["id"]


def test_flood_is_reported_once_each(stack: Stack, receivers: Receivers, tmp_path: Path) -> None:
    """By two workers with four slots each: one process reports at a time."""
    for _ in range(2):
        receivers.worker(concurrency=4)
    ids = [publish.delay(f"{stack.channel()}-{number % 9}", REFUSED, number).id for number in range(60)]
    lines = receivers.wait_for(60, 90)
    time.sleep(3)
    lines = receivers.lines()
    assert sorted(line["message_id"] for line in lines) == sorted(ids)
