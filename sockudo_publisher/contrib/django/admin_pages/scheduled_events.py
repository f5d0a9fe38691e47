"""Scheduled events: list and cancel them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from .... import operations
from ....errors import ConfigurationError, JournalUnavailable, ValidationError
from ....redaction import printable
from ..models import ScheduledEvent
from .redis_model import RedisModelAdmin
from .shown import shown_time

__all__ = ["ScheduledEventAdmin"]

#: ``operations.scheduled`` and ``operations.cancel``, where the journal keeps scheduled events.
_list_scheduled: Any = getattr(operations, "scheduled", None)
_cancel_scheduled: Any = getattr(operations, "cancel", None)
#: Scheduled events of one page, the earliest.
MAX_SHOWN = 100


class ScheduledEventAdmin(RedisModelAdmin):
    """Permissions: ``view_scheduledevent`` to look, ``cancel_scheduledevent``."""

    has_change_page = False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list with its filters; by POST the chosen events are cancelled."""
        self.check_permission(request)
        app, apps = self.chosen_app(request)
        if request.method == "POST":
            return self._cancel(request, app)
        channel, event, before = (request.GET.get(name, "").strip() for name in ("channel", "event", "due_before"))
        found: list[Any] = []
        try:
            found = _list_scheduled(
                app,
                channel=channel or None,
                event=event or None,
                due_before=_time_of(before),
                limit=MAX_SHOWN + 1,
            )
        except (JournalUnavailable, ConfigurationError, ValidationError) as error:
            messages.error(request, printable(str(error)))
        values = {
            "app": app,
            "apps": apps,
            "channel": channel,
            "event": event,
            "due_before": before,
            "rows": [{"event": one, "due": shown_time(one.due_ms)} for one in found[:MAX_SHOWN]],
            "has_more": len(found) > MAX_SHOWN,
            "may_cancel": self.has_permission(request, "cancel_scheduledevent"),
            **(extra_context or {}),
        }
        page = self.page(request, "Scheduled events", **values)
        return TemplateResponse(request, "sockudo_publisher/admin/scheduled_events.html", page)

    def _cancel(self, request: HttpRequest, app: str) -> HttpResponse:
        self.check_permission(request, "cancel_scheduledevent")
        ids = list(dict.fromkeys(request.POST.getlist("id")))
        if not ids:
            messages.warning(request, "No event was chosen.")
        done = 0
        try:
            for one in ids:
                if _cancel_scheduled(one, app=app).is_cancelled:
                    done += 1
                    self.write_log(request, one, f"Cancelled, app {app}", DELETION)
                else:
                    messages.warning(request, printable(f"Event {one} was stored meanwhile, or is being stored."))
        except (JournalUnavailable, ConfigurationError, ValidationError) as error:
            messages.error(request, printable(str(error)))
        if done:
            messages.success(request, f"{done:,} event{'' if done == 1 else 's'} cancelled.")
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return HttpResponseRedirect(f"{reverse(name, current_app=self.admin_site.name)}?{urlencode({'app': app})}")


def _time_of(text: str) -> datetime | None:
    """The time of ``<input type="datetime-local">``, in UTC; ``None`` for none and for what is no time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


if _list_scheduled is not None:
    admin.site.register(ScheduledEvent, ScheduledEventAdmin)
