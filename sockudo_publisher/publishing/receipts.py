"""The results of publishing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BulkReceipt", "Receipt"]


@dataclass(frozen=True)
class Receipt:
    """The server has accepted an event: its id, and the server's receipt by channel."""

    message_id: str
    acknowledgement_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BulkReceipt:
    """``publish_many`` has stored ``count`` events, ``already_stored`` of them in an earlier run."""

    count: int
    already_stored: int = 0
