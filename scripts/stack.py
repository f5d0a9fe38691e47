"""The parts of docker-compose.yml on this machine, without Docker.

The command lines, the environment and the configuration files are the composed ones, read from docker-compose.yml and
worker/; nothing is changed but addresses (every port is found free) and directories. The secrets are made for the run
by worker/make-secrets. All files are in one directory that no other user can enter. What the settings mean stands
beside them in those files; stack_check.py shows on the running parts that they do it.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
import yaml

from scripts.stack_secrets import SECRETS, application_environment, make_secrets
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.dev.embedded import ChildProcess, PartMissing, find_redis_server, find_sockudo, free_ports
from sockudo_publisher.dev.embedded.private import write_private

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ports:
    """Where the parts listen, on 127.0.0.1. ``metrics``: of Sockudo; ``worker``: the worker's metrics and probes."""

    redis: int
    sockudo: int
    metrics: int
    nginx: int
    worker: int = 0


def interpolated(value: Any, environ: Mapping[str, str]) -> Any:
    """A value of docker-compose.yml as compose would have it: `${NAME:-default}` replaced, `$$` one dollar.

    Raises KeyError for a `${NAME:?message}` that is not set.
    """
    if isinstance(value, dict):
        return {name: interpolated(inner, environ) for name, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, environ) for inner in value]
    if isinstance(value, str):
        named = re.sub(r"(?<!\$)\$\{(\w+):([-?])([^}]*)\}", lambda match: _variable(environ, *match.groups()), value)
        return named.replace("$$", "$")
    return value


def _variable(environ: Mapping[str, str], name: str, kind: str, text: str) -> str:
    if kind == "?" and not environ.get(name):
        raise KeyError(f"{name}: {text}")
    return environ.get(name) or text


def services(environ: Mapping[str, str]) -> dict[str, Any]:
    """The services of docker-compose.yml by name, with this environment's values."""
    composed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return {name: interpolated(service, environ) for name, service in composed["services"].items()}


def addressed(text: str, ports: Ports) -> str:
    """The text with the services' names and ports replaced by where they listen here."""
    for name, port in {"redis:6379": ports.redis, "sockudo:6001": ports.sockudo, "nginx:8080": ports.nginx}.items():
        text = text.replace(name, f"127.0.0.1:{port}")
    return text


def redis_command(composed: Mapping[str, Any], program: str, ports: Ports, directory: Path) -> list[str]:
    """Redis' composed command line, with this machine's program, an address and a directory."""
    _, *arguments = composed["redis"]["command"]
    return [program, *arguments, "--bind", "127.0.0.1", "--port", str(ports.redis), "--dir", str(directory)]


def entered(service: Mapping[str, Any], command: Sequence[str], secrets: Path) -> list[str]:
    """A command line behind its service's composed entry point, which reads the secrets."""
    return [*(part.replace(SECRETS, str(secrets)) for part in service.get("entrypoint", ())), *command]


def sockudo_command(composed: Mapping[str, Any], binary: str) -> list[str]:
    """Sockudo's composed command line, with this machine's binary and the mounted file where it lies here."""
    mounts = dict(volume.split(":")[1::-1] for volume in composed["sockudo"]["volumes"])
    _, *arguments = composed["sockudo"]["command"]
    return [binary, *(str(ROOT / mounts[argument]) if argument in mounts else argument for argument in arguments)]


def sockudo_environment(composed: Mapping[str, Any], ports: Ports) -> dict[str, str]:
    """Sockudo's composed environment and the addresses, by the variables that override its file."""
    addresses = {"HOST": "127.0.0.1", "PORT": str(ports.sockudo)}
    metrics = {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(ports.metrics)}
    return {**composed["sockudo"]["environment"], **addresses, **metrics, "RUST_LOG": "warn"}


def nginx_configuration(text: str, ports: Ports, directory: Path) -> str:
    """worker/nginx.conf with addresses and a directory of this run."""
    return (
        addressed(text, ports)
        .replace("listen 8080;", f"listen 127.0.0.1:{ports.nginx};")
        .replace("/tmp/", f"{directory}/")
    )


def worker_command() -> list[str]:
    """The CMD of worker/Dockerfile."""
    command: list[str] = json.loads(re.findall(r"^CMD (.+)$", (ROOT / "worker" / "Dockerfile").read_text(), re.M)[-1])
    return [sys.executable, "-m", *command]


def worker_environment(composed: Mapping[str, Any], secrets: Path, ports: Ports) -> dict[str, str]:
    """The worker's composed environment, with the secrets' files where they lie here, and a port of this machine."""
    environment: dict[str, str] = composed["worker"]["environment"]
    here = {name: value.replace(SECRETS, str(secrets)) for name, value in environment.items()}
    return {**here, "SOCKUDO_METRICS_HOST": "127.0.0.1", "SOCKUDO_METRICS_PORT": str(ports.worker)}


def worker_healthcheck(composed: Mapping[str, Any], ports: Ports) -> list[str]:
    """The worker's composed health check, with this Python and this port."""
    service = composed["worker"]
    kind, program, *arguments = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    port = service["environment"]["SOCKUDO_METRICS_PORT"]
    return [sys.executable, *(one.replace(port, str(ports.worker)) for one in arguments)]


@dataclass(frozen=True)
class Programs:
    """What the parts run, on this machine."""

    redis: Path
    sockudo: Path
    nginx: Path


def programs() -> Programs:
    """Find them. Raises PartMissing for the first that is not here."""
    sockudo = find_sockudo()
    if sockudo is None:
        raise PartMissing("no Sockudo found: SOCKUDO_BIN names its binary, or put `sockudo` on PATH")
    return Programs(redis=find_redis_server(), sockudo=sockudo, nginx=find_nginx())


