"""Remove secrets from this worker's answers to ``celery inspect stats``, ``conf`` and ``report``.

Celery removes the broker's password and leaves others in: that of a private key (``ssl_password``), and those in URLs
of Unix sockets and of further brokers. Any program that reaches the broker can ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from celery.worker.control import Panel

__all__ = ["hide_secrets", "without_secrets"]

#: The commands whose answers contain settings.
COMMANDS = ("conf", "report", "stats")

#: What an answer has in place of a secret.
MASK = "********"

#: Names of values that are secret.
_SECRET_NAME = re.compile(r"(?i)pass(?:word|wd|phrase)?$|secret|token|credential")

#: User and password in a URL, and a password in its query.
_USER_INFO = re.compile(r"(?<=//)[^/\s;'\"]*@")
_QUERY = re.compile(r"(?i)([?&][a-z_]*(?:password|secret|token)=)[^&;\s'\"]*")

#: Levels of an answer that are looked at; what is deeper is not shown.
MAX_LEVELS = 10


def without_secrets(value: Any, levels: int = MAX_LEVELS) -> Any:
    """An answer without passwords. Pure."""
    if not levels:
        return MASK
    if isinstance(value, Mapping):
        return {
            name: MASK if one and _is_secret(name) else without_secrets(one, levels - 1) for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(one, levels - 1) for one in value]
    if isinstance(value, str):
        return _QUERY.sub(rf"\1{MASK}", _USER_INFO.sub(f"{MASK}@", value))
    return value


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def hide_secrets() -> None:
    """Let these commands answer without secrets in this worker process."""
    for name in COMMANDS:
        Panel.data[name] = _quiet(Panel.data[name])


def _quiet(answer: Callable[..., Any]) -> Callable[..., Any]:
    if hasattr(answer, "__wrapped__"):
        return answer  # done already

    @wraps(answer)
    def quiet(*args: Any, **options: Any) -> Any:
        return without_secrets(answer(*args, **options))

    return quiet
