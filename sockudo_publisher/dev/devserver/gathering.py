"""A transport that gathers what is written in one turn of the loop: one system call instead of one for each frame."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["GatheringTransport"]


class GatheringTransport(asyncio.Transport):
    """Another transport, with its writes joined. What is written before a close is sent before it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._waiting: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def write(self, data: Any) -> None:
        """Queue bytes until the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(bytes(data))

    def close(self) -> None:
        """Send what is queued, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._waiting.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """The bytes that the system has not taken."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._waiting))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the other transport."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether the other transport is closed, or about to be."""
        return self._transport.is_closing()

    def is_reading(self) -> bool:
        """Whether bytes are received."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Receive no more, for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol takes over."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in charge."""
        return self._transport.get_protocol()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Of the other transport."""
        self._transport.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """Whether the sending half can be closed alone."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Close the sending half, behind what is queued."""
        self._flush()
        self._transport.write_eof()

    def _flush(self) -> None:
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            if not self._transport.is_closing():
                self._transport.write(data)
