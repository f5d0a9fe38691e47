"""What one drain sees of the journal in memory: the names and errors of ``journal.Journal``.

Each call passes through ``trip``, where a simulation takes time, loses answers and dies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from sockudo_publisher.journal.app.shared import Limits, SharedView
from sockudo_publisher.journal.holder import DeadLetterFields, Holder, MarkerChanged, Taken
from sockudo_publisher.journal.keys import hold_keys, lane_keys
from sockudo_publisher.journal.lease import Lease, LeaseLost
from tests.simulation.journal import JournalModel
from tests.simulation.lane import ModelBatch

__all__ = ["APP", "Face"]

APP = "app"


class _Link:
    """The wire of the real ``Lease``: it renews itself through it."""

    def __init__(self, face: Face, lane: int, channel: str | None) -> None:
        self._face, self._lane, self._channel = face, lane, channel

    def script(self, name: str, _keys: Sequence[str], args: Sequence[Any]) -> list[int]:
        assert name == "renew"
        return [1 if self._face.trip(name, lambda: self._face.model.renew(self._lane, self._channel, args[0])) else -1]


def _here(_name: str, act: Callable[[], Any]) -> Any:
    return act()


class Face:
    """The journal as one drain sees it. ``trip`` makes the way to Redis and back.

    ``monotonic``: the clock that a lease trusts; ``keep``, ``forgotten``: a lease begins and ends to be renewed.
    """

    def __init__(
        self,
        model: JournalModel,
        trip: Callable[[str, Callable[[], Any]], Any] = _here,
        *,
        monotonic: Callable[[], float] = lambda: 0.0,
        keep: Callable[[Holder], None] = lambda holder: None,
        forgotten: Callable[[Holder], None] = lambda holder: None,
        wait: Callable[[int, float], bool] | None = None,
        rate: float = 0.0,
    ) -> None:
        self.app = APP
        self.model = model
        self.trip = trip
        self.shared = self
        self.rate = SimpleNamespace(take=lambda n: trip("rate", lambda: model.take_tokens(rate, n))) if rate else None
        self.found: dict[int, bool] = {}  # what history was last said to have
        self.taken: Taken | None = None  # the last: what the loop knows of a pause
        self.holder: Holder | None = None
        self._monotonic = monotonic
        self._keep = keep
        self._forgotten = forgotten
        self._wait = wait

    # -- as journal.shared.Shared; one name means something else there ------------------------------------

    def view(self) -> SharedView:
        return self.trip("view", self.model.view)

    def pause(self, reason: str, wait_s: float, message: str = "") -> int:
        return self.trip("pause", lambda: self.model.pause_app(reason, int(wait_s * 1000), message))

    def try_probe(self, token: str) -> bool:
        return self.trip("try_probe", lambda: self.model.try_probe(token))

    def end_probe(self, token: str) -> None:
        self.trip("end_probe", lambda: self.model.end_probe(token))

    def resume(self, token: str, count: int) -> bool:
        return self.trip("resume", lambda: self.model.resume(token, count))

    def learn(self, limits: Limits) -> None:
        self.view()
        self.trip("learn", lambda: self.model.learn(limits))

    # -- as journal.journal.Journal ---------------------------------------------------------------------

    def now_ms(self) -> int:
        return self.trip("now", self.model.now_ms)

    def acquire(self, lane: int, channel: str | None = None) -> Holder | None:
        return self.acquire_and_view(lane, channel)[0]

    def acquire_and_view(self, lane: int, channel: str | None = None) -> tuple[Holder | None, SharedView]:
        asked_at = self._monotonic()

        def act() -> tuple[SharedView, str | None, set[str]]:
            view = self.model.view()
            return view, self.model.acquire(lane, channel), set(self.model.lanes[lane].due_ms)

        view, token, held = self.trip("acquire", act)
        if token is None:
            return None, view
        keys = lane_keys(APP, lane) if channel is None else hold_keys(APP, lane, channel)
        lease = Lease(keys, token, _Link(self, lane, channel), asked_at)  # type: ignore[arg-type]
        self.holder = Holder(keys, lease, held if channel is None else set())
        self._keep(self.holder)
        return self.holder, view

    def release(self, holder: Holder) -> bool:
        return self._release(holder, False)

    def hand_over(self, holder: Holder) -> None:
        self._release(holder, True)

    def _release(self, holder: Holder, hand_over: bool) -> bool:
        lane, channel, token = _of(holder)
        answer = self.trip("release", lambda: self.model.release(lane, channel, token, hand_over))
        if answer is False:
            return False
        self._forgotten(holder)
        if answer is None:
            raise LeaseLost(repr(holder.lease))
        return True

    def forget(self, holder: Holder) -> None:
        self._forgotten(holder)

    def take(self, holder: Holder, *, max_items: int, max_bytes: int) -> Taken:
        return self._take(holder, None, max_items, max_bytes)

    def settle_and_take(
        self, holder: Holder, batch: ModelBatch, *, max_items: int, max_bytes: int, late: bool = False
    ) -> Taken:
        return self._take(holder, batch, max_items, max_bytes, late=late)

    def _take(
        self, holder: Holder, settled: ModelBatch | None, max_items: int, max_bytes: int, *, late: bool = False
    ) -> Taken:
        lane, channel, token = _of(holder)
        while True:
            asked_at = self._monotonic()

            def act(settle: ModelBatch | None = settled) -> Any:
                refusal = "done" if settle is None else self.model.settle(lane, channel, token, settle, late=late)
                if refusal != "done":
                    return refusal, None, None, 0
                answer = self.model.take(lane, channel, token, holder.held, max_items, max_bytes)
                return "done", answer, self.model.view(), self.model.now_ms()

            refusal, answer, view, now_ms = self.trip("take" if settled is None else "settle+take", act)
            _raise_unless_done(refusal, holder)
            if answer == "lost":
                _raise_unless_done("lost", holder)
            holder.lease.trust_from(asked_at)
            settled = None
            if answer != "again":
                self.taken = Taken(answer, view, now_ms)
                return self.taken

    def settle(self, holder: Holder, batch: ModelBatch, *, counter: str = "settled", late: bool = False) -> None:
        lane, channel, token = _of(holder)
        answer = self.trip("settle", lambda: self.model.settle(lane, channel, token, batch, counter, late=late))
        _raise_unless_done(answer, holder)

    def unmark(self, holder: Holder, batch: ModelBatch) -> None:
        lane, channel, token = _of(holder)
        _raise_unless_done(self.trip("unmark", lambda: self.model.unmark(lane, channel, token, batch)), holder)

    def hold(self, holder: Holder, batch: ModelBatch, *, retry_in_s: float) -> None:
        lane, _, token = _of(holder)
        answer = self.trip("hold", lambda: self.model.hold(lane, token, batch, int(retry_in_s * 1000)))
        _raise_unless_done(answer, holder)
        holder.held.add(batch.first_item.channel)

    def bury(self, holder: Holder, batch: ModelBatch, letter: DeadLetterFields, *, keep: bool = True) -> None:
        lane, channel, token = _of(holder)
        answer = self.trip("bury", lambda: self.model.bury(lane, channel, token, batch, letter, keep))
        _raise_unless_done(answer, holder)

    def count(self, lane: int, reason: str, number: int = 1) -> None:
        self.trip("count", lambda: self.model.lanes[lane].count(reason, number))

    def retry_hold_in(self, holder: Holder, wait_s: float) -> None:
        lane, channel, token = _of(holder)
        assert channel is not None, "a lane is rung, not scheduled"
        due_ms = self.now_ms() + int(wait_s * 1000)

        def act() -> str:
            if self.model.holder_of(lane, channel) != token:
                return "lost"
            if channel in self.model.lanes[lane].due_ms:
                self.model.lanes[lane].due_ms[channel] = due_ms
            return "done"

        _raise_unless_done(self.trip("retry_hold_in", act), holder)

    def rest(self, holder: Holder) -> None:
        lane, _, _ = _of(holder)
        held = self.trip("rest", lambda: set(self.model.lanes[lane].due_ms))
        holder.held.intersection_update(held)

    def wait_for_entry(self, holder: Holder, wait_s: float) -> bool:
        lane, channel, _ = _of(holder)
        if self._wait is not None:
            return self._wait(lane, wait_s)
        return bool(self.model.queue(lane, channel).entries)

    def is_marked(self, lane: int) -> bool:
        return self.trip("is_marked", lambda: self.model.is_marked(lane))

    def has_waiting_lane(self, lanes: Sequence[int]) -> bool:
        model = self.model
        return self.trip(
            "waiting", lambda: any(model.queue(n, None).entries and not model.holder_of(n, None) for n in lanes)
        )


def _of(holder: Holder) -> tuple[int, str | None, str]:
    return holder.keys.lane, holder.keys.channel, holder.lease.token


def _raise_unless_done(answer: str, holder: Holder) -> None:
    if answer == "lost":
        holder.lease.lost = True
        raise LeaseLost(repr(holder.lease))
    if answer == "mismatch":
        raise MarkerChanged(repr(holder.lease))
