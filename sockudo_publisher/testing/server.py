"""The server of the fixtures ``sockudo_server`` and ``sockudo_stack``, whichever form the embedded one has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..dev import embedded
from ..dev.embedded import DevServer, SockudoApp
from ..wiring import app as apps
from ..wiring.doorbell import doorbell

__all__ = ["APP", "IS_IN_PROCESS", "TestServer", "close_connections"]

#: The app of the fixtures.
APP = SockudoApp(id="test-app", key="test-key", secret="test-secret")

#: Whether the embedded server runs in a thread of this process, and can be emptied; else it is a child process.
IS_IN_PROCESS = hasattr(embedded, "DevServerProcess")


class TestServer:
    """The embedded Sockudo. What is not named here is the server's own: ``faults``, ``events``, ``restart()``."""

    __test__ = False  # no class of tests for pytest

    def __init__(self, directory: Path, apps: Sequence[SockudoApp] = (APP,)) -> None:
        make: Any = DevServer
        self._server: Any = make(apps) if IS_IN_PROCESS else make(directory, apps)
        self._apps = apps
        self._server.start()

    @property
    def url(self) -> str:
        """The first app's ``SOCKUDO_URL``."""
        return str(self._server.url_of(self._apps[0]))

    @property
    def app_id(self) -> str:
        """The first app's id."""
        return self._apps[0].id

    @property
    def key(self) -> str:
        """The first app's key, which subscribers name."""
        return self._apps[0].key

    @property
    def secret(self) -> str:
        """The first app's secret."""
        return self._apps[0].secret

    def url_of(self, app: SockudoApp) -> str:
        """An app's ``SOCKUDO_URL``."""
        return str(self._server.url_of(app))

    def ws_url(self) -> str:
        """Where subscribers of the first app connect."""
        return str(self._server.ws_url(self.key))

    def empty(self) -> None:
        """Forget ids, events and faults: the next test finds a new server."""
        if IS_IN_PROCESS:
            self._server.clear()
            self._server.faults.forget_ids()
        else:
            self._server.restart()

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._server, name)

    def __repr__(self) -> str:
        return f"<TestServer port={self._server.port}>"


def close_connections() -> None:
    """Close what this process has open to a server that ends: a test may take open sockets for an error."""
    for app in list(apps._apps.values()):
        for connection in app.producer._link._free:
            connection.disconnect()
        client = app.__dict__.get("_client")
        if client is not None:
            client.close()
    doorbell._close()
