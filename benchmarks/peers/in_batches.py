"""celery-batches that calls the SDK's ``trigger_batch``: `celery -A benchmarks.peers.in_batches worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery_batches import Batches

from . import sdk

#: Events, and seconds after which fewer go too.
FLUSH_EVERY, FLUSH_INTERVAL_S = 100, 0.1

app = Celery("in_batches", broker=os.environ["BENCH_BROKER_URL"])
# As its documentation asks: or the worker would never hold enough messages for a batch.
app.conf.worker_prefetch_multiplier = 0


@app.task(
    name="benchmarks.trigger_batch",
    base=Batches,
    flush_every=FLUSH_EVERY,
    flush_interval=FLUSH_INTERVAL_S,
    ignore_result=True,
)  # type: ignore[untyped-decorator]
def trigger_batch(requests: Any) -> None:
    sdk.trigger_batch(sdk.sockudo(), [tuple(request.args) for request in requests])
    sdk.done(len(requests))
