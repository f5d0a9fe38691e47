"""``sockudo-publisher dev-server``: run the embedded Sockudo, for an application under development."""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .extras import require_demo_extra
from .output import Output, plain

if TYPE_CHECKING:
    from ..dev.devserver.config import ServerConfig

__all__ = ["command"]

#: The app of Sockudo's own examples. They are public, so the secret may be printed.
APP_ID, APP_KEY, APP_SECRET = "app-id", "app-key", "app-secret"
#: The variable with the app's secret: other users of the machine cannot read it.
SECRET_VARIABLE = "SOCKUDO_DEVSERVER_SECRET"
#: The port of ``--redis`` without a value: that of the default SOCKUDO_REDIS_URL.
REDIS_PORT = 6379
#: Bytes of a file with a secret.
MAX_SECRET_BYTES = 4096

#: Seconds between two checks whether the server still runs.
LOOK_S = 0.2

WHAT_IT_IS_NOT = "For development: one process, nothing on disk, no cluster, no TLS, no protocol 2."


@click.command("dev-server")
@click.option("--host", help="Address to listen on; 0.0.0.0 is all.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 6001]")
@click.option("--app-id", help=f"The app's id.  [default: {APP_ID}]")
@click.option("--key", help=f"The app's key.  [default: {APP_KEY}]")
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True),
    help=f"File with the app's secret, or {SECRET_VARIABLE}. Default: app-secret. Any other is not printed.",
)
@click.option("--secret", hidden=True)
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration file of the real server: apps, limits, features, webhooks, history.",
)
@click.option("--webhook", metavar="URL", help="Address for all webhooks of apps without any.")
@click.option("--allow-origin", multiple=True, metavar="ORIGIN", help="A further origin whose pages may connect.")
@click.option("--history", is_flag=True, help="Keep the last messages and members of channels.")
@click.option(
    "--redis",
    "redis_port",
    type=click.IntRange(0, 65535),
    is_flag=False,
    flag_value=REDIS_PORT,
    metavar="[PORT]",
    help=f"Also run a Redis on 127.0.0.1, empty at each start.  [default port: {REDIS_PORT}]",
)
@Output.command
def command(
    out: Output,
    *,
    host: str | None,
    port: int | None,
    app_id: str | None,
    key: str | None,
    secret_file: Path | None,
    secret: str | None,
    config_file: Path | None,
    webhook: str | None,
    allow_origin: tuple[str, ...],
    history: bool,
    redis_port: int | None,
) -> None:
    """For development: no cluster, no TLS, no persistence, no protocol 2. Run the embedded Sockudo until Ctrl-C.

    It implements Sockudo's HTTP API and protocol 7: presence, users, client events, cache channels, history, webhooks.
    It listens on 127.0.0.1 and prints the SOCKUDO_URL to set; its page at / shows channels and events. Several apps:
    --config, or SOCKUDO_DEVSERVER_APPS (id:key:secret, by spaces).
    """
    if secret is not None:
        raise click.UsageError(
            f"--secret: every user of this machine can read arguments; set {SECRET_VARIABLE}, or use --secret-file"
        )
    require_demo_extra("the dev-server")
    from ..dev.demo.ending import everything_ends
    from ..dev.devserver.running import DevServer

    try:
        config, file_host, file_port = _configuration(out, config_file, app_id, key, secret_file)
        host = host or file_host or "127.0.0.1"
        port = port if port is not None else (file_port if file_port is not None else 6001)
        config = replace(
            config,
            allow_origins=allow_origin,
            has_history=config.has_history or history,
            has_presence_history=config.has_presence_history or history,
        )
        server = DevServer(config=config, host=host, port=port, webhook=webhook)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    try:
        with everything_ends() as stack:
            _start(out, server, port)
            stack.callback(server.stop)
            redis_url = None if redis_port is None else _start_redis(out, stack, redis_port)
            app = config.apps[0]
            shown = server.url_of(app if app.secret == APP_SECRET else replace(app, secret="SECRET"))
            out.print(f"[green]Ready.[/] {WHAT_IT_IS_NOT}")
            out.print(f"Set  [bold]SOCKUDO_URL={plain(shown)}[/]")
            if redis_url is not None:
                out.print(f"Set  [bold]SOCKUDO_REDIS_URL={plain(redis_url)}[/]")
            out.print(f"WebSockets:  {plain(server.ws_url().partition('?')[0])}")
            out.print(f"Page:  {plain(server.page_url)}")
            out.print_json(
                ok=True, event="ready", url=shown, port=server.port, pid=os.getpid(), page=server.page_url,
                apps=[one.id for one in config.apps], redis=redis_url,
            )  # fmt: skip
            while server.is_running:
                time.sleep(LOOK_S)
            out.print_error("PartFailed", "the server has ended", ExitCode.FAILED)
            raise SystemExit(ExitCode.FAILED)
    except KeyboardInterrupt:
        out.print_json(ok=True, event="ended")


