"""Publish through the queue and directly, in turns, and measure times. ``figures`` evaluates them.

Publisher and subscriber are one process with one clock. Each part of a round begins when all events of the one before
have arrived; the queue's and the direct part of a pair follow each other, and change places with every round.

A rate that ends at the subscriber counts from the first call (for a worker that was frozen: from its thaw) to the last
arrival. Not over the middle of the run: under load Sockudo first takes requests and then writes to its subscribers, in
bursts whose own rate tells nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ... import Event, publish, publish_many
from ...client.wire.event import EventLike
from ...errors import SockudoError
from ...wiring.app import app_named
from ..embedded import WorkerProcess
from ..subscriber import Subscriber
from ..tally import Tally, Verdict
from .figures import Samples
from .load import NumberedEvents
from .plan import BATCH, RATE, Amounts, Plan

__all__ = ["EventsMissing", "measure"]

#: Seconds for the first event; a running worker delivers it in milliseconds.
FIRST_S = 15.0
#: Seconds without a further event after which missing events count as lost.
SILENCE_S = 20.0
#: Seconds to wait for repeats after every event arrived.
EXTRA_S = 0.5
#: Seconds between two checks.
LOOK_S = 0.002


class EventsMissing(SockudoError):
    """Events did not arrive in time. ``verdict`` has their number, among the events published so far."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


def measure(
    plan: Plan,
    channels: tuple[str, ...],
    subscriber: Subscriber,
    *,
    app: str | None = None,
    worker: WorkerProcess | None = None,
    say: Callable[[str], None],
) -> tuple[Samples, Verdict]:
    """All rounds of ``plan`` on ``channels``, which ``subscriber`` sees, and whether each event came once.

    ``worker``: the worker that this program started. It is frozen while events are stored, so that it does not compete
    with the caller and starts when all of them wait. Without ``worker`` the deployment's workers run on. Raises
    :class:`EventsMissing` and the errors of publishing.
    """
    run = _Measurement(NumberedEvents(channels, plan.bytes, Tally()), subscriber, app, worker)
    say("the first event")
    run.first()
    run.round(plan.warm_up)
    run.samples = Samples()
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        run.round(plan.each, direct_first=bool(number % 2))
    return run.samples, run.verdict()


