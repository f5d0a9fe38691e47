"""The settings, the app and the connection of one operation."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass

from ..config.settings import DEFAULT_APP, Settings, get_settings
from ..errors import JournalUnavailable, ValidationError
from ..journal.redis.link import WORKER_TIMEOUT_S, RedisLink
from ..journal.status import known_apps

__all__ = ["OpenApp", "check_name", "check_text", "connect", "default_actor", "open_app"]

#: Characters of a reason and of a person's name: they are shown on one line.
MAX_REASON = 500
MAX_ACTOR = 200

#: Characters of a channel or an event name that is searched for: more than any event has.
MAX_NAME = 500


@dataclass(frozen=True)
class OpenApp:
    """One app, with the settings of the operation and a connection of its own."""

    settings: Settings
    app: str
    link: RedisLink


def connect(settings: Settings) -> RedisLink:
    """Open a separate link, which connects at its first command."""
    return RedisLink(settings.redis_url, timeout_s=WORKER_TIMEOUT_S, namespace=settings.namespace)


def open_app(app: str | None, settings: Settings | None = None) -> OpenApp:
    """Open an app by its name; ``None``: the app of ``SOCKUDO_URL``.

    An app that is no longer configured, and has lanes in Redis, can be opened too. Raises :class:`ValidationError` for
    what is no name, and :class:`ConfigurationError` for an app that neither the settings nor Redis know.
    """
    settings = get_settings() if settings is None else settings
    if app is not None and (not isinstance(app, str) or not app):
        raise ValidationError(f"app: expected a name, got {'an empty text' if app == '' else type(app).__name__}")
    name = DEFAULT_APP if app is None else app
    link = connect(settings)
    if name not in settings.app_urls() and not _is_known(link, name):
        settings.url_of(name)  # raises, and names the setting
    return OpenApp(settings, name, link)


def _is_known(link: RedisLink, app: str) -> bool:
    """Whether Redis has lanes of the app; not if Redis is away: then the missing setting is named."""
    try:
        return app in known_apps(link)
    except JournalUnavailable:
        return False


def check_text(value: object, field: str, most: int) -> str:
    """A text of 1 to ``most`` characters. Raises :class:`ValidationError`, which names the field, size and limit."""
    if isinstance(value, str) and not value.strip():
        raise ValidationError(f"{field}: empty, expected 1 to {most} characters")
    return _checked_text(value, field, most)


def check_name(value: object, field: str) -> str | None:
    """A channel or an event name that is searched for; ``None``: any. Raises :class:`ValidationError`."""
    return None if value is None else _checked_text(value, field, MAX_NAME)


def _checked_text(value: object, field: str, most: int) -> str:
    if not isinstance(value, str):
        raise ValidationError(f"{field}: expected text, got {type(value).__name__}")
    if len(value) > most:
        raise ValidationError(f"{field}: {len(value)} characters, limit {most}")
    if not _is_utf8(value):
        raise ValidationError(f"{field}: not valid Unicode")
    return value


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def default_actor() -> str:
    """Who acts, if the caller does not say: ``user@host`` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"[:MAX_ACTOR]
