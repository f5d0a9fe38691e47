"""What the page reads and does, each a call of :mod:`..operations`: fields in, values for JSON out.

Every function blocks, so it runs in a thread. All raise as the functions of :mod:`..operations` do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from .. import operations
from ..config.settings import DEFAULT_APP, get_settings
from ..errors import ValidationError
from .fields import RequestFields
from .views import show_audit, show_letter, show_payload, show_scheduled

__all__ = ["ACTIONS", "READS", "Action"]

#: RequestFields of a request -> values for JSON.
Action: TypeAlias = Callable[[RequestFields], Mapping[str, Any]]

#: Rows of a list on the page: by default, at most.
ROWS: Final = 100
MAX_ROWS: Final = 1000

#: Refused letters that a preview or a result names; the others are counted.
MAX_REFUSED: Final = 100

#: The person in the audit if the page gives none.
UNNAMED: Final = "dashboard"


def _letters(fields: RequestFields) -> Mapping[str, Any]:
    app, limit, chosen = fields.text("app"), fields.limit("limit", ROWS, MAX_ROWS), _filters(fields)
    fields.end()
    # One more than is shown tells whether there are more.
    found = operations.dead_letters(app, limit=limit + 1, **chosen)
    return {"letters": [show_letter(one) for one in found[:limit]], "has_more": len(found) > limit}


def _payload(fields: RequestFields) -> Mapping[str, Any]:
    app, id = fields.text("app") or DEFAULT_APP, _needed(fields, "id")
    fields.end()
    return show_payload(operations.dead_show(get_settings(), app, id))


def _scheduled(fields: RequestFields) -> Mapping[str, Any]:
    app, channel, event = fields.text("app"), fields.text("channel"), fields.text("event")
    limit = fields.limit("limit", ROWS, MAX_ROWS)
    fields.end()
    found = operations.scheduled(app, channel=channel, event=event, limit=limit + 1)
    return {"scheduled": [show_scheduled(one) for one in found[:limit]], "has_more": len(found) > limit}


def _audit(fields: RequestFields) -> Mapping[str, Any]:
    app, limit = fields.text("app"), fields.limit("limit", ROWS, MAX_ROWS)
    fields.end()
    return {"entries": [show_audit(one) for one in operations.audit(app, limit=limit)]}


def _preview(fields: RequestFields) -> Mapping[str, Any]:
    action = _needed(fields, "action")
    if action not in ("replay", "purge"):
        raise ValidationError("action: expected replay or purge")
    return _replay(fields, dry_run=True) if action == "replay" else _purge(fields, dry_run=True)


def _replay(fields: RequestFields, *, dry_run: bool = False) -> Mapping[str, Any]:
    app, actor, new_id, chosen = fields.text("app"), _actor(fields), fields.flag("new_id"), _selection(fields)
    fields.end()
    done = operations.replay(app=app, actor=actor, new_id=new_id, dry_run=dry_run, **chosen)
    refused = [asdict(one) for one in done.refused[:MAX_REFUSED]]
    return {"count": done.replayed, "refused": refused, "refused_count": len(done.refused), "absent": done.absent}


def _purge(fields: RequestFields, *, dry_run: bool = False) -> Mapping[str, Any]:
    app, actor, chosen = fields.text("app"), _actor(fields), _selection(fields)
    fields.flag("new_id")  # of a replay; the page sends one form for both
    fields.end()
    done = operations.purge(app=app, actor=actor, dry_run=dry_run, **chosen)
    return {
        "count": done.purged,
        "refused": [{"id": "", "reason": "", "why": why} for why in done.failed],
        "refused_count": len(done.failed),
        "absent": done.absent,
    }


def _cancel(fields: RequestFields) -> Mapping[str, Any]:
    app, actor, id = fields.text("app"), _actor(fields), _needed(fields, "id")
    fields.end()
    done = operations.cancel(id, app=app, actor=actor)
    return {**asdict(done), "is_cancelled": done.is_cancelled}


def _pause(fields: RequestFields) -> Mapping[str, Any]:
    app, actor, reason = fields.text("app"), _actor(fields), _needed(fields, "reason")
    fields.end()
    return asdict(operations.pause(app, reason=reason, actor=actor))


def _resume(fields: RequestFields) -> Mapping[str, Any]:
    app, actor = fields.text("app"), _actor(fields)
    fields.end()
    return asdict(operations.resume(app, actor=actor))


def _needed(fields: RequestFields, name: str) -> str:
    value = fields.text(name)
    if value is None:
        raise ValidationError(f"{name}: empty")
    return value


def _actor(fields: RequestFields) -> str:
    name = (fields.text("actor") or "").strip()
    return f"{name} ({UNNAMED})" if name else UNNAMED


def _filters(fields: RequestFields) -> dict[str, Any]:
    names = ("reason", "channel", "event")
    return {**{name: fields.text(name) for name in names}, "older_than_s": fields.number("older_than_s")}


def _selection(fields: RequestFields) -> dict[str, Any]:
    """Ids, filters or all; :mod:`..operations` checks that it is exactly one of them."""
    return {"ids": fields.texts("ids"), "all": fields.flag("all"), **_filters(fields)}


#: What is read, by the path below ``/api/``.
READS: Mapping[str, Action] = {
    "letters": _letters,
    "payload": _payload,
    "scheduled": _scheduled,
    "audit": _audit,
}

#: What changes something, and the preview of it.
ACTIONS: Mapping[str, Action] = {
    "preview": _preview,
    "replay": _replay,
    "purge": _purge,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
}