class _Measurement:
    """The events published and received, and the times so far."""

    def __init__(
        self, load: NumberedEvents, subscriber: Subscriber, app: str | None, worker: WorkerProcess | None
    ) -> None:
        self.samples = Samples()
        self._load = load
        self._subscriber = subscriber
        self._client = app_named(app).client
        # Without `app` the call is cheapest, and applications call it so.
        self._options: dict[str, Any] = {} if app is None else {"app": app}
        self._worker = worker
        self._arrived: dict[tuple[str, int], float] = {}

    def first(self) -> None:
        """Send one event through the queue, to check that a worker runs and the subscriber receives."""
        self._delay(*self._load.events(1)[0])
        self._arrive(FIRST_S)

    def round(self, amounts: Amounts, *, direct_first: bool = False) -> None:
        """Both sides of each pair."""
        for queued, direct, count in (
            (self._delays, self._triggers, amounts.calls),
            (self._many, self._batches, amounts.bulk),
            (lambda count: self._light("delay", count), lambda count: self._light("trigger", count), amounts.light),
        ):
            for part in (direct, queued) if direct_first else (queued, direct):
                part(count)

    def verdict(self) -> Verdict:
        """Compare published and received events, after a wait for repeats."""
        until = time.monotonic() + EXTRA_S
        while time.monotonic() < until:
            time.sleep(LOOK_S)
        self._note()
        return self._load.tally.verdict()

    # -- the parts of a round -----------------------------------------------------------------------

    def _delays(self, count: int) -> None:
        events = self._load.events(count)
        with self._worker_frozen():
            times = _timed(self._delay, events)
        self._arrive()
        self.samples.call_us["delay"].append(times)

    def _triggers(self, count: int) -> None:
        events = self._load.events(count)
        began = time.monotonic()
        times = _timed(self._client.trigger, events)
        self.samples.rates["trigger"].append(count / (self._arrive() - began))
        self.samples.call_us["trigger"].append(times)

    def _many(self, count: int) -> None:
        events = self._load.events(count)
        with self._worker_frozen():
            began = time.monotonic()
            publish_many(events, **self._options)
            stored = time.monotonic()
        # Workers that were not frozen have begun with the first events. The clock is read before our own resumes: on a
        # busy machine the last event may arrive before this thread runs again.
        drains_from = began if self._worker is None else stored
        self.samples.rates["publish_many"].append(count / (stored - began))
        self.samples.rates["drained"].append(count / (self._arrive() - drains_from))

    def _batches(self, count: int) -> None:
        """Half of them with ids: the server then deduplicates them, as it does what workers send."""
        half = count // 2
        self._batched("trigger_batch", self._load.events(count - half))
        self._batched("trigger_batch_with_ids", [_with_id(*event) for event in self._load.events(half)])

    def _batched(self, name: str, events: Sequence[EventLike]) -> None:
        began = time.monotonic()
        for start in range(0, len(events), BATCH):
            self._client.trigger_batch(events[start : start + BATCH])
        self.samples.rates[name].append(len(events) / (self._arrive() - began))

    def _light(self, side: str, count: int) -> None:
        """Each event at its time, whatever the answers take."""
        call = self._delay if side == "delay" else self._client.trigger
        events = self._load.events(count)
        called: dict[tuple[str, int], float] = {}
        began = time.monotonic()
        for index, (channel, name, data) in enumerate(events):
            time.sleep(max(0.0, began + index / RATE - time.monotonic()))
            called[channel, data["seq"]] = time.monotonic()
            call(channel, name, data)
        self._arrive()
        self.samples.latency_ms[side].append(
            [(self._arrived[number] - at) * 1000 for number, at in called.items() if number in self._arrived]
        )

    # -- beneath them -------------------------------------------------------------------------------

    def _delay(self, channel: str, name: str, data: dict[str, Any]) -> object:
        return publish.delay(channel, name, data, **self._options)

    @contextmanager
    def _worker_frozen(self) -> Iterator[None]:
        """Our own worker stands still: for less than a second, in which it loses none of its leases."""
        if self._worker is None:
            yield
            return
        self._worker.pause()
        try:
            yield
        finally:
            self._worker.resume()

    def _arrive(self, silence_s: float = SILENCE_S) -> float:
        """Wait until all that was published has come; when the last of it did."""
        since = time.monotonic()
        while self._subscriber.count < self._load.tally.published:
            if self._subscriber.error is not None:
                raise self._subscriber.error
            if time.monotonic() - max(since, self._subscriber.last_at) > silence_s:
                self._note()
                verdict = self._load.tally.verdict()
                raise EventsMissing(
                    f"{verdict.lost:,} of {verdict.published:,} events did not arrive within {silence_s:g} s", verdict
                )
            time.sleep(LOOK_S)
        return self._note()

    def _note(self) -> float:
        """Read what has come since the last time; when the last of it did."""
        self._arrived.clear()
        last_at = 0.0
        for event in self._subscriber.pop_events():
            last_at = event.at
            self._load.tally.note_seen(event.channel, event.data)
            self._arrived.setdefault((event.channel, json.loads(event.data)["seq"]), last_at)
        return last_at


def _with_id(channel: str, name: str, data: dict[str, Any]) -> Event:
    """Under an id that no other event has: channels are of one run, numbers of one event."""
    return Event(channel, name, data, key=f"{channel}:{data['seq']}")


def _timed(call: Callable[..., object], events: list[tuple[str, str, dict[str, Any]]]) -> list[float]:
    """Microseconds of each call."""
    times = []
    for event in events:
        began = time.perf_counter()
        call(*event)
        times.append((time.perf_counter() - began) * 1e6)
    return times
