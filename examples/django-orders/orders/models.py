"""Products with their stock, and orders with their state."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models


class Product(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    stock = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    class State(models.TextChoices):
        NEW = "new"
        PACKED = "packed"
        SHIPPED = "shipped"
        CANCELLED = "cancelled"

    #: What may follow each state.
    NEXT = {State.NEW: {State.PACKED, State.CANCELLED}, State.PACKED: {State.SHIPPED, State.CANCELLED}}

    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="orders")
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    #: Counts the changes: a page that has loaded a later state ignores an earlier event.
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions = [("work_desk", "Can work at the order desk")]

    def __str__(self) -> str:
        return f"order {self.pk}"

    def as_event(self) -> dict[str, Any]:
        """What pages show. The package writes the date as ISO 8601."""
        return {
            "id": self.pk,
            "customer": self.customer.get_username(),
            "item": self.product.name,
            "quantity": self.quantity,
            "state": self.state,
            "version": self.version,
            "created_at": self.created_at,
        }
