"""Where a second run of ``publish-file`` begins: behind the last event that an earlier run of the same file stored."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from ..journal.position import PositionRecord, ReadPosition

if TYPE_CHECKING:
    from .file_events import FileEvents
    from .file_source import Source

__all__ = ["FilePosition"]


class FilePosition:
    """The position of one file, read in one way. A file that was touched since has another record."""

    def __init__(self, record: PositionRecord, events: FileEvents) -> None:
        self._record = record
        self._events = events

    @classmethod
    def of(
        cls, app: str | None, file: str, source: Source, events: FileEvents, *, form: tuple[str, ...]
    ) -> FilePosition:
        """The position of ``file``. ``form``: how it is read, and where its keys come from."""
        from ..wiring.app import app_named

        state = hashlib.blake2b(digest_size=16)
        for part in ("position", os.path.abspath(file), *source.identity(), *form):
            encoded = part.encode("utf-8", "surrogateescape")
            state.update(b"%d:" % len(encoded) + encoded)
        return cls(app_named(app).position_record(state.hexdigest()), events)

    def resume(self) -> None:
        """Move the events behind what is stored. Raises ``StreamDamaged``."""
        found = self._record.read()
        if found is not None:
            self._events.skip(offset=found.offset, line=found.line, count=found.events)

    def save(self, stored: int) -> None:
        """Record the position, if exactly the ``stored`` events of this run were read. For ``progress``."""
        events = self._events
        if events.skipped + stored == events.count and events.count and events.has_exact_offset:
            self._record.write(ReadPosition(events.offset, events.line, events.count))
