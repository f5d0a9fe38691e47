"""A deployment started with the printed files: Redis with the users of the ACL lines, Sockudo, nginx, a worker as the
unit starts it, and Prometheus with the rules.

Three things differ, for a test's time: Sockudo remembers ids for 30 s, rules have no waiting time, and their ranges are
shorter. A page's commands are run as they stand there; what a service manager does is done to the part itself.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from scripts.stack import Part
from sockudo_publisher.deploy_files import nginx_file, sockudo_file, systemd_files
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.answers import accepts, is_up
from sockudo_publisher.dev.embedded.app import SockudoApp
from sockudo_publisher.dev.embedded.ports import free_port, free_ports
from sockudo_publisher.dev.embedded.private import write_private
from sockudo_publisher.dev.embedded.process import ChildProcess, wait_for
from sockudo_publisher.dev.embedded.sockudo import find_sockudo
from sockudo_publisher.doctor.acl_lines import acl_lines
from tests.support.nginx import is_listening
from tests.support.parts import need
from tests.support.prometheus import Prometheus, prometheus, quick_rules
from tests.support.proxy import Proxy
from tests.support.runbook import commands_of
from tests.support.warm import Warm, run_python

#: Seconds that Sockudo remembers ids, and for which workers trust it.
WINDOW_S = 30

#: Seconds for an alert or a command, on a machine that is busy.
LONG_S = 120.0

APP = SockudoApp(id="app", key="key", secret="secret-one")


class Server(ChildProcess):
    """Sockudo with the printed file, and the app's secret from its environment."""

    def __init__(self, directory: Path) -> None:
        super().__init__("sockudo", directory / "sockudo.log")
        self.file = directory / "sockudo.toml"
        self.port, self._metrics = free_ports(2)
        self.secret = APP.secret
        self.configure(sockudo_file())

    def configure(self, text: str) -> None:
        """Write the file, with the tests' window."""
        self.file.write_text(text.replace("ttl_seconds = 120", f"ttl_seconds = {WINDOW_S}"))

    def restart(self) -> None:
        """As a service manager does."""
        if self.is_running:
            self.stop()
        self.start()

    def _command(self) -> list[str]:
        return [str(find_sockudo()), "--config", str(self.file)]

    def _environ(self) -> dict[str, str]:
        app = {"SOCKUDO_APP_ID": APP.id, "SOCKUDO_APP_KEY": APP.key, "SOCKUDO_APP_SECRET": self.secret}
        where = {"HOST": "127.0.0.1", "PORT": str(self.port)}
        metrics = {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(self._metrics)}
        return {"PATH": os.environ["PATH"], "RUST_LOG": "warn", **app, **where, **metrics}

    def _is_ready(self) -> bool:
        app = SockudoApp(id=APP.id, key=APP.key, secret=self.secret)
        return is_up(self.port, app) and accepts(self.port, app)


