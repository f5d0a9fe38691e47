"""Real parts on this machine, started and stopped from Python: for the demo, ``make stack`` and the tests.

A Redis, a Sockudo, the development server (``devserver``) and Celery workers, each a child process of its own
process group, on free ports of 127.0.0.1, with a log file. Everything started here ends with the
process that started it, however that ends. ``DevServer`` is the development server in a thread instead.
May import the standard library, redis, and the package's ``errors``, ``client.signing`` and ``dev.devserver``;
nothing of the core imports this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .app import DEFAULT_APP, SockudoApp
from .devserver import DevServerProcess
from .errors import EmbeddedError, PartFailed, PartMissing
from .ports import free_port, free_ports
from .process import ChildProcess
from .redis import RedisServer, find_redis_server, redis_server_version
from .sockudo import SockudoServer, find_sockudo
from .worker import WorkerProcess

if TYPE_CHECKING:
    from ..devserver.running import DevServer

__all__ = [
    "DEFAULT_APP",
    "ChildProcess",
    "DevServer",
    "DevServerProcess",
    "EmbeddedError",
    "PartFailed",
    "PartMissing",
    "RedisServer",
    "SockudoApp",
    "SockudoServer",
    "WorkerProcess",
    "find_redis_server",
    "find_sockudo",
    "free_port",
    "free_ports",
    "redis_server_version",
]


def __getattr__(name: str) -> Any:
    """``DevServer``, loaded when it is used: it needs the extra ``demo``."""
    if name == "DevServer":
        from ..devserver.running import DevServer

        return DevServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
