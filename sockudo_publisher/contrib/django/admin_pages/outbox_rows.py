"""Rows of the outbox: those that wait for the relay, and parked ones, which a person releases or deletes."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from ....outbox.django.models import OutboxRow
from .redis_model import write_log_entry
from .shown import shown_payload

__all__ = ["OutboxRowAdmin"]


class StateFilter(admin.SimpleListFilter):  # type: ignore[misc]
    """Parked or waiting."""

    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """The two states."""
        return [("parked", "parked"), ("waiting", "waiting for the relay")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[OutboxRow]) -> QuerySet[OutboxRow]:
        """The rows in the chosen state."""
        if self.value() in ("parked", "waiting"):
            return queryset.filter(parked__isnull=self.value() == "waiting")
        return queryset


@admin.register(OutboxRow)
class OutboxRowAdmin(admin.ModelAdmin):  # type: ignore[misc]
    """Permissions: ``view_outboxrow`` to look, ``view_deadletter_payload`` for payloads, ``change_outboxrow`` to
    release, ``delete_outboxrow``.
    """

    list_display = ("id", "channel", "event", "state", "created_at", "message_id", "app")
    list_filter = (StateFilter, "app")
    search_fields = ("channel", "message_id")
    ordering = ("id",)
    actions = ("release",)
    fields = ("id", "app", "channel", "event", "message_id", "state", "created_at", "size")
    readonly_fields = fields
    change_form_template = "sockudo_publisher/admin/outbox_row.html"
    #: A count of all rows is slow where there are millions.
    show_full_result_count = False

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Rows are inserted by ``add``."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """A row is final."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Also with the permission to release."""
        allowed: bool = super().has_view_permission(request, obj) or self.has_release_permission(request)
        return allowed

    def has_release_permission(self, request: HttpRequest) -> bool:
        """For the action ``release``."""
        allowed: bool = request.user.has_perm(f"{self.opts.app_label}.change_outboxrow")
        return allowed

    @admin.display(description="event")
    def event(self, row: OutboxRow) -> str:
        """The event's name, from the stored item."""
        return str(_item(row).get("name", ""))

    @admin.display(description="state", ordering="parked")
    def state(self, row: OutboxRow) -> str:
        """Why it is parked."""
        return "waiting" if row.parked is None else f"parked: {row.parked}"

    @admin.display(description="size")
    def size(self, row: OutboxRow) -> str:
        """Of the stored item."""
        return f"{len(row.body):,} bytes"

    @admin.action(description="Release: let the relay try them again", permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[OutboxRow]) -> None:
        """Release the chosen parked rows."""
        ids = list(queryset.filter(parked__isnull=False).values_list("id", flat=True))
        released = (
            queryset.model.objects.using(queryset.db).filter(id__in=ids, parked__isnull=False).update(parked=None)
        )
        for one in ids:
            write_log_entry(request, OutboxRow, str(one), "Released", CHANGE)
        if released:
            messages.success(request, f"{released:,} row{'' if released == 1 else 's'} released.")
        else:
            messages.warning(request, "None of the chosen rows is parked.")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One row. By POST with the payload, which is in no address and in no log."""
        may_see = request.user.has_perm(f"{self.opts.app_label}.view_deadletter_payload")
        values: dict[str, Any] = {"may_see_payload": may_see, **(extra_context or {})}
        if request.method == "POST":
            row = self.get_object(request, object_id)
            if not may_see or not self.has_view_permission(request, row):
                raise PermissionDenied
            if row is not None:
                values["payload"] = shown_payload(_item(row).get("data"))
                write_log_entry(request, OutboxRow, object_id, "Saw the payload", CHANGE)
            # The admin's form has no POST for a row that cannot be changed.
            request.method = "GET"
        response: HttpResponse = super().change_view(request, object_id, form_url, values)
        return response


def _item(row: OutboxRow) -> dict[str, Any]:
    try:
        item = json.loads(bytes(row.body))
    except (ValueError, RecursionError):
        return {}
    return item if isinstance(item, dict) else {}
