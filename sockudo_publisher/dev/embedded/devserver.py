"""The package's development server (``devserver``) as a child process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from .answers import accepts, is_up
from .app import DEFAULT_APP, SockudoApp
from .ports import LOOPBACK, free_port
from .process import ChildProcess

__all__ = ["DevServer"]


class DevServer(ChildProcess):
    """``python -m sockudo_publisher.dev.devserver`` on 127.0.0.1, its log in ``directory``; needs the extra ``demo``.

    The arguments are those of :class:`SockudoServer` as far as it has them; ``dedup_ttl_s`` may be a fraction.
    ``args`` are further options of the command.
    """

    def __init__(
        self,
        directory: Path | str,
        apps: Sequence[SockudoApp] = (DEFAULT_APP,),
        *,
        port: int | None = None,
        dedup_ttl_s: float = 120.0,
        cache_max_capacity: int = 1_000_000,
        args: Sequence[str] = (),
    ) -> None:
        self.directory = Path(directory).absolute()
        super().__init__("dev-server", self.directory / "devserver.log")
        self.apps = tuple(apps)
        self.port = port or free_port()
        self._arguments = ["--port", str(self.port), "--dedup-ttl", str(dedup_ttl_s)]
        self._arguments += ["--dedup-capacity", str(cache_max_capacity)]
        # Limits are the same for all apps of a development server.
        for name, value in self.apps[0].limits.items():
            self._arguments += ["--limit", f"{name}={value}"]
        self._arguments += args

    @property
    def url(self) -> str:
        """The first app's ``SOCKUDO_URL``."""
        return self.url_of(self.apps[0])

    def url_of(self, app: SockudoApp) -> str:
        """An app's ``SOCKUDO_URL``."""
        return app.url(LOOPBACK, self.port)

    def ws_url(self, key: str | None = None) -> str:
        """Where subscribers connect (Pusher protocol 7); the first app's, unless another key is given."""
        return f"ws://{LOOPBACK}:{self.port}/app/{quote(key or self.apps[0].key, safe='')}?protocol=7"

    def restart(self) -> None:
        """SIGTERM and start again: it has forgotten every id."""
        self.stop()
        self.start()

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "sockudo_publisher.dev.devserver", *self._arguments]

    def _environ(self) -> dict[str, str]:
        # Not among the arguments, which every user of the machine can read.
        apps = [":".join(quote(part, safe="") for part in (app.id, app.key, app.secret)) for app in self.apps]
        return {**os.environ, "SOCKUDO_DEVSERVER_APPS": " ".join(apps)}

    def _is_ready(self) -> bool:
        return all(is_up(self.port, app) and accepts(self.port, app) for app in self.apps)
