"""A lane that performs the operations of ``journal/protocol.py`` through the real scripts, and shows its state.

Each machine of the protocol has a world: how it begins, and how each of its operations is made. A world also has what a
caller of yesterday has (a token, a marker, a letter), so that an illegal operation is tried with something to lose.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis

from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.holder import Holder, Journal, MarkerChanged
from sockudo_publisher.journal.keys import bucket_of
from sockudo_publisher.journal.lease import LeaseLost
from sockudo_publisher.journal.protocol import Machine, Seen, script_of
from sockudo_publisher.journal.redis import link as link_module
from sockudo_publisher.journal.redis import scripts
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.one_lane import OneLane

CHANNEL = "c"
KEY = "k"
#: The name of an event of that key in its bucket.
SCHEDULED = f"0000000000 {KEY}"

#: A wait that no test outlasts, in seconds; the sweep takes a later one for damage.
LONG_S = 1000.0


class StoppedError(Exception):
    """The loop of ``Journal.take`` wants to repair what it has met."""


class Recorder:
    """The answers of the scripts that this thread calls, not those of the thread that renews leases."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, Answer]] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        names = {key: one.name for one in scripts.all_scripts() for key in (one.sha1, one.text)}
        exchange = link_module._exchange

        def recorded(connection: Any, commands: Sequence[link_module.Command]) -> list[Any]:
            answers = exchange(connection, commands)
            if threading.current_thread() is threading.main_thread():
                for command, answer in zip(commands, answers, strict=True):
                    if command[0] in ("EVALSHA", "EVAL") and isinstance(answer, list):
                        self.answers.append((names[command[1]], Answer(answer[0])))
            return answers

        link_module._exchange = recorded
        try:
            yield
        finally:
            link_module._exchange = exchange


class ProtocolWorld:
    """Lane 0 of an app. Subclasses have a method for each operation: ``settle (a part)`` is ``settle_a_part``."""

    def __init__(self, lane: OneLane) -> None:
        self.lane = lane
        self.journal = lane.journal
        self.link = lane.journal.link
        self.client: redis.Redis = lane.client
        self.keys = self.link.keyspace.lane(lane.app, 0)
        self.app_keys = self.link.keyspace.app(lane.app)
        self.hold_keys = self.keys.hold(CHANNEL)
        self.bucket_keys = self.link.keyspace.bucket(lane.app, bucket_of(CHANNEL))
        self.holder: Holder | None = None
        self.batch: Batch | None = None
        self.token = ""
        self.recorder = Recorder()
        self.journal.lanes()
        self.begin()

    def begin(self) -> None:
        """The first state of the machine."""

    def do(self, operation: str) -> set[Answer]:
        """Perform it; what its script has answered."""
        name = re.sub(r"\W+", "_", operation).strip("_").lower()
        method: Callable[[], Any] = getattr(self, name if not name[0].isdigit() else f"_{name}")
        self.recorder.answers.clear()
        with self.recorder.recording(), suppress(LeaseLost, MarkerChanged, StoppedError):
            method()
        return {answer for script, answer in self.recorder.answers if script == script_of(operation)}

    def walk(self, machine: Machine, state: str) -> None:
        """From the first state to this one, by the steps of the table."""
        for step in path(machine, state):
            self.do(step)

    # -- what callers have ------------------------------------------------------------------------------

    def own(self) -> Holder:
        assert self.holder is not None
        return self.holder

    def last_batch(self) -> Batch:
        assert self.batch is not None
        return self.batch

    @contextmanager
    def another_journal(self, **options: Any) -> Iterator[Journal]:
        other = Journal(self.lane.url, self.lane.app, lanes=1, **options)
        yield other
        for connection in other.link._free:
            connection.disconnect()

    def acquire(self) -> None:
        holder = self.journal.acquire(0)
        if holder is not None:
            self.lane._holders.append(holder)
            self.holder, self.token = holder, holder.lease.token

    def take_up_to(self, max_items: int) -> None:
        batch = self.lane.taken(self.own(), max_items).batch
        if batch is not None:
            self.batch = batch

    def drain(self) -> None:
        """Settle all that the lane has; the marker of the last batch stays known."""
        while (batch := self.lane.taken(self.own()).batch) is not None:
            self.batch = batch
            self.journal.settle(self.own(), batch)

    def expire(self) -> None:
        self.client.delete(self.keys.lease)

    # -- what Redis has ---------------------------------------------------------------------------------

    def state(self, machine: Machine) -> str:
        return machine.state_of(self.seen())

    def seen(self) -> Seen:
        text: Callable[[Any], str] = lambda raw: raw.decode() if raw else ""  # noqa: E731
        client = self.client
        seconds, micros = client.time()
        state = client.hgetall(self.keys.state)
        marker = text(state.get(b"marker"))
        layout = text(client.get(self.app_keys.lanes))
        until = client.hget(self.app_keys.pause, "until")
        ledger = self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY)
        return Seen(
            now_ms=seconds * 1000 + micros // 1000,
            token=self.token,
            marker=text(self.batch.marker) if self.batch else "",
            lease=text(client.get(self.keys.lease)),
            entries=client.xlen(self.keys.stream),
            state_marker=marker,
            is_readable=re.fullmatch(r"\d+ \d+-\d+ \d+( \d+)?", marker) is not None,
            is_armed=b"armed" in state,
            due_ms=client.zscore(self.keys.holds, CHANNEL),
            hold_lease=text(client.get(self.hold_keys.lease)),
            phase="steady" if "phase" not in layout else re.findall(r'"phase": "(\w+)"', layout)[0],
            old_lane=text(state.get(b"lane")),
            paused_until_ms=int(until) if until else None,
            prober=text(client.get(self.app_keys.probe)),
            is_operator_paused=bool(client.exists(self.app_keys.operator_pause)),
            ledger=text(client.get(ledger)),
            letters=client.xlen(self.keys.dead),
            score=client.zscore(self.bucket_keys.times, SCHEDULED),
            is_claimed=bool(client.sismember(self.bucket_keys.claimed, SCHEDULED)),
            bucket_lease=text(client.get(self.bucket_keys.lease)),
        )


def path(machine: Machine, state: str) -> list[str]:
    """The fewest operations that lead from the first state to this one."""
    ways = {machine.states[0].name: []}
    while state not in ways:
        found = {
            step.after: [*ways[step.before], step.operation]
            for step in reversed(machine.steps)
            if step.before in ways and step.after not in ways
        }
        assert found, f"no step leads to {state}"
        ways.update(found)
    return ways[state]
