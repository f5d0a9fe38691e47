"""Publishing from coroutines: ``publish.adelay`` beside a thread a call and the SDK's ``AsyncSockudo``.

And how much the loop is held, and what a frozen Redis does.

Callers are in a closed loop: each makes its next call when the one before has returned.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sockudo_publisher import JournalUnavailable, publish

from .parts import Parts
from .plan import Plan
from .ratios import percentile
from .workload import CHANNELS, EVENT, data

__all__ = ["CALLERS", "Coroutines", "measure"]

#: Callers at the same time.
CALLERS = (1, 10, 100, 1000)

#: The SDK opens a connection for each of its callers.
SDK_CALLERS = 100

#: Calls of one caller until the other way has its turn.
TURN_CALLS = 100

#: Calls at once while Redis is frozen.
FROZEN_CALLS = 200

#: Seconds between two looks at the loop, and those of the callers of the loop without us: about what a call takes.
TICK_S = 0.002
IDLE_CALL_S = 0.03

Call = Callable[[int], Awaitable[object]]


@dataclass
class Coroutines:
    """Events a second by side and callers, by pair; seconds and milliseconds of the other measurements, by pair."""

    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    cpu_us: dict[tuple[str, int], list[float]] = field(default_factory=dict)  # of this process, an event
    switches: dict[tuple[str, int], list[float]] = field(default_factory=dict)  # sleeps of its threads, an event
    p50_ms: dict[str, list[float]] = field(default_factory=dict)  # of one caller
    stall_ms: dict[str, list[float]] = field(default_factory=dict)  # p99, with 1,000 callers
    frozen_s: list[float] = field(default_factory=list)
    frozen_stall_ms: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)  # share of the full rate in the second second


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Coroutines:
    """Measure without a worker, so that none competes with the callers, on either side."""
    parts.fresh()
    result = Coroutines()
    for number in range(10):
        publish.delay(*_event(number))  # connections, scripts, the lanes' doorbells
    for pair in range(plan.coroutine_pairs):
        for callers in CALLERS:
            count = plan.coroutine_events if callers >= SDK_CALLERS else plan.delay_calls
            for side, call in (("adelay", _adelay), ("to_thread", _to_thread)):
                cost = asyncio.run(_cost(call, callers, count if side == "adelay" else plan.delay_calls))
                result.rates.setdefault((side, callers), []).append(cost.rate)
                result.cpu_us.setdefault((side, callers), []).append(cost.cpu_us)
                result.switches.setdefault((side, callers), []).append(cost.switches)
        rate = asyncio.run(_sdk_rate(parts.sockudo.url, plan.trigger_events))
        result.rates.setdefault(("SDK", SDK_CALLERS), []).append(rate)
        for side, p50_ms in asyncio.run(_p50s_ms(plan.delay_calls)).items():
            result.p50_ms.setdefault(side, []).append(p50_ms)
        for side, call in (("adelay", _adelay), ("idle", _idle)):
            result.stall_ms.setdefault(side, []).append(asyncio.run(_stall_ms(call, plan.coroutine_block_s)))
        _freeze(parts, result)
        texts = [f"{callers} callers {result.rates['adelay', callers][-1]:,.0f}/s" for callers in CALLERS]
        say(f"coroutines: pair {pair + 1} of {plan.coroutine_pairs}: {', '.join(texts)}")
    return result


def _event(number: int) -> tuple[str, str, object]:
    return CHANNELS[number % len(CHANNELS)], EVENT, data(number)


async def _adelay(number: int) -> object:
    return await publish.adelay(*_event(number))


async def _to_thread(number: int) -> object:
    return await asyncio.to_thread(publish.delay, *_event(number))


async def _idle(number: int) -> object:
    _event(number)
    return await asyncio.sleep(IDLE_CALL_S)


class _Cost(NamedTuple):
    rate: float  # events a second
    cpu_us: float
    switches: float


async def _rate(call: Call, callers: int, count: int) -> float:
    """Events a second of callers in a closed loop."""
    return (await _cost(call, callers, count)).rate


async def _cost(call: Call, callers: int, count: int) -> _Cost:
    """The rate of callers in a closed loop, and what an event costs this process: these say more on a busy machine."""

    async def caller(first: int) -> None:
        for number in range(first, count, callers):
            await call(number)

    before, cpu_s, started = resource.getrusage(resource.RUSAGE_SELF), time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller(first) for first in range(callers)))
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    sleeps = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before.ru_nvcsw
    return _Cost(count / took_s, cpu_s / count * 1e6, sleeps / count)


async def _sdk_rate(url: str, count: int) -> float:
    from sockudo_http_python import AsyncSockudo  # installed in the peers' environment

    client = AsyncSockudo.from_url(url)

    async def trigger(number: int) -> object:
        answer = await client.trigger(*_event(number))
        if not answer.ok:
            raise RuntimeError(f"trigger: {answer}")
        return answer

    try:
        return await _rate(trigger, SDK_CALLERS, count)
    finally:
        await client.close()


async def _p50s_ms(count: int) -> dict[str, float]:
    """Of one caller, each way: the two take turns, so that a noisy second is both sides'."""
    took: dict[str, list[float]] = {"delay": [], "adelay": []}
    for turn in range(count // TURN_CALLS):
        for number in range(turn * TURN_CALLS, (turn + 1) * TURN_CALLS):
            started = time.perf_counter()
            publish.delay(*_event(number))
            took["delay"].append(time.perf_counter() - started)
        for number in range(turn * TURN_CALLS, (turn + 1) * TURN_CALLS):
            started = time.perf_counter()
            await publish.adelay(*_event(number))
            took["adelay"].append(time.perf_counter() - started)
    return {side: percentile(one, 0.5) * 1000 for side, one in took.items()}


async def _lags(until: Callable[[], bool]) -> list[float]:
    """Milliseconds by which a timer of the loop was late, each time."""
    lags = []
    while not until():
        due = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        lags.append(max(0.0, time.perf_counter() - due) * 1000)
    return lags


async def _stall_ms(call: Call, seconds: float) -> float:
    """The 99th percentile of how late the loop was, with 1,000 callers."""
    until = time.perf_counter() + seconds

    async def caller(first: int) -> None:
        number = first
        while time.perf_counter() < until:
            await call(number)
            number += 1

    *_, lags = await asyncio.gather(
        *(caller(first) for first in range(CALLERS[-1])), _lags(lambda: time.perf_counter() >= until)
    )
    assert isinstance(lags, list)
    return percentile(lags, 0.99)


def _freeze(parts: Parts, result: Coroutines) -> None:
    """Calls while Redis answers nothing, and the rate of the second second after it answers again."""
    full = asyncio.run(_second_second())
    parts.redis.pause()
    try:
        seconds, stall_ms = asyncio.run(_calls_that_fail())
    finally:
        parts.redis.resume()
    result.frozen_s.append(seconds)
    result.frozen_stall_ms.append(stall_ms)
    result.back.append(asyncio.run(_second_second()) / full)


async def _calls_that_fail() -> tuple[float, float]:
    started, ended = time.perf_counter(), False

    async def call(number: int) -> float:
        try:
            await publish.adelay(*_event(number))
        except JournalUnavailable:
            return time.perf_counter() - started
        raise RuntimeError("Redis is frozen, and stored an event")

    watching = asyncio.ensure_future(_lags(lambda: ended))
    took = await asyncio.gather(*(call(number) for number in range(FROZEN_CALLS)))
    ended = True
    return max(took), max(await watching)


async def _second_second() -> float:
    """Events stored between one and two seconds from now; a call that fails is made again a little later."""
    began = time.perf_counter()
    stored = 0

    async def caller(first: int) -> None:
        nonlocal stored
        while (now := time.perf_counter() - began) < 2:
            try:
                await publish.adelay(*_event(first))
            except JournalUnavailable:
                await asyncio.sleep(0.01)
                continue
            stored += now >= 1

    await asyncio.gather(*(caller(first) for first in range(SDK_CALLERS)))
    return float(stored)
