"""``python -m sockudo_publisher.dev.devserver --port 6001 --app id:key:secret``."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import uvicorn
from uvicorn.config import WS_PROTOCOLS

from .app import create_app
from .config import AppConfig, ServerConfig, ServerLimits

__all__ = ["main"]

#: Bytes of one frame of a client: subscriptions, which are short.
MAX_FRAME_BYTES = 1 << 20
#: Connections that may wait to be accepted: clients make one for each request.
BACKLOG = 1024
#: Seconds that requests have to end after SIGTERM.
SHUTDOWN_S = 1


def arguments() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(prog="python -m sockudo_publisher.dev.devserver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6001, help="0: a free one")
    parser.add_argument(
        "--app",
        action="append",
        default=[],
        metavar="ID:KEY:SECRET",
        help="may be repeated; percent-encode a ':' or '%%' in a part (also: SOCKUDO_DEVSERVER_APPS, by spaces)",
    )
    parser.add_argument("--dedup-ttl", type=float, default=120.0, metavar="SECONDS", help="how long ids are remembered")
    parser.add_argument("--dedup-capacity", type=int, default=1_000_000, metavar="IDS", help="how many ids are")
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=NUMBER", help="one of the server's policy.limits"
    )
    return parser


def configuration(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ServerConfig:
    """Read the command line and the environment. Raises ``ValueError``, which never shows a secret."""
    limits = ServerLimits()
    for text in options.limit:
        limits = limits.with_setting(text)
    apps = []
    for text in (*options.app, *environ.get("SOCKUDO_DEVSERVER_APPS", "").split()):
        parts = [unquote(part) for part in text.split(":")]
        if len(parts) != 3 or not all(parts):
            raise ValueError("--app: expected ID:KEY:SECRET")
        app_id, key, secret = parts
        apps.append(AppConfig(app_id, key, secret, limits))
    if not apps:
        raise ValueError("--app: none given")
    return ServerConfig.of(apps, dedup_ttl_s=options.dedup_ttl, dedup_capacity=options.dedup_capacity)


class _Uvicorn(uvicorn.Server):
    """A server that prints when it is ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets and not self.should_exit:
            host, port = sockets[0].getsockname()[:2]
            print(f"ready: http://{host}:{port}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = arguments()
    options = parser.parse_args(argv)
    try:
        config = configuration(options)
    except ValueError as problem:
        parser.error(str(problem))
    listener = socket.create_server((options.host, options.port), backlog=BACKLOG)
    uvicorn_config = uvicorn.Config(
        create_app(config),
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        backlog=BACKLOG,
        # The other implementation uses an interface that websockets has deprecated.
        ws="websockets-sansio" if "websockets-sansio" in WS_PROTOCOLS else "websockets",
        ws_max_size=MAX_FRAME_BYTES,
        # The protocol has pings of its own.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    _Uvicorn(uvicorn_config).run(sockets=[listener])


if __name__ == "__main__":
    main()
