"""The outbox as a Django app, which also reads the project's ``SOCKUDO`` setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import setting_changed

from ...config.settings import use_project_settings

__all__ = ["OutboxConfig"]

#: The project's setting: a dict whose keys are the variables' names without their prefix.
SETTING = "SOCKUDO"


class OutboxConfig(AppConfig):  # type: ignore[misc]
    """``sockudo_publisher.outbox.django``, with the label ``sockudo_outbox`` (the default would be ``django``)."""

    name = "sockudo_publisher.outbox.django"
    label = "sockudo_outbox"
    verbose_name = "Sockudo outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """From now on the project's setting wins over the environment; it is read at the first use."""
        use_project_settings(_read_setting)
        setting_changed.connect(_read_setting_again, dispatch_uid="sockudo_publisher.settings")


def _read_setting() -> Mapping[str, Any]:
    value: Mapping[str, Any] | None = getattr(settings, SETTING, None)
    return {} if value is None else value


def _read_setting_again(*, setting: str, **_: Any) -> None:
    """Read the setting again when ``override_settings`` begins or ends."""
    if setting == SETTING:
        use_project_settings(_read_setting)