def find_nginx() -> Path:
    """On PATH or where systems keep servers. Raises PartMissing."""
    found = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        raise PartMissing("no nginx found on PATH (apt install nginx-light)")
    return Path(found)


class Part(ChildProcess):
    """One service of the file as a child process, stopped with its own signal and within its own time."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        answers: Callable[[], bool],
        *,
        service: Mapping[str, Any],
        directory: Path,
    ) -> None:
        """`answers` tells whether it does what it is there for; `service` is its entry in the file."""
        super().__init__(name, directory / f"{name}.log")
        self._arguments = list(command)
        self._added = dict(environ)
        self._answers = answers
        self._stop_signal = signal.Signals[service.get("stop_signal", "SIGTERM")]
        self._grace_s = float(service["stop_grace_period"].removesuffix("s"))

    def terminate(self) -> None:
        """Send the service's stop signal."""
        self._signal_leader(self._stop_signal)

    def stop(self, timeout_s: float | None = None) -> int:
        """As compose would: the signal, the grace period, then SIGKILL."""
        return super().stop(self._grace_s if timeout_s is None else timeout_s)

    def _command(self) -> list[str]:
        return self._arguments

    def _environ(self) -> dict[str, str]:
        # Without this process' own settings: the composed ones are complete.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
        return {**ours, **self._added}

    def _directory(self) -> Path:
        return ROOT

    def _is_ready(self) -> bool:
        return self._answers()


@dataclass(frozen=True)
class Stack:
    """A running stack: where its parts are. `environment` holds the settings of an application."""

    ports: Ports
    directory: Path
    worker: Part
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """SOCKUDO_URL, through nginx."""
        return self.environment["SOCKUDO_URL"]

    @property
    def direct_url(self) -> str:
        """The same without nginx: only to see what nginx is there for."""
        return self.url.replace(f":{self.ports.nginx}/", f":{self.ports.sockudo}/")

    @property
    def key(self) -> str:
        """The app's key, which subscribers name."""
        return Credentials.from_url(self.url).key

    @property
    def websocket_url(self) -> str:
        """Where subscribers connect (Pusher protocol 7)."""
        return f"ws://127.0.0.1:{self.ports.sockudo}/app/{quote(self.key, safe='')}?protocol=7"


@contextmanager
def running() -> Iterator[Stack]:
    """Start the parts in the order in which they need each other; stop them in reverse, as compose would."""
    program = programs()
    composed = services(os.environ)
    with ExitStack() as stop:
        directory = Path(stop.enter_context(tempfile.TemporaryDirectory(prefix="sockudo-stack-")))
        ports = Ports(*free_ports(5))
        app = composed["sockudo"]["environment"]["SOCKUDO_APP_ID"]
        secrets = directory / "secrets"
        make_secrets(secrets, app, lambda text: addressed(text, ports))
        settings = worker_environment(composed, secrets, ports)
        environment = application_environment(settings)

        def start(name: str, command: Sequence[str], environ: Mapping[str, str], answers: Callable[[], bool]) -> Part:
            service = composed[name]
            part = Part(
                name, entered(service, command, secrets), environ, answers, service=service, directory=directory
            )
            return stop.enter_context(part)

        start(
            "redis",
            redis_command(composed, str(program.redis), ports, directory),
            {},
            lambda: redis_answers(environment["SOCKUDO_REDIS_URL"]),
        )
        start(
            "sockudo",
            sockudo_command(composed, str(program.sockudo)),
            sockudo_environment(composed, ports),
            lambda: http_answers(f"http://127.0.0.1:{ports.sockudo}/up/{app}"),
        )
        start(
            "nginx",
            nginx_command(str(program.nginx), ports, directory),
            {},
            lambda: http_answers(f"http://127.0.0.1:{ports.nginx}/up/{app}"),
        )
        healthcheck = worker_healthcheck(composed, ports)
        # The check is a program: it is not started again and again while the worker does not even listen.
        worker = start(
            "worker", worker_command(), settings, lambda: is_listening(ports.worker) and succeeds(healthcheck)
        )
        yield Stack(ports, directory, worker, environment)


def nginx_command(program: str, ports: Ports, directory: Path) -> list[str]:
    """Write the file for this run into the directory; nginx in the foreground with it, as in its image."""
    text = (ROOT / "worker" / "nginx.conf").read_text()
    write_private(directory / "nginx.conf", nginx_configuration(text, ports, directory))
    return [program, "-p", f"{directory}/", "-c", "nginx.conf", "-g", f"daemon off; {nginx_user()}".strip()]


def nginx_user() -> str:
    """Started by root, nginx would run its workers as another user, who cannot enter the directory."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"


def redis_answers(url: str) -> bool:
    """Whether Redis takes commands (while it loads its log it answers, but with an error)."""
    with redis.Redis.from_url(url, socket_timeout=1, retry=None) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def http_answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def is_listening(port: int) -> bool:
    """Whether a server of this machine accepts connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def worker_answers(environment: Mapping[str, str]) -> bool:
    """Whether the image's own health check is content."""
    return succeeds([sys.executable, str(ROOT / "worker" / "healthcheck.py")], environment)


def succeeds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> bool:
    """Whether a command ends with 0; it has none of this process' settings."""
    quiet = subprocess.DEVNULL
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
    done = subprocess.run(command, env={**ours, **(environment or {})}, stdout=quiet, stderr=quiet, check=False)
    return done.returncode == 0
