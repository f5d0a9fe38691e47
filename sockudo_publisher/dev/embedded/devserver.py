"""The package's development server (``devserver``) as a child process. In a thread of this one: ``DevServer``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .answers import accepts, is_up
from .app import DEFAULT_APP, SockudoApp
from .ports import LOOPBACK, free_port
from .private import make_private_directory, write_private
from .process import ChildProcess
from .toml import merged

__all__ = ["DevServerProcess"]


class DevServerProcess(ChildProcess):
    """``python -m sockudo_publisher.dev.devserver`` on 127.0.0.1, its log in ``directory``; needs the extra ``demo``.

    The arguments are those of :class:`SockudoServer` as far as it has them; ``dedup_ttl_s`` may be a fraction.
    ``settings`` are further settings of the server, nested as in its file; ``args`` further options of the command.
    """

    def __init__(
        self,
        directory: Path | str,
        apps: Sequence[SockudoApp] = (DEFAULT_APP,),
        *,
        port: int | None = None,
        dedup_ttl_s: float = 120.0,
        cache_max_capacity: int = 1_000_000,
        history: bool = False,
        shutdown_grace_s: int = 0,
        settings: Mapping[str, Any] | None = None,
        args: Sequence[str] = (),
    ) -> None:
        self.directory = Path(directory).absolute()
        super().__init__("dev-server", self.directory / "devserver.log")
        self.apps = tuple(apps)
        self.port = port or free_port()
        self._settings = merged(
            {
                "host": LOOPBACK,
                "port": self.port,
                "cache": {"memory": {"max_capacity": cache_max_capacity}},
                "history": {"enabled": history},
                "shutdown_grace_period": shutdown_grace_s,
                "app_manager": {"array": {"apps": [_app_settings(app) for app in self.apps]}},
            },
            settings or {},
        )
        self._arguments = ["--dedup-ttl", str(dedup_ttl_s), *args]

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

    def launch(self) -> None:
        """Write the configuration and start without waiting."""
        make_private_directory(self.directory)
        # The secrets are in a file of this user alone: every user of the machine can read arguments.
        write_private(self._file, json.dumps(self._settings))
        super().launch()

    @property
    def _file(self) -> Path:
        return self.directory / "devserver.json"

    def _command(self) -> list[str]:
        program = [sys.executable, "-m", "sockudo_publisher.dev.devserver"]
        return [*program, "--config", str(self._file), *self._arguments]

    def _is_ready(self) -> bool:
        return all(is_up(self.port, app) and accepts(self.port, app) for app in self.apps)


def _app_settings(app: SockudoApp) -> dict[str, Any]:
    policy = merged({"limits": dict(app.limits)}, app.policy)
    return {"id": app.id, "key": app.key, "secret": app.secret, "enabled": True, "policy": policy}
