"""A bulk job that stores nothing: validates and encodes its events as ``publish_many`` does, without Redis."""

from __future__ import annotations

from collections.abc import Iterable

from ..client.wire.event import EventLike
from ..errors import ValidationError
from ..redaction.frame_locals import without_locals
from .bulk_run import begin_bulk

__all__ = ["check_many"]


@without_locals
def check_many(events: Iterable[EventLike], *, app: str | None = None) -> int:
    """Check events, taken lazily. Returns their number.

    Raises :class:`ValidationError` with the ``.index`` of the first event that ``publish_many`` would refuse. Two
    events with one key and different data are not found here: Redis knows the keys.
    """
    bulk = begin_bulk(app, None)
    try:
        for event in events:
            bulk.add(event)
            if bulk.is_due:
                bulk.drop()
    except ValidationError as error:
        error.index, error.stored = bulk.count, 0
        raise
    return bulk.count
