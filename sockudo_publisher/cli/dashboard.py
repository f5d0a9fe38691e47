"""``sockudo-publisher dashboard``: the page for operators."""

from __future__ import annotations

import errno
import os

import click

from .exits import ExitCode
from .extras import require_dashboard_extra
from .output import Output, plain

__all__ = ["command"]

#: Addresses that mean all of this machine's.
_ALL = ("0.0.0.0", "::")  # noqa: S104 -- compared, not bound


@click.command("dashboard")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a token.")
@click.option(
    "--port",
    default=8700,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A further name under which browsers reach it; needs a token."
)
@click.option("--read-only", is_flag=True, help="Show everything, refuse every action.")
@Output.command
def command(out: Output, *, host: str, port: int, allow_host: tuple[str, ...], read_only: bool) -> None:
    """Serve a page that shows what flows, what waits and what needs a person, until Ctrl-C.

    It pauses and resumes apps, replays and purges dead letters, and cancels scheduled events. On the loopback address
    it needs no token; elsewhere set SOCKUDO_DASHBOARD_TOKEN, or SOCKUDO_DASHBOARD_TOKEN_FILE, and put TLS in front.
    """
    require_dashboard_extra("the dashboard")
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    if not settings.app_urls():
        settings.url_of(DEFAULT_APP)  # raises, and names the variable to set
    from ..dashboard import asgi_app
    from ..dashboard.access import is_loopback
    from ..dashboard.serving import bind, serve
    from ..outbox.figures import known_tables

    own = () if host in _ALL or is_loopback(host) else (host,)
    app = asgi_app(
        read_only=read_only,
        allowed_hosts=(*own, *allow_host),
        takes_addresses=host in _ALL,
        outbox=known_tables(),
    )
    try:
        bound = bind(host, port)
    except (OSError, UnicodeError) as error:  # a host may be no name at all
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            text = f"--port {port}: taken by another program; choose another, or a free one with --port 0"
        else:
            reason = getattr(error, "strerror", None) or "not an address of this machine"
            text = f"--host, --port {port}: cannot listen: {reason}"
        raise click.UsageError(text) from None
    shown_host, shown_port = bound.getsockname()[:2]
    name = f"[{shown_host}]" if ":" in shown_host else shown_host
    url = f"http://{name}:{shown_port}/"

    def announce() -> None:
        out.print(f"[green]Ready.[/] {plain(url)}" + ("  [dim]read-only[/]" if read_only else ""))
        if settings.dashboard_token:
            out.print("Sign in with the token of SOCKUDO_DASHBOARD_TOKEN.")
        out.print_json(ok=True, event="ready", url=url, port=shown_port, pid=os.getpid(), read_only=read_only)

    if not serve(app, bound, announce):
        out.print_error("PartFailed", "the server has ended", ExitCode.FAILED)
        raise SystemExit(ExitCode.FAILED)
    out.print_json(ok=True, event="ended")
