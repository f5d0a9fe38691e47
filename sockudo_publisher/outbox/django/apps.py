"""The outbox as an app of a Django project, which brings the project's ``SOCKUDO`` setting with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import setting_changed

from ...config.settings import use_project_settings

__all__ = ["OutboxConfig"]

#: The name of the project's setting: a dict of the variables' names without their prefix.
SETTING = "SOCKUDO"


class OutboxConfig(AppConfig):  # type: ignore[misc]
    """``sockudo_publisher.outbox.django``, known as ``sockudo_outbox`` (a label ``django`` would say nothing)."""

    name = "sockudo_publisher.outbox.django"
    label = "sockudo_outbox"
    verbose_name = "Sockudo outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the project's setting win over the environment from now on; it is read at the first use."""
        use_project_settings(_read)
        setting_changed.connect(_read_again, dispatch_uid="sockudo_publisher.settings")


def _read() -> Mapping[str, Any]:
    value: Mapping[str, Any] | None = getattr(settings, SETTING, None)
    return {} if value is None else value


def _read_again(*, setting: str, **_: Any) -> None:
    """``override_settings`` begins or ends."""
    if setting == SETTING:
        use_project_settings(_read)
