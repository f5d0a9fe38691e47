"""The outbox as a Django app, which also reads the project's ``SOCKUDO`` setting."""

from __future__ import annotations

from types import ModuleType

from django.apps import AppConfig
from django.conf import settings

from . import absorbed
from .setting import follow_setting

__all__ = ["CONTRIB", "LABEL", "OutboxConfig"]

#: The label of the outbox's model and migrations, in whichever app they are.
LABEL = "sockudo_outbox"
#: The app with everything for Django. It has the outbox's model too, so only one of the two can own the label.
CONTRIB = "sockudo_publisher.contrib.django"


class OutboxConfig(AppConfig):  # type: ignore[misc]
    """``sockudo_publisher.outbox.django``, with the label ``sockudo_outbox`` (the default would be ``django``).

    Beside ``sockudo_publisher.contrib.django`` it is empty: a project may name both, in any order.
    """

    name = "sockudo_publisher.outbox.django"
    label = LABEL
    verbose_name = "Sockudo outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: ModuleType) -> None:
        self.is_absorbed = any(f"{entry}.".startswith(f"{CONTRIB}.") for entry in settings.INSTALLED_APPS)
        if self.is_absorbed:
            self.label = f"{LABEL}_absorbed"
            app_name, app_module = absorbed.__name__, absorbed
        super().__init__(app_name, app_module)

    def ready(self) -> None:
        """Read the project's setting, unless the other app does."""
        if not self.is_absorbed:
            follow_setting()
