"""The admin: dead letters, rows of the outbox, scheduled events. Each page states who may do what (permissions)."""

from __future__ import annotations

from . import dead_letters, outbox_rows, scheduled_events

__all__ = ["dead_letters", "outbox_rows", "scheduled_events"]
