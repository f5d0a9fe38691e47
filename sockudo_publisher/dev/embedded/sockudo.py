"""A real Sockudo: find the binary, write its configuration, run it.

Settings and their reasons: worker/sockudo.toml (what production needs) and docs/server.md, 10.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .answers import accepts, is_up
from .app import DEFAULT_APP, SockudoApp
from .errors import PartMissing
from .ports import LOOPBACK, free_port
from .private import make_private_directory, write_private
from .process import ChildProcess
from .toml import dumps, merged

__all__ = ["SockudoServer", "find_sockudo", "sockudo_version"]

#: Seconds for the binary to say its version.
VERSION_TIMEOUT_S = 10.0
#: Seconds that ids are remembered, the server's own default.
DEDUP_TTL_S = 120
#: Ids that are remembered: above any test's events. The server's default of 10,000 forgets all newer ones.
CACHE_MAX_CAPACITY = 1_000_000
#: Messages that may wait for one slow subscriber: past the server's default of 1,000 they are dropped in silence.
MAX_WAITING_MESSAGES = 100_000

# The variables that a child inherits: the server lets variables override its file (PORT, REDIS_URL, ...).
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")


def find_sockudo() -> Path | None:
    """The binary: ``SOCKUDO_BIN``, ``sockudo`` on PATH, ``../shared/bin/sockudo`` beside a checkout; else ``None``.

    Raises :class:`PartMissing` when ``SOCKUDO_BIN`` names something that cannot be run.
    """
    if named := os.environ.get("SOCKUDO_BIN"):
        if shutil.which(named) is None:
            raise PartMissing("SOCKUDO_BIN: not a program that can be run")
        return Path(named).absolute()
    if found := shutil.which("sockudo"):
        return Path(found)
    root = Path(__file__).resolve().parents[3]
    beside = root.parent / "shared" / "bin" / "sockudo"
    if (root / "pyproject.toml").is_file() and os.access(beside, os.X_OK):
        return beside
    return None


@lru_cache(maxsize=8)
def sockudo_version(program: Path) -> str:
    """What ``--version`` says, as in ``5.2.0``; empty when it does not say."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.split()[-1] if told.strip() else ""


class SockudoServer(ChildProcess):
    """A real Sockudo node on 127.0.0.1, with its configuration and log in ``directory``.

    ``apps``: the first is the one of :attr:`url`. ``dedup_ttl_s`` is how long ids are remembered (whole
    seconds, at least 1), ``cache_max_capacity`` how many, with the memory cache; ``cache_redis_url`` takes
    the Redis cache instead. ``history`` keeps channel history in memory. ``settings`` are further settings of the
    server, nested as in its file, over those made here. The port stays the same over restarts.
    """

    def __init__(
        self,
        directory: Path | str,
        apps: Sequence[SockudoApp] = (DEFAULT_APP,),
        *,
        port: int | None = None,
        dedup_ttl_s: int = DEDUP_TTL_S,
        cache_max_capacity: int = CACHE_MAX_CAPACITY,
        cache_redis_url: str | None = None,
        history: bool = False,
        shutdown_grace_s: int = 0,
        settings: Mapping[str, Any] | None = None,
        program: Path | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        super().__init__("sockudo", self.directory / "sockudo.log")
        found = program or find_sockudo()
        if found is None:
            raise PartMissing("no Sockudo found: set SOCKUDO_BIN, or put `sockudo` on PATH (cargo install sockudo)")
        self.program = found
        self.apps = tuple(apps)
        self.port = port or free_port()
        self._settings = merged(
            {
                "host": LOOPBACK,
                "port": self.port,
                "mode": "production",
                "shutdown_grace_period": shutdown_grace_s,
                "adapter": {"driver": "local"},
                "cache": {
                    "driver": "memory" if cache_redis_url is None else "redis",
                    # Caps every entry's own time to live.
                    "memory": {"max_capacity": cache_max_capacity, "ttl": max(300, dedup_ttl_s)},
                    **({} if cache_redis_url is None else {"redis": {"url_override": cache_redis_url}}),
                },
                "idempotency": {"enabled": True, "ttl_seconds": dedup_ttl_s},
                "queue": {"driver": "memory"},
                "rate_limiter": {"enabled": False},
                "websocket": {"max_messages": MAX_WAITING_MESSAGES},
                "history": {"enabled": history, "backend": "memory"},
                "metrics": {"enabled": False},
                "push": {"allow_memory_drivers": True},
                "app_manager": {"array": {"apps": [_app_settings(app, dedup_ttl_s) for app in self.apps]}},
            },
            settings or {},
        )

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
        """SIGTERM and start again: the memory cache has forgotten every id."""
        self.stop()
        self.start()

    def launch(self) -> None:
        """Write the configuration and start without waiting."""
        make_private_directory(self.directory)
        write_private(self._file, dumps(self._settings))  # it holds the secrets
        super().launch()

    @property
    def _file(self) -> Path:
        return self.directory / "sockudo.toml"

    def _command(self) -> list[str]:
        return [str(self.program), "--config", str(self._file)]

    def _environ(self) -> dict[str, str]:
        passed_on = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        return {**passed_on, "RUST_LOG": "warn"}

    def _is_ready(self) -> bool:
        return all(is_up(self.port, app) and accepts(self.port, app) for app in self.apps)


def _app_settings(app: SockudoApp, dedup_ttl_s: int) -> dict[str, Any]:
    return {
        "id": app.id,
        "key": app.key,
        "secret": app.secret,
        "enabled": True,  # false by default, and then no WebSocket is let in
        "policy": merged(
            {"limits": dict(app.limits), "idempotency": {"enabled": True, "ttl_seconds": dedup_ttl_s}}, app.policy
        ),
    }
