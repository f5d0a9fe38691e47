"""A Celery task per event that calls the SDK: `celery -A benchmarks.peers.per_event worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from . import sdk

app = Celery("per_event", broker=os.environ["BENCH_BROKER_URL"])


@app.task(name="benchmarks.trigger", ignore_result=True)  # type: ignore[untyped-decorator]
def trigger(channel: str, name: str, data: Any) -> None:
    sdk.trigger(sdk.sockudo(), channel, name, data)
    sdk.done(1)
