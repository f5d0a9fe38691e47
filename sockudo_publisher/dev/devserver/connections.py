"""The transports of the server's connections, by the client's address: to drop one instead of answering."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakValueDictionary

__all__ = ["Connections"]

#: SO_LINGER: on, no time; closing such a socket resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)


class Connections:
    """What the HTTP protocol notes when a connection is made and lost."""

    def __init__(self) -> None:
        # Weak: a connection that becomes a WebSocket is lost elsewhere.
        self._transports: WeakValueDictionary[Any, asyncio.Transport] = WeakValueDictionary()

    def add(self, transport: asyncio.Transport) -> None:
        """A connection was made."""
        self._transports[_address(transport.get_extra_info("peername"))] = transport

    def remove(self, transport: asyncio.Transport | None) -> None:
        """It is lost."""
        if transport is not None:
            self._transports.pop(_address(transport.get_extra_info("peername")), None)

    def drop(self, scope: MutableMapping[str, Any], *, resets: bool = False) -> None:
        """Close the connection of a request without an answer. ``resets``: with RST."""
        transport = self._transports.get(_address(scope.get("client")))
        if transport is None:
            return
        if resets:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()


def _address(peer: Any) -> Any:
    return tuple(peer[:2]) if isinstance(peer, list | tuple) else peer
