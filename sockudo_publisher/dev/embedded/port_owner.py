"""Which process listens on a port, as far as the system shows it (Linux, the user's own processes)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["find_port_owner"]

#: The state of a listening socket in /proc/net/tcp.
_LISTENING = "0A"


def find_port_owner(port: int) -> str | None:
    """``"redis-server, process 123"``, or ``None`` where it cannot be seen."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (directory / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(descriptor) in inodes:
                        name = (directory / "comm").read_text(errors="replace").strip()
                        return f"{name if name.isprintable() else 'a program'}, process {directory.name}"
    return None


def _listening_inodes(port: int) -> set[str]:
    """The names that /proc gives to the sockets that listen on the port."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError, IndexError, ValueError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
