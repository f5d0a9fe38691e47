"""``sockudo-publisher dev-server``: run the embedded Sockudo, for an application under development."""

from __future__ import annotations

import socket
import tempfile
import time

import click

from .exits import ExitCode
from .extras import require_demo_extra
from .output import Output, plain

__all__ = ["command"]

#: The app of Sockudo's own examples. They are public, so the secret may be printed.
APP_ID, APP_KEY, APP_SECRET = "app-id", "app-key", "app-secret"

#: Seconds between two checks whether the server still runs.
LOOK_S = 0.2


@click.command("dev-server")
@click.option(
    "--port",
    default=6001,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--app-id", default=APP_ID, show_default=True, help="The app's id.")
@click.option("--key", default=APP_KEY, show_default=True, help="The app's key.")
@click.option("--secret", default=APP_SECRET, help="The app's secret. Default: app-secret. Any other is not printed.")
@Output.command
def command(out: Output, *, port: int, app_id: str, key: str, secret: str) -> None:
    """Run the embedded Sockudo on 127.0.0.1 until Ctrl-C.

    It implements as much of Sockudo's HTTP API and WebSocket protocol as development and tests need, keeps nothing
    after it ends, and is not for production. Prints the SOCKUDO_URL to set.
    """
    require_demo_extra("the dev-server")
    from ..dev.demo.ending import everything_ends
    from ..dev.embedded import DevServer, SockudoApp

    if port and not _is_free(port):
        out.print_error(
            "PortTaken", f"port {port}: taken; choose another with --port, or a free one with --port 0", ExitCode.FAILED
        )
        raise SystemExit(ExitCode.FAILED)
    app = SockudoApp(id=app_id, key=key, secret=secret)
    shown = app if secret == APP_SECRET else SockudoApp(id=app_id, key=key, secret="SECRET")
    try:
        with everything_ends() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="sockudo-dev-server-"))
            server = stack.enter_context(DevServer(directory, [app], port=port or None))
            url = shown.url("127.0.0.1", server.port)
            out.print(f"[green]Ready.[/] Set  [bold]SOCKUDO_URL={plain(url)}[/]")
            out.print(f"WebSockets:  ws://127.0.0.1:{server.port}/app/{plain(key)}")
            out.print_json(ok=True, event="ready", url=url, port=server.port, pid=server.pid)
            while server.is_running:
                time.sleep(LOOK_S)
            out.print_error("PartFailed", f"the server has ended:\n{server.log_tail()}", ExitCode.FAILED)
            raise SystemExit(ExitCode.FAILED)
    except KeyboardInterrupt:
        out.print_json(ok=True, event="ended")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: a port with only closed connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
