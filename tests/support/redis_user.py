"""The URL of a Redis for another of its users: tests' servers have a password in their URL."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["as_redis_user"]


def as_redis_user(url: str, user: str, password: str) -> str:
    """The URL with this user and password in place of its own."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()
