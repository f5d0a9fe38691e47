"""The outbox's table, and what the admin shows of Redis: models without tables, for permissions and addresses."""

from __future__ import annotations

from django.db import models

from ...outbox.django.apps import LABEL
from ...outbox.django.models import OutboxRow

__all__ = ["DeadLetter", "OutboxRow", "ScheduledEvent"]


class DeadLetter(models.Model):  # type: ignore[misc]
    """A dead letter, in Redis. The model is the place of its permissions; it has no rows."""

    class Meta:
        """No table; who may look may not replay, purge or read payloads."""

        app_label = LABEL
        managed = False
        default_permissions = ("view",)
        permissions = [
            ("replay_deadletter", "Can replay dead letters"),
            ("purge_deadletter", "Can purge dead letters"),
            ("view_deadletter_payload", "Can see the payloads of dead letters"),
        ]
        verbose_name = "dead letter"


class ScheduledEvent(models.Model):  # type: ignore[misc]
    """An event that is due later, in Redis. The model is the place of its permissions; it has no rows."""

    class Meta:
        """No table."""

        app_label = LABEL
        managed = False
        default_permissions = ("view",)
        permissions = [("cancel_scheduledevent", "Can cancel scheduled events")]
        verbose_name = "scheduled event"
