"""How large the next batch may be: the settings, what the server has shown, the search, the rate limit. Pure."""

from __future__ import annotations

from typing import TypedDict

from ..journal.app.shared import Limits
from .window import FORGETFUL_BATCH, Policy

__all__ = ["BatchBounds", "bound_batch"]


class BatchBounds(TypedDict):
    """The arguments of a take: items, and bytes of the request body."""

    max_items: int
    max_bytes: int


def bound_batch(
    policy: Policy, limits: Limits, *, max_items: int | None, tokens: int | None, is_forgetful: bool
) -> BatchBounds:
    """Bound the next batch.

    ``max_items``: by the search for a culprit, ``None``: not bounded; ``tokens``: of the rate limit, 0 or ``None``: not
    bounded yet; ``is_forgetful``: canaries have shown that the server forgets ids.
    """
    items = min(policy.batch_max_events, limits.events or policy.batch_max_events)
    items = min(items, tokens or items)
    if is_forgetful and policy.on_uncertain == "park":
        items = min(items, FORGETFUL_BATCH)
    return {
        "max_items": min(items, max_items or items),
        "max_bytes": min(policy.batch_max_bytes, limits.bytes or policy.batch_max_bytes),
    }
