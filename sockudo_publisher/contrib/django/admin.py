"""The admin's pages, where Django looks for them; each states who may do what (permissions)."""

from __future__ import annotations

from .admin_pages import dead_letters, outbox_rows, scheduled_events

__all__ = ["dead_letters", "outbox_rows", "scheduled_events"]
