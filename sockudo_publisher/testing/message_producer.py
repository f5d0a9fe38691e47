"""A producer of Celery messages without a broker: it serializes as kombu's does, and sends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.compression import compress
from kombu.serialization import dumps

__all__ = ["MessageProducer"]


class _Connection:
    """The part of kombu's connection that Celery uses around a send."""

    @contextmanager
    def _reraise_as_library_errors(self, **_: Any) -> Iterator[None]:
        yield


class MessageProducer:
    """Raises kombu's errors for what cannot be serialized or compressed."""

    connection = _Connection()

    def publish(self, body: Any, *, serializer: str | None = None, compression: str | None = None, **_: Any) -> None:
        """Serialize a message as production does."""
        content = dumps(body, serializer=serializer)[2]  # type: ignore[no-untyped-call]
        if compression:
            raw = content.encode() if isinstance(content, str) else content
            compress(raw, compression)  # type: ignore[no-untyped-call]
