"""The server of the fixtures ``sockudo_server`` and ``sockudo_stack``: a thread of this process."""

from __future__ import annotations

from ..dev.embedded import DevServer, SockudoApp
from ..wiring import app as apps
from ..wiring.doorbell import doorbell

__all__ = ["APP", "TestServer", "close_connections"]

#: The app of the fixtures.
APP = SockudoApp(id="test-app", key="test-key", secret="test-secret")


class TestServer(DevServer):
    """A ``DevServer`` that each test finds as new."""

    __test__ = False  # no class of tests for pytest

    def empty(self) -> None:
        """Let the next test find a new server, on the same port."""
        self.faults.clear()
        if self.is_running:
            self._control.reset()
        else:
            self._core.reset()
            self.start()


def close_connections() -> None:
    """Close what this process has open to a server that ends: a test may take open sockets for an error."""
    for app in list(apps._apps.values()):
        for connection in app.producer._link._free:
            connection.disconnect()
        client = app.__dict__.get("_client")
        if client is not None:
            client.close()
    doorbell._close()
