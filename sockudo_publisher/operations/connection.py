"""The connection of one operation to the journal's Redis."""

from __future__ import annotations

from ..config.settings import Settings
from ..journal.redis.link import WORKER_TIMEOUT_S, RedisLink

__all__ = ["connect"]


def connect(settings: Settings) -> RedisLink:
    """Open a separate link, which connects at its first command."""
    return RedisLink(settings.redis_url, timeout_s=WORKER_TIMEOUT_S, namespace=settings.namespace)
