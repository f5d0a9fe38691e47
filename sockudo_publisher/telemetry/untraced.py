"""Keep the doorbell out of every trace, also of those that an instrumentation of the application makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["untraced"]


@contextmanager
def untraced() -> Iterator[None]:
    """Let the stock instrumentations (of Redis, of AMQP) make no span in this block.

    Nothing is imported: without OpenTelemetry in the process there is nothing to keep quiet.
    """
    contexts = sys.modules.get("opentelemetry.context")
    key = getattr(contexts, "_SUPPRESS_INSTRUMENTATION_KEY", None)
    if contexts is None or key is None:
        yield
        return
    token = contexts.attach(contexts.set_value(key, True))
    try:
        yield
    finally:
        contexts.detach(token)
