"""Orders in Django's admin: its actions go through the services, so they publish as the desk does."""

from __future__ import annotations

from django.contrib import admin, messages

from .models import Order, Product
from .services import Refused, move


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ("name", "sku", "stock")


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ("id", "customer", "product", "quantity", "state", "created_at")
    list_filter = ("state", "product")
    list_select_related = ("customer", "product")
    readonly_fields = ("customer", "product", "quantity", "state", "version", "created_at")
    actions = ("pack", "ship", "cancel")

    def has_add_permission(self, request):
        return False  # an order is placed in the shop, where it takes its products from the stock

    def has_delete_permission(self, request, obj=None):
        return False

    @admin.action(description="Pack the selected orders", permissions=["change"])
    def pack(self, request, queryset):
        self._move(request, queryset, Order.State.PACKED)

    @admin.action(description="Ship the selected orders", permissions=["change"])
    def ship(self, request, queryset):
        self._move(request, queryset, Order.State.SHIPPED)

    @admin.action(description="Cancel the selected orders", permissions=["change"])
    def cancel(self, request, queryset):
        self._move(request, queryset, Order.State.CANCELLED)

    def _move(self, request, queryset, state):
        for order in queryset.order_by("pk"):
            try:
                move(order.pk, state)
            except Refused as error:
                self.message_user(request, f"{order}: {error}", messages.WARNING)
            else:
                self.message_user(request, f"{order}: {state}")
