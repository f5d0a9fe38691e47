"""``sockudo-publisher config``: print a file to deploy with, or write it into a directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..redaction import printable
from .output import Output, plain

__all__ = ["command"]


class _Text(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A text that is put into a file as it is: of one form, so that it cannot change the file's other lines."""

    def __init__(self, name: str, pattern: str, expected: str) -> None:
        self.name = name
        self._pattern = re.compile(pattern)
        self._expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not self._pattern.fullmatch(text):
            self.fail(f"{printable(text)[:80]!r} ({len(text)} characters): expected {self._expected}", param, ctx)
        return text


_HOST = r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
_PORT = r"(?:[1-9][0-9]{0,4})"
_ADDRESS = _Text("HOST:PORT", f"{_HOST}:{_PORT}", "host:port")
_LISTEN = _Text("[ADDRESS:]PORT", f"(?:{_HOST}:)?{_PORT}", "a port, or address:port")
_RESOLVER = _Text("HOST", f"{_HOST}(?::{_PORT})?", "a host or an address")
_NAMESPACE = _Text("NAME", r"(?!sockudo$)[A-Za-z0-9_-]{0,64}", "letters, digits, - and _, at most 64, not 'sockudo'")
_USER = _Text("USER", r"[a-z_][a-z0-9_-]{0,30}", "a system user's name")
_PATH = _Text("PATH", r"/[A-Za-z0-9._/+-]{0,200}", "an absolute path of letters, digits, . _ + - and /")
_COMMAND = _Text("COMMAND", r"/[A-Za-z0-9._/+=:, -]{0,300}", "a command line with an absolute path, without quotes")
_IMAGE = _Text("IMAGE", r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,300}", "an image's name")
_LABEL = _Text("NAME", r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "the name of a namespace of Kubernetes")
_TCP_PORT = click.IntRange(1, 65_534)

_namespace_option = click.option(
    "--namespace", type=_NAMESPACE, default="", help="SOCKUDO_NAMESPACE of this deployment. Default: none."
)


def _target(run: Callable[..., None]) -> Callable[..., None]:
    """Decorator of a target: the options that all have."""
    run = click.option("--force", is_flag=True, help="With --output: replace files that exist.")(run)
    run = click.option(
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write the files there, and print their names.",
    )(run)
    return Output.command(run)


@click.group("config")
def command() -> None:
    """Print a file to deploy with: units, manifests, alerts, configuration of the servers.

    Each is complete with its defaults; the options are what a deployment has to choose. No file holds a secret.
    """


@command.command("sockudo")
@click.option(
    "--events-per-second",
    type=click.IntRange(1, 10_000_000),
    default=50_000,
    show_default=True,
    help="The highest rate of this deployment: the dedup memory has room for two minutes of it.",
)
@_target
def sockudo(out: Output, *, events_per_second: int, output: Path | None, force: bool) -> None:
    """sockudo.toml: Sockudo as the promise needs it."""
    from ..deploy_files import sockudo_file

    _write(out, {"sockudo.toml": sockudo_file(events_per_second)}, output, force)


@command.command("nginx")
@click.option("--upstream", type=_ADDRESS, default="sockudo:6001", show_default=True, help="Where Sockudo listens.")
@click.option("--listen", type=_LISTEN, default="8080", show_default=True, help="Where nginx listens.")
@click.option(
    "--resolver",
    type=_RESOLVER,
    default="127.0.0.11",
    show_default=True,
    help="The name server for the upstream's name (Docker's by default); not asked for an address.",
)
@_target
def nginx(out: Output, *, upstream: str, listen: str, resolver: str, output: Path | None, force: bool) -> None:
    """nginx.conf: nginx between workers and Sockudo."""
    from ..deploy_files import nginx_file

    _write(out, {"nginx.conf": nginx_file(upstream, listen, resolver)}, output, force)


