"""The project's ``SOCKUDO`` setting: a dict whose keys are the variables' names without their prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from ...config.settings import use_project_settings

__all__ = ["OUTBOX_NOTIFY", "SETTING", "follow_setting", "is_relay_notified", "package_setting", "raw_setting"]

#: The name of the setting.
SETTING = "SOCKUDO"
#: The key that only the outbox reads: whether ``add`` wakes a relay that listens (PostgreSQL); default ``False``.
OUTBOX_NOTIFY = "OUTBOX_NOTIFY"


def raw_setting() -> Any:
    """The project's value; an empty dict where there is none. May be malformed."""
    value = getattr(settings, SETTING, None)
    return {} if value is None else value


def package_setting() -> Mapping[str, Any]:
    """The project's value without the outbox's own key."""
    value = raw_setting()
    return {name: one for name, one in value.items() if name != OUTBOX_NOTIFY} if isinstance(value, Mapping) else value


def is_relay_notified() -> bool:
    """Whether the project wants ``add`` to wake a relay. Raises ``ImproperlyConfigured``."""
    value = raw_setting()
    wanted = value.get(OUTBOX_NOTIFY, False) if isinstance(value, Mapping) else False
    if not isinstance(wanted, bool):
        raise ImproperlyConfigured(f"{SETTING}[{OUTBOX_NOTIFY!r}]: expected True or False")
    return wanted


def follow_setting(read: Callable[[], Mapping[str, Any]] = package_setting) -> None:
    """From now on what ``read()`` gives wins over the environment; it is read at the first use.

    And again when ``override_settings`` begins or ends.
    """

    def read_again(*, setting: str, **_: Any) -> None:
        if setting == SETTING:
            use_project_settings(read)

    use_project_settings(read)
    setting_changed.connect(read_again, dispatch_uid="sockudo_publisher.settings", weak=False)
