"""The keys of the ``SOCKUDO`` setting that only this app reads; the others are the package's variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ...config.kinds import PREFIX, known_variables
from ...config.misspelled import nearest_name
from ...errors import ConfigurationError
from ...outbox.django.setting import OUTBOX_NOTIFY, SETTING, is_relay_notified, raw_setting

__all__ = ["DjangoSetting", "django_setting", "package_setting"]

#: Seconds after which a webhook is refused, and for which its events are remembered. The server repeats a webhook for
#: five minutes, with the time of the first attempt.
WEBHOOK_MAX_AGE_S = 900.0

#: The keys that are no variables of the package.
NAMES = (OUTBOX_NOTIFY, "USER_DATA", "WEBHOOK_CACHE", "WEBHOOK_CREDENTIALS", "WEBHOOK_MAX_AGE")


def id_of_user(user: Any) -> dict[str, str]:
    """What a sign-in signs by default: the primary key as text."""
    return {"id": str(user.pk)}


@dataclass(frozen=True)
class DjangoSetting:
    """``SOCKUDO``'s own keys of this app.

    ``outbox_notify``: whether ``add`` wakes a listening relay (PostgreSQL). ``user_data``: ``user_data(user)`` is what
    a sign-in signs, a mapping with ``id``, or ``None`` for a no. ``webhook_cache``: the alias of the cache that
    remembers webhook events. ``webhook_credentials``: further (key, secret) pairs that may have signed a webhook.
    ``webhook_max_age_s``: seconds after which a webhook is refused.
    """

    outbox_notify: bool = False
    user_data: Callable[[Any], Any] = id_of_user
    webhook_cache: str = "default"
    webhook_credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    webhook_max_age_s: float = WEBHOOK_MAX_AGE_S


def package_setting() -> Mapping[str, Any]:
    """The keys that the package reads. Raises :class:`ConfigurationError` for a name that neither reads."""
    value = raw_setting()
    if not isinstance(value, Mapping):
        return value  # type: ignore[no-any-return] # the package names the type that it got
    known = [*NAMES, *(name.removeprefix(PREFIX) for name in known_variables())]
    for name in value:
        if name not in known:
            raise ConfigurationError(f"{SETTING}: no setting is named {name!r}{nearest_name(str(name), known)}")
    return {name: one for name, one in value.items() if name not in NAMES}


def django_setting() -> DjangoSetting:
    """The keys that this app reads. Raises ``ImproperlyConfigured``, without any value."""
    value = raw_setting()
    given = value if isinstance(value, Mapping) else {}
    default = DjangoSetting()
    return DjangoSetting(
        outbox_notify=is_relay_notified(),
        user_data=_function(given, "USER_DATA", default.user_data),
        webhook_cache=_cache(given, "WEBHOOK_CACHE", default.webhook_cache),
        webhook_credentials=_pairs(given, "WEBHOOK_CREDENTIALS"),
        webhook_max_age_s=_seconds(given, "WEBHOOK_MAX_AGE", default.webhook_max_age_s),
    )


def _complain(name: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{SETTING}[{name!r}]: expected {expected}")


def _function(given: Mapping[str, Any], name: str, default: Callable[[Any], Any]) -> Callable[[Any], Any]:
    value = given.get(name, default)
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as error:
            raise ImproperlyConfigured(f"{SETTING}[{name!r}]: {error}") from None
    if not callable(value):
        raise _complain(name, "a function or its dotted path")
    return value  # type: ignore[no-any-return]


def _cache(given: Mapping[str, Any], name: str, default: str) -> str:
    from django.conf import settings

    value = given.get(name, default)
    if not isinstance(value, str) or value not in settings.CACHES:
        raise _complain(name, "the alias of a cache in CACHES")
    return value


def _pairs(given: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
    value = given.get(name) or ()
    expected = "a list of (key, secret) pairs, as they were before a rotation"
    if not isinstance(value, list | tuple):
        raise _complain(name, expected)
    for pair in value:
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2
        if not (is_pair and all(isinstance(one, str) and one for one in pair)):
            raise _complain(name, expected)
    return tuple((key, secret) for key, secret in value)


def _seconds(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise _complain(name, f"seconds above 0 (default {default:g})")
    return float(value)
