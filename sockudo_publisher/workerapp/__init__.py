"""The worker program: its Celery app, its drains, and the steps beside its pool.

``app`` is the assembled one, for ``celery -A sockudo_publisher.workerapp worker``; asking for it makes this process a
worker's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

    app: Celery

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    if name == "app":
        return import_module(".assembly", __name__).app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
