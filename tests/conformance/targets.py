"""What facts are observed on: the real server, the embedded one, or a server that is already running.

Facts share servers: a `Setup` is started once in a process. A URL is one app of a server with unknown settings, so
that facts which need their own server or a second app are skipped there.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sockudo_publisher.dev.embedded import DevServerProcess, SockudoApp, SockudoServer, find_sockudo
from sockudo_publisher.dev.embedded.ports import LOOPBACK
from sockudo_publisher.dev.embedded.sockudo import sockudo_version
from tests.support.parts import need, not_for_this_case

from .http import Address, App, Http
from .socket import Socket

__all__ = ["CLIENT_EVENTS", "CLOSED", "FEATURES", "MAIN", "SECOND", "Node", "Setup", "Target", "default_target"]

#: Seconds that ids are remembered where a test does not wait for the end of it.
DEDUP_TTL_S = 60

FEATURES = {"enable_client_messages": True, "enable_user_authentication": True}
#: Client events of one socket in a second, above any test's: without a limit the server's own is small.
CLIENT_EVENTS = {"max_client_events_per_second": 1000}

#: The app of most facts: everything that protocol 7 has, no limits of its own.
MAIN = SockudoApp("facts", "facts-key", "facts-secret", CLIENT_EVENTS, {"features": FEATURES})
SECOND = SockudoApp("second", "second-key", "second-secret", CLIENT_EVENTS, {"features": FEATURES})
#: An app as it comes: no client events, no sign-in.
CLOSED = SockudoApp("closed", "closed-key", "closed-secret", {}, {})


@dataclass(frozen=True)
class Setup:
    """A server as a group of facts needs it. `settings` are the real server's, nested as in its file."""

    name: str
    apps: tuple[SockudoApp, ...] = (MAIN, SECOND, CLOSED)
    dedup_ttl_s: int = DEDUP_TTL_S
    cache_max_capacity: int = 1_000_000
    history: bool = False
    shutdown_grace_s: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Whether a server at a URL will do, with its settings as they are.
    is_plain: bool = False
    #: Why the embedded server cannot have this setup; empty if it can.
    not_embedded: str = ""


class Node(Http):
    """One app of a running server. `server` is its process, which a server at a URL does not have."""

    server: Any

    def __init__(self, address: Address, app: App, others: Mapping[str, App], server: Any = None) -> None:
        super().__init__(address, app)
        self._others = dict(others)
        if server is not None:
            self.server = server

    def of(self, app: SockudoApp) -> Node:
        """Another app of this server."""
        if app.id not in self._others:
            not_for_this_case("a server at a URL has the one app that the URL names")
        return Node(self.address, self._others[app.id], self._others, getattr(self, "server", None))

    def socket(self, protocol: str = "protocol=7", **how: Any) -> Socket:
        """A greeted connection."""
        return Socket(self.address, self.app, protocol=protocol, **how)


def default_target() -> str:
    """The real server where there is one."""
    return "real" if not os.environ.get("WITHOUT_SOCKUDO") and find_sockudo() else "embedded"


class Target:
    """`real`, `embedded` or a URL. Starts each setup once, and ends all of them with `close`."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.kind = name if name in ("real", "embedded") else "url"
        self._directory = directory
        self._ends = contextlib.ExitStack()
        self._nodes: dict[str, Node] = {}

    @property
    def release(self) -> str:
        """The real server's version; of the others their kind."""
        program = find_sockudo() if self.kind == "real" else None
        return sockudo_version(program) if program else self.kind

    def node(self, setup: Setup) -> Node:
        """The server of this setup, which other facts use too."""
        if setup.name not in self._nodes:
            self._nodes[setup.name] = self._ends.enter_context(self.own_node(setup))
        return self._nodes[setup.name]

    @contextlib.contextmanager
    def own_node(self, setup: Setup) -> Iterator[Node]:
        """A server of this setup that the caller may stop or fill."""
        if self.kind == "url":
            if not setup.is_plain:
                not_for_this_case(f"needs a server of its own ({setup.name}), and this one is only reached by its URL")
            address, app = Address.of(self.name)
            yield Node(address, app, {})
            return
        with self._started(setup) as server:
            apps = {one.id: App(one.id, one.key, one.secret) for one in setup.apps}
            yield Node(Address(LOOPBACK, server.port), apps[setup.apps[0].id], apps, server)

    def _started(self, setup: Setup) -> DevServerProcess | SockudoServer:
        """Both as a process: facts stop and kill it."""
        directory = self._directory / f"{setup.name}-{uuid.uuid4().hex[:8]}"
        make: type[DevServerProcess | SockudoServer] = DevServerProcess
        if self.kind == "real":
            need("sockudo")
            make = SockudoServer
        elif setup.not_embedded:
            not_for_this_case(setup.not_embedded)
        return make(
            directory,
            setup.apps,
            dedup_ttl_s=setup.dedup_ttl_s,
            cache_max_capacity=setup.cache_max_capacity,
            history=setup.history,
            shutdown_grace_s=setup.shutdown_grace_s,
            settings=setup.settings,
        )

    def close(self) -> None:
        self._nodes.clear()
        self._ends.close()
