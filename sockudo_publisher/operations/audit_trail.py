"""The audit: who did what to an app, when, and the result.

An action is recorded before it is made, and its counts after it: an action whose operator died has no counts. The
stream is bounded (``journal/app/operator.py``). No entry holds a payload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.settings import Settings
from ..errors import JournalUnavailable, ValidationError
from ..journal.app.operator import MAX_AUDIT, AuditRecord, OperatorRecords
from ..redaction import package_logger
from ..redaction.frame_locals import without_locals
from .connection import MAX_ACTOR, OpenApp, check_text, default_actor, open_app

__all__ = ["AuditEntry", "audit", "begin_action", "checked_actor", "end_action"]

logger = package_logger("sockudo_publisher.operations")

#: The action of a record that only has the result of another one.
_OUTCOME = "outcome"


@dataclass(frozen=True)
class AuditEntry:
    """One action of an operator. ``at_ms``: Redis' time; ``by``: who; ``what``: its selection or its reason.

    ``counts``: the result by name, ``None``: not known, as its operator died or lost Redis.
    """

    id: str
    app: str
    at_ms: int
    action: str
    by: str
    what: str
    counts: Mapping[str, int] | None = None


def checked_actor(actor: str | None) -> str:
    """Who acts. Raises :class:`ValidationError`."""
    return default_actor() if actor is None else check_text(actor, "actor", MAX_ACTOR)


def begin_action(opened: OpenApp, action: str, actor: str, what: str) -> str:
    """Record an action before it is made; answers the id for :func:`end_action`. Raises :class:`JournalUnavailable`."""
    return OperatorRecords(opened.link, opened.app).record(action=action, by=actor, what=what)


def end_action(opened: OpenApp, action_id: str, **counts: int) -> None:
    """Record the result of an action. If Redis fails now, that is logged: the action was made."""
    try:
        OperatorRecords(opened.link, opened.app).record(action=_OUTCOME, of=action_id, counts=json.dumps(counts))
    except JournalUnavailable as error:
        logger.warning("outcome of an action not recorded app=%s id=%s error=%s", opened.app, action_id, error)


@without_locals
def audit(app: str | None = None, *, limit: int = 100, settings: Settings | None = None) -> list[AuditEntry]:
    """The newest ``limit`` actions on an app (default: that of ``SOCKUDO_URL``), newest first.

    Raises :class:`ValidationError` for a limit that is not 1 to 10,000, and :class:`JournalUnavailable`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_AUDIT:
        raise ValidationError(f"limit: expected 1 to {MAX_AUDIT}")
    opened = open_app(app, settings)
    # Each action has at most one further record.
    return merge_outcomes(opened.app, OperatorRecords(opened.link, opened.app).newest(2 * limit))[:limit]


def merge_outcomes(app: str, newest: Sequence[AuditRecord]) -> list[AuditEntry]:
    """The actions among records, each with its result. Pure."""
    counts: dict[str, Mapping[str, int] | None] = {}
    found = []
    for record in newest:
        fields = record.fields
        if fields.get("action") == _OUTCOME:
            counts.setdefault(fields.get("of", ""), _read_counts(fields.get("counts", "")))
            continue
        found.append(
            AuditEntry(
                *(record.id, app, record.at_ms, fields.get("action", ""), fields.get("by", ""), fields.get("what", "")),
                counts=counts.get(record.id),
            )
        )
    return found


def _read_counts(text: str) -> Mapping[str, int] | None:
    try:
        counts: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(counts, dict):
        return None
    return {str(name): value for name, value in counts.items() if type(value) is int}
