"""The Django app: settings, checks and the autodiscovery of ``channels.py``."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from ...outbox.django.apps import LABEL
from ...outbox.django.setting import follow_setting
from .setting import package_setting

__all__ = ["SockudoConfig"]


class SockudoConfig(AppConfig):  # type: ignore[misc]
    """``sockudo_publisher.contrib.django``, with the outbox's label, model and migrations.

    So a project that had ``sockudo_publisher.outbox.django`` changes one line, and migrates nothing that it has.
    """

    name = "sockudo_publisher.contrib.django"
    label = LABEL
    verbose_name = "Sockudo"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Use the project's setting, register the checks, import each app's ``channels.py``."""
        from . import checks  # noqa: F401 -- registers them

        follow_setting(package_setting)
        autodiscover_modules("channels")
