"""The figures of the journal for Prometheus: read from Redis when a program is scraped, by whichever is scraped.

``register()`` adds them to an application's own registry; a worker serves them on ``SOCKUDO_METRICS_PORT``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["register"]


def register(registry: CollectorRegistry | None = None) -> None:
    """Let a registry (default: prometheus_client's own) show the journal's figures too, of all apps in the settings.

    A scrape then asks Redis, at most once a second, and has an answer within a second. Needs the extra ``metrics``.
    """
    from prometheus_client import REGISTRY

    from .collector import JournalCollector

    (registry or REGISTRY).register(JournalCollector())
