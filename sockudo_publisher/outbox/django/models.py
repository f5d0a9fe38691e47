"""The outbox's table."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from ..row import CHANNEL_CHARACTERS, FINGERPRINT_CHARACTERS, MESSAGE_ID_CHARACTERS

__all__ = ["OutboxRow"]


class OutboxRow(models.Model):  # type: ignore[misc]
    """One event for one channel that waits for its relay; written by ``add``, read and deleted by the relay."""

    id = models.BigAutoField(primary_key=True)
    app = models.TextField()
    channel = models.CharField(max_length=CHANNEL_CHARACTERS)
    message_id = models.CharField(max_length=MESSAGE_ID_CHARACTERS)
    fingerprint = models.CharField(max_length=FINGERPRINT_CHARACTERS)
    body = models.BinaryField()
    # Why it will never be appended; such a row waits for a person. NULL is "not parked", as in the other module.
    parked = models.TextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """The table's name is the one that the module for SQLAlchemy has by default."""

        db_table = "sockudo_outbox"
        verbose_name = "event"

    def __str__(self) -> str:
        return f"{self.message_id} on {self.channel}"
