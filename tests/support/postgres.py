"""A PostgreSQL of this run, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg

from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.dev.embedded.process import ChildProcess

#: Where Debian keeps the programs of each version; they are not on PATH.
DEBIAN = Path("/usr/lib/postgresql")
#: Seconds that initdb may take.
INIT_S = 60


def find_postgres() -> Path | None:
    """The directory of `postgres` and `initdb`: the newest of Debian's, else that of PATH."""
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    places = [*versions, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((place for place in places if (place / "postgres").exists() and (place / "initdb").exists()), None)


class Postgres(ChildProcess):
    """An empty cluster on 127.0.0.1; nothing is synced to disk. A context manager."""

    def __init__(self, programs: Path) -> None:
        # Not among pytest's directories: it refuses to be root, and no other user may enter those.
        self._home = Path(tempfile.mkdtemp(prefix="postgres-"))
        super().__init__("postgres", self._home / "postgres.log")
        self._programs = programs
        self._data = self._home / "data"
        self.port = free_port()
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self._home, user.pw_uid, user.pw_gid)
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        else:
            self._as_user = []

    def url(self, database: str = "postgres") -> str:
        """For psycopg."""
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def initialize(self) -> None:
        """Make the cluster."""
        init = [self._programs / "initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [*self._as_user, *map(str, init), "--locale=C"],
            cwd=self._home,
            check=True,
            capture_output=True,
            timeout=INIT_S,
        )

    def remove(self) -> None:
        """Its data, after it has stopped."""
        shutil.rmtree(self._home, ignore_errors=True)

    def run(self, statement: str) -> None:
        """One statement, outside a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _command(self) -> Sequence[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        return [
            *self._as_user,
            str(self._programs / "postgres"),
            "-D",
            str(self._data),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ]

    def _is_ready(self) -> bool:
        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
