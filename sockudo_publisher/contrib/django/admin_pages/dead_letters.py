"""Dead letters: filter, look (the payload on demand), replay, purge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from ....config.settings import get_settings
from ....errors import ConfigurationError, JournalUnavailable, ValidationError
from ....operations import DeadLetter as Letter
from ....operations import Replayed, dead_find, dead_list, dead_purge, dead_replay
from ....redaction import printable
from ..models import DeadLetter
from .redis_model import RedisModelAdmin
from .shown import shown_payload, shown_time

__all__ = ["DeadLetterAdmin"]

#: Dead letters of one page. Filters look through :data:`MAX_SEARCHED` of them, the oldest.
MAX_SHOWN = 100
MAX_SEARCHED = 10_000
#: Letters that a message names one by one.
MAX_NAMED = 5

REASONS = ("conflict", "expired", "miscounted", "refused", "too_large", "uncertain", "unreadable")
#: Each action's permission.
ACTIONS = {"replay": "replay_deadletter", "replay_new_id": "replay_deadletter", "purge": "purge_deadletter"}


@dataclass(frozen=True)
class LetterQuery:
    """What a page shows: a reason, and parts of the names of the channel and the event; empty: any."""

    reason: str = ""
    channel: str = ""
    event: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> LetterQuery:
        """From the page's address."""
        return cls(*(request.GET.get(name, "").strip() for name in ("reason", "channel", "event")))

    def has(self, letter: Letter) -> bool:
        """Whether it shows this letter."""
        is_reason = not self.reason or letter.reason == self.reason
        return is_reason and self.channel in letter.channel and self.event in letter.name


@admin.register(DeadLetter)
class DeadLetterAdmin(RedisModelAdmin):
    """Permissions: ``view_deadletter`` to look, ``view_deadletter_payload``, ``replay_deadletter``,
    ``purge_deadletter``.
    """

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list with its filters; by POST one action on the chosen letters."""
        self.check_permission(request)
        if request.method == "POST":
            return self._act(request)
        app, apps = self.chosen_app(request)
        chosen = LetterQuery.of(request)
        letters: list[Letter] = []
        try:
            read = dead_list(get_settings(), app, MAX_SEARCHED if chosen != LetterQuery() else MAX_SHOWN + 1)
            letters = [letter for letter in read if chosen.has(letter)]
        except (JournalUnavailable, ConfigurationError) as error:
            messages.error(request, printable(str(error)))
        rows = [{"letter": one, "died": shown_time(one.dead_ms)} for one in letters[:MAX_SHOWN]]
        values = {
            "app": app,
            "apps": apps,
            "chosen": chosen,
            "reasons": REASONS,
            "rows": rows,
            "has_more": len(letters) > MAX_SHOWN,
            "may_replay": self.has_permission(request, "replay_deadletter"),
            "may_purge": self.has_permission(request, "purge_deadletter"),
            **(extra_context or {}),
        }
        page = self.page(request, "Dead letters", **values)
        return TemplateResponse(request, "sockudo_publisher/admin/dead_letters.html", page)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One letter. By POST with the payload, which is in no address and in no log."""
        del form_url
        self.check_permission(request)
        app, _ = self.chosen_app(request)
        try:
            letter = dead_find(get_settings(), app, object_id)
        except ValidationError:
            letter = None
        except (JournalUnavailable, ConfigurationError) as error:
            messages.error(request, printable(str(error)))
            return HttpResponseRedirect(self._list_address(app))
        if letter is None:
            raise Http404(f"app {app} has no dead letter with this id")
        values: dict[str, Any] = {
            "app": app,
            "letter": letter,
            "died": shown_time(letter.dead_ms),
            "first": shown_time(letter.first_ms),
            "may_replay": self.has_permission(request, "replay_deadletter"),
            "may_purge": self.has_permission(request, "purge_deadletter"),
            "may_see_payload": self.has_permission(request, "view_deadletter_payload"),
            **(extra_context or {}),
        }
        if request.method == "POST":
            self.check_permission(request, "view_deadletter_payload")
            values["payload"] = shown_payload(letter.data)
            self.write_log(request, object_id, f"Saw the payload, app {app}", CHANGE)
        page = self.page(request, f"Dead letter {letter.id}", **values)
        return TemplateResponse(request, "sockudo_publisher/admin/dead_letter.html", page)

    def _act(self, request: HttpRequest) -> HttpResponse:
        action, ids = request.POST.get("action", ""), request.POST.getlist("id")
        app, _ = self.chosen_app(request)
        if action not in ACTIONS:
            messages.warning(request, "No action was chosen.")
            return HttpResponseRedirect(self._list_address(app))
        self.check_permission(request, ACTIONS[action])
        if not ids:
            messages.warning(request, "No dead letter was chosen.")
        elif action == "purge" and "confirmed" not in request.POST:
            page = self.page(request, "Are you sure?", app=app, ids=ids)
            return TemplateResponse(request, "sockudo_publisher/admin/purge_dead_letters.html", page)
        else:
            try:
                self._run(request, action, app, ids)
            except (JournalUnavailable, ConfigurationError, ValidationError) as error:
                messages.error(request, printable(str(error)))
        return HttpResponseRedirect(self._list_address(app))

    def _run(self, request: HttpRequest, action: str, app: str, ids: Sequence[str]) -> None:
        settings = get_settings()
        if action == "purge":
            purged = dead_purge(settings, app, ids)
            self._log(request, [one for one in ids if one not in purged.absent], f"Purged, app {app}", DELETION)
            messages.success(request, f"{_letters(purged.purged)} purged.")
            _name_absent(request, purged.absent)
            for why in purged.failed:
                messages.error(request, printable(why))
            return
        done = dead_replay(settings, app, ids, new_id=action == "replay_new_id")
        kept = {one.id for one in done.refused} | set(done.absent)
        how = "with a new message id, " if action == "replay_new_id" else ""
        self._log(request, [one for one in ids if one not in kept], f"Replayed, {how}app {app}", CHANGE)
        _report_replay(request, done)

    def _log(self, request: HttpRequest, ids: Sequence[str], what: str, flag: int) -> None:
        for one in ids:
            self.write_log(request, one, what, flag)

    def _list_address(self, app: str) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return f"{reverse(name, current_app=self.admin_site.name)}?{urlencode({'app': app})}"


def _report_replay(request: HttpRequest, done: Replayed) -> None:
    if done.replayed or not done.refused:
        messages.success(request, f"{_letters(done.replayed)} replayed.")
    for one in done.refused[:MAX_NAMED]:
        messages.warning(request, printable(f"{one.id} ({one.reason}) stays: {one.why}"))
    if len(done.refused) > MAX_NAMED:
        messages.warning(request, f"{len(done.refused) - MAX_NAMED:,} more stay.")
    _name_absent(request, done.absent)


def _name_absent(request: HttpRequest, absent: Sequence[str]) -> None:
    if absent:
        named = ", ".join(absent[:MAX_NAMED])
        messages.warning(request, f"{len(absent):,} are no longer dead letters: {printable(named)}")


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"
