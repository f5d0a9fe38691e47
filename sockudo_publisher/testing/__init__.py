"""For tests of applications: a recorder in place of the journal, servers of the test's own, and signed webhooks.

``capture_published()`` and pytest's fixture ``published`` need no Redis and no server; what connects to a server needs
the extra ``testing``. docs/testing.md has an example for each. The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capture import capture_published
    from .event import PublishedEvent
    from .published import Published
    from .recorder import ForkedProcess

__all__ = ["ForkedProcess", "Published", "PublishedEvent", "capture_published"]

_LAZY = {
    "ForkedProcess": ".recorder",
    "Published": ".published",
    "PublishedEvent": ".event",
    "capture_published": ".capture",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value
