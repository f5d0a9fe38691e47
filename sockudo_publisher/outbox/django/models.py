"""The outbox's table."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from ..row import CHANNEL_CHARACTERS, COLLAPSE_CHARACTERS, FINGERPRINT_CHARACTERS, MESSAGE_ID_CHARACTERS

__all__ = ["OutboxRow"]


class OutboxRow(models.Model):  # type: ignore[misc]
    """One event for one channel. ``add`` inserts it; the relay reads and deletes it."""

    id = models.BigAutoField(primary_key=True)
    app = models.TextField()
    channel = models.CharField(max_length=CHANNEL_CHARACTERS)
    message_id = models.CharField(max_length=MESSAGE_ID_CHARACTERS)
    fingerprint = models.CharField(max_length=FINGERPRINT_CHARACTERS)
    body = models.BinaryField()
    collapse = models.CharField(max_length=COLLAPSE_CHARACTERS, default="", blank=True)
    # Why the row can never be appended; such a row waits for an operator. NULL: not parked, as with SQLAlchemy.
    parked = models.TextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """The table has the default name of the module for SQLAlchemy."""

        # Named, since the app that has the model may be `contrib.django`.
        app_label = "sockudo_outbox"
        db_table = "sockudo_outbox"
        verbose_name = "event"

    def __str__(self) -> str:
        return f"{self.message_id} on {self.channel}"
