"""A MariaDB of this run, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.dev.embedded.process import ChildProcess

#: Where systems keep the server; not on everybody's PATH.
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"])
#: The number of the user without rights.
UNPRIVILEGED = 65534
#: Seconds that the making of the system tables may take.
INIT_S = 120


def find_mariadb() -> Path | None:
    """The server's program, if the one that makes its tables is there too."""
    server = shutil.which("mariadbd", path=PLACES)
    return Path(server) if server and shutil.which("mariadb-install-db", path=PLACES) else None


class MariaDB(ChildProcess):
    """An empty server on 127.0.0.1; nothing is synced to disk. A context manager."""

    def __init__(self, server: Path) -> None:
        # Not among pytest's directories: no other user may enter those.
        self._home = Path(tempfile.mkdtemp(prefix="mariadb-"))
        super().__init__("mariadb", self._home / "mariadb.log")
        self._server = server
        self._data = self._home / "data"
        self.port = free_port()
        user = pwd.getpwuid(UNPRIVILEGED if os.geteuid() == 0 else os.geteuid())
        self._user = user.pw_name
        os.chown(self._home, user.pw_uid, user.pw_gid)

    def url(self, database: str) -> str:
        """For SQLAlchemy, and what the tests' Django project reads."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def initialize(self) -> None:
        """Make the system tables; root has no password."""
        program = str(shutil.which("mariadb-install-db", path=PLACES))
        options = [f"--datadir={self._data}", f"--user={self._user}", "--auth-root-authentication-method=normal"]
        subprocess.run(
            [program, "--no-defaults", *options, "--skip-test-db"],
            cwd=self._home,
            check=True,
            capture_output=True,
            timeout=INIT_S,
        )

    def remove(self) -> None:
        """Its data, after it has stopped."""
        shutil.rmtree(self._home, ignore_errors=True)

    def run(self, statement: str) -> None:
        """One statement."""
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True) as connection:
            connection.cursor().execute(statement)

    def _command(self) -> Sequence[str]:
        options = {
            "datadir": self._data,
            "user": self._user,
            "bind-address": "127.0.0.1",
            "port": self.port,
            "socket": self._home / "socket",
            "pid-file": self._home / "pid",
            "character-set-server": "utf8mb4",
            "innodb-flush-log-at-trx-commit": 0,
            "innodb-buffer-pool-size": "16M",
            "innodb-log-file-size": "8M",
        }
        return [str(self._server), "--no-defaults", *(f"--{name}={value}" for name, value in options.items())]

    def _is_ready(self) -> bool:
        import pymysql

        try:
            self.run("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True
