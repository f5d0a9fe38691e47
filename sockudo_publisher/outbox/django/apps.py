"""The outbox as an app of a Django project."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["OutboxConfig"]


class OutboxConfig(AppConfig):  # type: ignore[misc]
    """``sockudo_publisher.outbox.django``, known as ``sockudo_outbox`` (a label ``django`` would say nothing)."""

    name = "sockudo_publisher.outbox.django"
    label = "sockudo_outbox"
    verbose_name = "Sockudo outbox"
    default_auto_field = "django.db.models.BigAutoField"