@command.command("systemd")
@click.option("--user", type=_USER, default="sockudo-publisher", show_default=True, help="The user of the services.")
@click.option(
    "--prefix",
    type=_PATH,
    default="/opt/sockudo-publisher",
    show_default=True,
    help="The virtualenv with sockudo-publisher.",
)
@click.option(
    "--secrets",
    type=_PATH,
    default="/etc/sockudo-publisher",
    show_default=True,
    help="The directory with a file for each secret.",
)
@_namespace_option
@click.option(
    "--metrics-port", type=_TCP_PORT, default=9108, show_default=True, help="The worker's; the relay's is next."
)
@click.option("--project", type=_PATH, default="/srv/app", show_default=True, help="Where the relay runs.")
@click.option(
    "--relay",
    type=_COMMAND,
    default="/srv/app/venv/bin/python manage.py sockudo_relay",
    show_default=True,
    help="The relay's command line.",
)
@click.option(
    "--dashboard-port", type=_TCP_PORT, default=8700, show_default=True, help="The dashboard's, on 127.0.0.1."
)
@_target
def systemd(out: Output, *, output: Path | None, force: bool, **options: Any) -> None:
    """Hardened units of systemd: worker, relay, dashboard."""
    from ..deploy_files import systemd_files

    _write(out, systemd_files(**options), output, force)


@command.command("kubernetes")
@click.option("--image", type=_IMAGE, default=f"sockudo-publisher-worker:{__version__}", show_default=True)
@_namespace_option
@click.option("--replicas", type=click.IntRange(1, 1_000), default=2, show_default=True, help="Workers.")
@click.option(
    "--sockudo",
    type=_ADDRESS,
    default="sockudo.default.svc.cluster.local:6001",
    show_default=True,
    help="Where Sockudo listens: the full name of its service.",
)
@click.option("--redis-port", type=_TCP_PORT, default=6379, show_default=True, help="Workers may connect to this port.")
@click.option("--monitoring", type=_LABEL, default="monitoring", show_default=True, help="Prometheus' namespace.")
@click.option(
    "--resolver",
    type=_RESOLVER,
    default="kube-dns.kube-system.svc.cluster.local",
    show_default=True,
    help="The cluster's name server, for nginx.",
)
@_target
def kubernetes(out: Output, *, output: Path | None, force: bool, **options: Any) -> None:
    """Manifests: workers with probes, nginx, budgets for disruptions, network policies."""
    from ..deploy_files import kubernetes_files

    _write(out, kubernetes_files(**options), output, force)


@command.command("compose")
@_target
def compose(out: Output, *, output: Path | None, force: bool) -> None:
    """compose.yml: Redis, Sockudo, nginx and workers on one machine.

    --output writes what it needs too: sockudo.toml, nginx.conf, make-secrets and the image's Dockerfile.
    """
    from ..deploy_files import compose_files

    files = compose_files(__version__)
    _write(out, files if output or out.as_json else {"compose.yml": files["compose.yml"]}, output, force)


@command.command("grafana")
@_target
def grafana(out: Output, *, output: Path | None, force: bool) -> None:
    """grafana.json: a dashboard to import."""
    from ..deploy_files import DASHBOARD, read_file

    _write(out, {DASHBOARD: read_file(DASHBOARD)}, output, force)


@command.command("alerts")
@_target
def alerts(out: Output, *, output: Path | None, force: bool) -> None:
    """alerts.yml: Prometheus' rules, each with a link to its page of the runbook."""
    from ..deploy_files import ALERTS, read_file

    _write(out, {ALERTS: read_file(ALERTS)}, output, force)


@command.command("acl")
@_namespace_option
@_target
def acl(out: Output, *, namespace: str, output: Path | None, force: bool) -> None:
    """Users of Redis for callers, workers and operators, with only the rights that each needs.

    Replace PASSWORD in each line. `redis-cli < users.acl` runs them; `ACL SAVE` keeps them.
    """
    from ..doctor.acl_lines import acl_lines

    _write(out, {"users.acl": acl_lines(namespace)}, output, force)


def _write(out: Output, files: Mapping[str, str], directory: Path | None, force: bool) -> None:
    """Print the files, or write all of them, or none if one exists. Raises ``click.UsageError``."""
    if directory is None:
        if not out.as_json:
            for name, text in files.items():
                # A comment in each of these languages; `csplit` can split at it.
                click.echo((f"# ---- {name}\n" if len(files) > 1 else "") + text, nl=False)
        out.print_json(ok=True, files=[{"name": name, "text": text} for name, text in files.items()])
        return
    existing = [name for name in files if (directory / name).exists()]
    if existing and not force:
        raise click.UsageError(f"{directory}: {', '.join(existing)}: exists, nothing was written; --force replaces")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{directory}: {error.strerror or type(error).__name__}") from None
    written = [str(directory / name) for name in files]
    for path in written:
        out.print(plain(path))
    out.print_json(ok=True, written=written)
