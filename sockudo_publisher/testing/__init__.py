"""For tests of applications: a recorder in place of the journal, servers of the test's own, and signed webhooks.

``capture_published()`` and pytest's fixture ``published`` need no Redis and no server; what connects to a server needs
the extra ``testing``. docs/testing.md has an example for each. The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..dev.embedded import DevServer
    from .capture import capture_published
    from .event import PublishedEvent
    from .recorded import Published
    from .recorder import ForkedProcess
    from .subscriber import AsyncSubscriber, ReceivedEvent, Subscriber
    from .webhook import sign_webhook

__all__ = [
    "AsyncSubscriber",
    "DevServer",
    "ForkedProcess",
    "Published",
    "PublishedEvent",
    "ReceivedEvent",
    "Subscriber",
    "capture_published",
    "sign_webhook",
]

_LAZY = {
    "AsyncSubscriber": ".subscriber",
    "ForkedProcess": ".recorder",
    "Published": ".recorded",
    "PublishedEvent": ".event",
    "ReceivedEvent": ".subscriber",
    "Subscriber": ".subscriber",
    "capture_published": ".capture",
    "sign_webhook": ".webhook",
}

#: Names that are looked for here and are pytest's fixtures.
_FIXTURES = frozenset({"published", "sockudo_real", "sockudo_server", "sockudo_stack", "sockudo_subscriber"})


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if name == "DevServer":
        value = _dev_server()
        globals()[name] = value
        return value
    if name in _FIXTURES:
        raise AttributeError(
            f"{name} is a fixture of pytest: name it as an argument of the test; elsewhere use capture_published() "
            "or a server's class"
        )
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def _dev_server() -> Any:
    """The embedded Sockudo; raises :class:`ModuleNotFoundError` that names the extra."""
    import_module(".extra", __name__).require_extra("DevServer")
    return import_module("..dev.embedded", __name__).DevServer
