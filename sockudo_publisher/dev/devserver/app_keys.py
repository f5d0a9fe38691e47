"""``idempotency_key`` of an app: the server's outer memory, which compares no payload. Facts: docs/server.md, 3.3, 3.4.

A key is claimed before its event is checked, and no failure releases it: that is what the real server does. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .refusal import Refusal

__all__ = ["PROCESSING", "KeyMemory", "check_app_key"]

#: Bytes of a key (``idempotency.max_key_length``).
MAX_KEY_BYTES = 128

#: The value of a key that is claimed and not answered.
PROCESSING = object()


class KeyMemory:
    """The keys of all apps and their answers. ``clock`` in seconds, never going back."""

    def __init__(self, ttl_s: float, capacity: int, clock: Callable[[], float]) -> None:
        self.ttl_s = ttl_s
        self.capacity = capacity
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def get(self, key: str) -> Any:
        """The key's answer, :data:`PROCESSING`, or ``None``."""
        self._expire()
        return self._values.get(key, (0.0, None))[1]

    def set(self, key: str, value: Any) -> None:
        """Claim the key, or keep its answer. A full memory keeps no new key."""
        if key not in self._values and len(self._values) >= self.capacity:
            return
        self._values[key] = (self._clock() + self.ttl_s, value)
        self._values.move_to_end(key)

    def forget(self) -> None:
        """Remove all, as a restart does."""
        self._values.clear()

    def resize(self, capacity: int) -> None:
        """Hold at most this number of keys."""
        self.capacity = capacity
        while len(self._values) > capacity:
            self._values.popitem()

    def _expire(self) -> None:
        now = self._clock()
        while self._values:
            key, (expires_at, _) = next(iter(self._values.items()))
            if expires_at > now:
                return
            del self._values[key]


def check_app_key(key: str) -> None:
    """1 to 128 bytes. Raises :class:`Refusal`, before anything is claimed."""
    if not key:
        raise Refusal(400, "invalid_input", "Idempotency key must not be empty")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise Refusal(400, "invalid_input", f"Idempotency key exceeds maximum length of {MAX_KEY_BYTES} characters")