class Worker(Warm, ChildProcess):
    """What the printed unit runs, with its variables and its credentials."""

    def __init__(self, directory: Path, unit: str, more: Mapping[str, str]) -> None:
        super().__init__("worker", directory / "worker.log")
        self._cwd = directory
        variables = dict(one.split("=", 1) for one in re.findall(r"^Environment=(.+)$", unit, re.M))
        self._env = {name: value.replace("%d", str(directory / "secrets")) for name, value in variables.items()}
        self._env |= more
        [line] = re.findall(r"^ExecStart=(.+)$", unit, re.M)
        self._arguments = shlex.split(line)[1:]
        self.port = int(self._env["SOCKUDO_METRICS_PORT"])

    def restart(self) -> None:
        """As a service manager does: SIGTERM, and SIGKILL after the unit's time."""
        if self.is_running:
            self.stop(45.0)
        self.start()

    def _command(self) -> list[str]:
        # The program of the wheel's entry point.
        return [sys.executable, "-m", "sockudo_publisher.cli", *self._arguments]

    def _environ(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "CELERY"))}
        return {**others, **self._env}

    def _directory(self) -> Path:
        return self._cwd

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class World:
    """The parts, and what a test does to them."""

    def __init__(self, directory: Path, ends: ExitStack) -> None:
        self.directory = directory
        self.redis = ends.enter_context(RedisServer(directory / "redis", maxmemory="64mb"))
        self._run_acl()
        self.server = ends.enter_context(Server(directory))
        # Between nginx and Sockudo, where a test cuts requests.
        self.cable = ends.enter_context(Proxy(self.server.port))
        self.nginx_port = free_port()
        self._start_nginx(ends)
        self.secrets = directory / "secrets"
        self.secrets.mkdir(mode=0o700)
        self.write_secret("sockudo_url", self.sockudo_url(APP.secret))
        self.write_secret("sockudo_redis_url", self.redis_url("worker"))
        self.write_secret("sockudo_master_key", "M" * 43 + "=")
        unit = systemd_files(metrics_port=free_port())["sockudo-publisher-worker.service"]
        more = {"SOCKUDO_DEDUP_WINDOW": str(WINDOW_S), "SOCKUDO_DELIVERY_TIMEOUT": "5"}
        self.worker = ends.enter_context(Worker(directory, unit, more))
        self.prometheus: Prometheus = ends.enter_context(
            prometheus(directory / "prometheus", [self.worker.port], quick_rules(), every_s=2)
        )

    def sockudo_url(self, secret: str) -> str:
        return f"http://{APP.key}:{secret}@127.0.0.1:{self.nginx_port}/apps/{APP.id}"

    def redis_url(self, user: str) -> str:
        return f"redis://{user}:pw-{user}@127.0.0.1:{self.redis.port}/0"

    def write_secret(self, name: str, text: str) -> None:
        (self.secrets / name).unlink(missing_ok=True)
        write_private(self.secrets / name, text)

    def settings(self, user: str) -> dict[str, str]:
        """Of a caller or an operator on this machine."""
        others = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "CELERY"))}
        return {
            **others,
            "SOCKUDO_URL": (self.secrets / "sockudo_url").read_text(),
            "SOCKUDO_REDIS_URL": self.redis_url(user),
            "SOCKUDO_DEDUP_WINDOW": str(WINDOW_S),
            "SOCKUDO_DELIVERY_TIMEOUT": "5",
        }

    def publish(self, count: int = 1, *, channel: str = "c", event: str = "e", size: int = 1) -> None:
        """Store events, as an application with the caller's rights."""
        code = (
            "from sockudo_publisher import publish_many\n"
            f"publish_many(({channel!r}, {event!r}, 'x' * {size}) for _ in range({count}))"
        )
        done = run_python(["-c", code], env=self.settings("caller"), timeout=LONG_S)
        assert done.returncode == 0, done.stderr

    def wait_until_fires(self, alert: str) -> None:
        name = f"SockudoPublisher{alert}"
        assert wait_for(lambda: name in self.prometheus.firing(), LONG_S, 0.5), (name, self._description())

    def wait_until_calm(self) -> None:
        """No alert at all fires, twice in a row."""

        def is_calm() -> bool:
            if self.prometheus.firing():
                return False
            time.sleep(2.5)
            return not self.prometheus.firing()

        assert wait_for(is_calm, LONG_S, 0.5), self._description()

    def _description(self) -> object:
        return self.prometheus.firing(), self.worker.log_tail()

    def end_by_page(self, name: str) -> list[str]:
        """Run each command of the page's section "End it"; returns them."""
        lines = commands_of(name)
        for line in lines:
            self._run(line)
        return lines

    def _run(self, line: str) -> None:
        services: dict[str, Callable[[], object]] = {
            "systemctl restart redis-server": self._restart_redis,
            "systemctl restart sockudo": self.server.restart,
            "systemctl restart sockudo-publisher-worker": self.worker.restart,
            "systemctl start sockudo-publisher-worker": self.worker.start,
            "redis-cli CONFIG REWRITE": lambda: None,  # this Redis is configured by its arguments
        }
        if line in services:
            services[line]()
            return
        program, *arguments = shlex.split(line.replace("/etc/sockudo ", f"{self.directory} "))
        if program == "redis-cli":
            with redis.Redis.from_url(self.redis.url) as client:
                client.execute_command(*arguments)
            return
        module = {"sockudo-publisher": "sockudo_publisher.cli", "celery": "celery"}[program]
        done = run_python(["-m", module, *arguments], env=self.settings("operator"), timeout=2 * LONG_S)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        self.server.configure(self.server.file.read_text())

    def _restart_redis(self) -> None:
        if self.redis.is_running:
            self.redis.kill()  # a stopped process does not take SIGTERM
        self.redis.start()
        self._run_acl()

    def _run_acl(self) -> None:
        """A server of its own configuration file keeps its users by `ACL SAVE`."""
        with redis.Redis.from_url(self.redis.url) as client:
            for line in acl_lines().splitlines():
                if not line.startswith("#"):
                    _, _, user, *rules = line.split()
                    client.execute_command(
                        "ACL", "SETUSER", user, *(one.replace("PASSWORD", f"pw-{user}") for one in rules)
                    )

    def _start_nginx(self, ends: ExitStack) -> None:
        text = nginx_file(f"127.0.0.1:{self.cable.port}", f"127.0.0.1:{self.nginx_port}")
        place = self.directory / "nginx"
        place.mkdir()
        (place / "nginx.conf").write_text(text.replace("/tmp/", f"{place}/"))
        command: Sequence[str] = [str(need("nginx")), "-p", str(place), "-c", str(place / "nginx.conf")]
        command = [*command, "-g", "daemon off;"]
        port = self.nginx_port
        service = {"stop_grace_period": "5s"}
        ends.enter_context(Part("nginx", command, {}, lambda: is_listening(port), service=service, directory=place))


@contextmanager
def running(directory: Path) -> Iterator[World]:
    """All parts, until the end of the block."""
    need("sockudo")
    need("prometheus")
    with ExitStack() as ends:
        yield World(directory, ends)