def _configuration(
    out: Output, config_file: Path | None, app_id: str | None, key: str | None, secret_file: Path | None
) -> tuple[ServerConfig, str | None, int | None]:
    """The configuration, and the address that the file names. Raises ``ValueError``."""
    from ..dev.devserver.app_list import apps_of
    from ..dev.devserver.config import AppConfig, Features, ServerConfig
    from ..dev.devserver.settings_file import read_file

    secret = _secret(secret_file)
    given = [app_id, key, secret]
    everything = Features(True, True, True)
    apps = apps_of(os.environ, everything)
    if config_file is not None:
        if any(one is not None for one in given):
            raise ValueError("--config: the file names the apps; leave out --app-id, --key and the secret")
        settings = read_file(config_file)
        for name in settings.ignored:
            out.print(f"[yellow]ignored[/]  {plain(name)}")
        config = replace(settings.config, apps=(*settings.config.apps, *apps))
        return config.checked(), settings.host, settings.port
    if not apps or any(one is not None for one in given):
        apps.insert(0, AppConfig(app_id or APP_ID, key or APP_KEY, secret or APP_SECRET, features=everything))
    return ServerConfig(tuple(apps)).checked(), None, None


def _secret(file: Path | None) -> str | None:
    """The app's own secret: from the file (``-``: standard input), else from the environment."""
    if file is None:
        return os.environ.get(SECRET_VARIABLE) or None
    with click.open_file(str(file), "rb") as opened:
        text: bytes = opened.read(MAX_SECRET_BYTES + 1)
    if len(text) > MAX_SECRET_BYTES:
        raise ValueError(f"--secret-file: more than {MAX_SECRET_BYTES} bytes")
    secret: str = text.decode("utf-8", "replace").strip()
    if not secret:
        raise ValueError("--secret-file: empty")
    return secret


def _start_redis(out: Output, stack: ExitStack, port: int) -> str:
    """Start a Redis whose data ends with it, and return its URL; or print why it does not start, and exit.

    It has no password: its address is the default of SOCKUDO_REDIS_URL, so a project needs no setting for it.
    """
    from ..dev.embedded import EmbeddedError, RedisServer

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            _print_taken(out, "--redis: ", port, "--redis PORT, a free one with --redis 0")
            raise SystemExit(ExitCode.FAILED) from None
    directory = stack.enter_context(TemporaryDirectory(prefix="sockudo-dev-redis-"))
    try:
        return stack.enter_context(RedisServer(directory, port or None, appendonly=False, password="")).url
    except EmbeddedError as problem:
        out.print_error("PartFailed", str(problem), ExitCode.FAILED)
        raise SystemExit(ExitCode.FAILED) from None


def _print_taken(out: Output, what: str, port: int, remedy: str) -> None:
    from ..dev.embedded.port_owner import find_port_owner

    owner = find_port_owner(port)
    by = f" by {owner}" if owner else ""
    out.print_error("PortTaken", f"{what}port {port}: taken{by}; choose another with {remedy}", ExitCode.FAILED)


def _start(out: Output, server: object, port: int) -> None:
    """Start it, or say why not and by whom the port is taken."""
    from ..dev.devserver.running import DevServer

    assert isinstance(server, DevServer)
    try:
        server.start()
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            _print_taken(out, "", port, "--port, or a free one with --port 0")
        else:
            text = f"--host, --port {port}: cannot listen: {problem.strerror or 'not an address of this machine'}"
            out.print_error("CannotListen", text, ExitCode.FAILED)
        raise SystemExit(ExitCode.FAILED) from None
