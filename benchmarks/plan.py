"""The sizes of a run: a quick one for every day, and the full one whose table is published."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "SCENARIOS", "TINY", "Plan"]

#: What can be chosen with --only, in the order in which it runs.
SCENARIOS = (
    "steps",
    "imports",
    "client",
    "enqueue",
    "coroutines",
    "latency",
    "cold",
    "drained",
    "holds",
    "backlog",
    "telemetry",
    "scheduled",
)


@dataclass(frozen=True)
class Plan:
    """Sizes in events, times in seconds. A round or a pair measures each side once, one after the other."""

    name: str
    rounds: int  # of the drained rates
    backlog: int  # events waiting for the worker, and sent by the ceiling's driver at batch 500
    ceiling_events: int  # for the other batch sizes
    task_events: int  # for the Celery task per event
    batches_events: int  # for celery-batches
    trigger_events: int
    trigger_batch_events: int
    enqueue_pairs: int
    delay_calls: int
    bulk_events: int
    coroutine_pairs: int
    coroutine_events: int  # with 100 and 1,000 callers
    coroutine_block_s: float  # of a loop that is watched
    latency_pairs: int
    latency_block_s: float
    cold_turns: int  # of a second or two each
    steps_rounds: int
    imports_rounds: int
    client_pairs: int
    client_calls: int
    client_batches: int  # of 100 events
    deep_backlog: int  # 0: not measured
    shallow_backlog: int
    backlog_pairs: int
    backlog_block_s: float
    holds_pairs: int
    holds_backlog: int  # long enough for some attempts at the stuck item
    telemetry_pairs: int
    telemetry_events: int  # a fifth of it as entries of one event
    scheduled_waiting: int
    scheduled_blocks: int  # of ten seconds each


#: About five minutes on two cores.
QUICK = Plan(
    name="quick",
    rounds=3,
    backlog=100_000,
    ceiling_events=50_000,
    task_events=1_000,
    batches_events=3_000,
    trigger_events=700,
    trigger_batch_events=10_000,
    enqueue_pairs=9,
    delay_calls=1_500,
    bulk_events=50_000,
    coroutine_pairs=3,
    coroutine_events=20_000,
    coroutine_block_s=2.0,
    latency_pairs=5,
    latency_block_s=1.5,
    cold_turns=32,
    steps_rounds=10,
    imports_rounds=9,
    client_pairs=7,
    client_calls=200,
    client_batches=50,
    deep_backlog=0,
    shallow_backlog=0,
    backlog_pairs=0,
    backlog_block_s=0.0,
    holds_pairs=3,
    holds_backlog=300_000,
    telemetry_pairs=5,
    telemetry_events=100_000,
    scheduled_waiting=100_000,
    scheduled_blocks=3,
)

#: About a quarter of an hour: `make bench ARGS=--full`.
FULL = Plan(
    name="full",
    rounds=7,
    backlog=100_000,
    ceiling_events=50_000,
    task_events=2_000,
    batches_events=8_000,
    trigger_events=2_000,
    trigger_batch_events=30_000,
    enqueue_pairs=11,
    delay_calls=3_000,
    bulk_events=100_000,
    coroutine_pairs=5,
    coroutine_events=40_000,
    coroutine_block_s=4.0,
    latency_pairs=11,
    latency_block_s=4.0,
    cold_turns=96,
    steps_rounds=30,
    imports_rounds=15,
    client_pairs=15,
    client_calls=500,
    client_batches=100,
    deep_backlog=1_000_000,
    shallow_backlog=10_000,
    backlog_pairs=5,
    backlog_block_s=5.0,
    holds_pairs=7,
    holds_backlog=300_000,
    telemetry_pairs=9,
    telemetry_events=150_000,
    scheduled_waiting=1_000_000,
    scheduled_blocks=5,
)

#: To see that it runs at all; its numbers mean nothing.
TINY = Plan(
    name="tiny",
    rounds=1,
    backlog=10_000,
    ceiling_events=5_000,
    task_events=200,
    batches_events=600,
    trigger_events=100,
    trigger_batch_events=1_000,
    enqueue_pairs=1,
    delay_calls=200,
    bulk_events=10_000,
    coroutine_pairs=1,
    coroutine_events=2_000,
    coroutine_block_s=0.5,
    latency_pairs=1,
    latency_block_s=0.5,
    cold_turns=8,
    steps_rounds=2,
    imports_rounds=1,
    client_pairs=1,
    client_calls=20,
    client_batches=5,
    deep_backlog=40_000,
    shallow_backlog=10_000,
    backlog_pairs=1,
    backlog_block_s=0.5,
    holds_pairs=1,
    holds_backlog=100_000,
    telemetry_pairs=1,
    telemetry_events=10_000,
    scheduled_waiting=2_000,
    scheduled_blocks=1,
)
