"""The worker with a sweep that comes once an hour: what goes on without it shows who else has rung."""

from __future__ import annotations

from sockudo_publisher.workerapp import app
from sockudo_publisher.workerapp.steps import sweep

__all__ = ["app"]

sweep.EVERY_S = 3600.0
