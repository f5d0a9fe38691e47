"""The cost of a call: ``publish.delay`` and ``publish_many`` beside Celery's own ``delay``, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from celery import Celery

from sockudo_publisher import publish, publish_many

from .parts import Parts
from .plan import Plan
from .workload import events

__all__ = ["Enqueued", "measure"]


@dataclass
class Enqueued:
    """Microseconds per event of each side, by pair; ``cpu`` are those of the caller's own processor time."""

    wall_us: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Enqueued:
    """Measure without a worker, so that none competes with the caller, on either side."""
    parts.fresh()
    result = Enqueued()
    celery = Celery("trivial", broker=parts.redis.url, set_as_current=False)

    @celery.task(ignore_result=True, shared=False)  # type: ignore[untyped-decorator]
    def trivial(channel: str, name: str, data: object) -> None:
        """Would do nothing."""

    def one_by_one(delay: Callable[..., object], count: int) -> None:
        for event in events(count):
            delay(*event)

    with redis.Redis.from_url(parts.redis.url) as plain:
        sides: dict[str, tuple[Callable[[], object], int]] = {
            "delay": (lambda: one_by_one(publish.delay, plan.delay_calls), plan.delay_calls),
            "celery": (lambda: one_by_one(trivial.delay, plan.delay_calls), plan.delay_calls),
            "many": (lambda: publish_many(events(plan.bulk_events)), plan.bulk_events),
            "round trip": (lambda: [plain.ping() for _ in range(plan.delay_calls)], plan.delay_calls),
        }
        one_by_one(publish.delay, 10)  # connections, scripts, the lanes' doorbells
        one_by_one(trivial.delay, 10)
        for number in range(plan.enqueue_pairs):
            for name, (run, count) in sides.items():
                cpu, wall = time.process_time(), time.perf_counter()
                run()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                result.wall_us.setdefault(name, []).append(wall / count * 1e6)
                result.cpu_us.setdefault(name, []).append(cpu / count * 1e6)
            texts = [f"{name} {values[-1]:,.1f}" for name, values in result.wall_us.items()]
            say(f"enqueue: pair {number + 1} of {plan.enqueue_pairs}, us: {', '.join(texts)}")
    celery.close()
    return result
