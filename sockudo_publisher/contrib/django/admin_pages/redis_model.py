"""An admin page of what is in Redis: a model without a table, its permissions, and a log entry for each action."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import path

from ....config.settings import DEFAULT_APP, get_settings
from ....errors import ConfigurationError

__all__ = ["RedisModelAdmin", "write_log_entry"]


def write_log_entry(request: HttpRequest, model: Any, object_id: str, what: str, flag: int) -> None:
    """Write an entry in the admin's log: who did what to which event."""
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type_id=ContentType.objects.get_for_model(model, for_concrete_model=False).pk,
        object_id=object_id,
        object_repr=object_id[:200],
        action_flag=flag,
        change_message=what,
    )


class RedisModelAdmin(admin.ModelAdmin):  # type: ignore[misc]
    """Subclasses write ``changelist_view`` and, where one thing can be seen, ``change_view``."""

    has_change_page = True

    def get_urls(self) -> list[Any]:
        """The list and the page of one; nothing that needs a table."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        urls = [path("", self.admin_site.admin_view(self.changelist_view), name=f"{name}_changelist")]
        if self.has_change_page:
            view = self.admin_site.admin_view(self.change_view)
            urls.append(path("<str:object_id>/change/", view, name=f"{name}_change"))
        return urls

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Events are published, not added here."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """An event is never changed."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """The actions have permissions of their own."""
        return False

    def has_permission(self, request: HttpRequest, codename: str) -> bool:
        """Whether the user has one of the model's own permissions."""
        allowed: bool = request.user.has_perm(f"{self.opts.app_label}.{codename}")
        return allowed

    def check_permission(self, request: HttpRequest, codename: str | None = None) -> None:
        """Raise ``PermissionDenied`` without the permission; ``None``: that to look."""
        if not (self.has_view_permission(request) if codename is None else self.has_permission(request, codename)):
            raise PermissionDenied

    def write_log(self, request: HttpRequest, object_id: str, what: str, flag: int) -> None:
        """An entry in the admin's log: who did what to which event."""
        write_log_entry(request, self.model, object_id, what, flag)

    def chosen_app(self, request: HttpRequest) -> tuple[str, list[str]]:
        """The app that the request names, or the first one; and all apps."""
        try:
            names = list(get_settings().app_urls())
        except ConfigurationError:
            names = []
        names.sort(key=lambda name: (name != DEFAULT_APP, name))
        app = request.GET.get("app") or request.POST.get("app") or ""
        return (app if app in names else (names or [DEFAULT_APP])[0]), names

    def page(self, request: HttpRequest, title: str, **values: Any) -> dict[str, Any]:
        """The values that the admin's own templates need, and those of this page."""
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, **values}
