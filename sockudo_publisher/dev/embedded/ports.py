"""Free TCP ports of the loopback address."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

__all__ = ["LOOPBACK", "free_port", "free_ports"]

LOOPBACK = "127.0.0.1"
#: The lowest port given out: above those of well-known services.
LOWEST_PORT = 10_240
#: Where Linux starts the ports of outgoing connections, when the system does not say.
EPHEMERAL_LOW = 32_768
#: Ports tried before the system is asked for any; each is free with a chance far above a half.
ATTEMPTS = 200

# Not the process' own generator: seeded alike, two processes would be given the same ports.
_random = random.SystemRandom()

# What this process has given out: a server may not have bound its port yet when the next one is asked for.
_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that is free, and that this process has not returned before.

    Below the range of outgoing connections: a server that restarts on its port would otherwise find it
    taken by a client's connection, and a client that retries a stopped server can connect to itself.
    """
    highest = _ephemeral_low() - 1
    for _ in range(ATTEMPTS):
        port = _random.randint(LOWEST_PORT, highest)
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    with socket.socket() as any_port:
        any_port.bind((LOOPBACK, 0))
        return int(any_port.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """``count`` different free ports."""
    return [free_port() for _ in range(count)]


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def _ephemeral_low() -> int:
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_LOW
    return low if low > LOWEST_PORT + ATTEMPTS else EPHEMERAL_LOW
