"""``python -m sockudo_publisher.dev.devserver --port 6001 --config FILE``: the server as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .app import ServerApp
from .app_list import APPS_VARIABLE, apps_of
from .config import ServerConfig
from .connections import Connections
from .core import Core
from .serving import LoopControl, Serving, listen
from .settings_file import FileSettings, read_file
from .webhook_sender import WebhookSender

__all__ = ["main"]

_SECRET_HINT = f"every user of this machine can read arguments: use {APPS_VARIABLE} or --config"


def arguments() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(prog="python -m sockudo_publisher.dev.devserver", description=__doc__)
    parser.add_argument("--host", help="default: 127.0.0.1, or the file's")
    parser.add_argument("--port", type=int, help="0: a free one; default: 6001, or the file's")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a configuration of the real server, TOML or JSON")
    parser.add_argument("--app", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--dedup-ttl", type=float, metavar="SECONDS", help="how long ids are remembered")
    parser.add_argument("--dedup-capacity", type=int, metavar="IDS", help="how many ids are")
    parser.add_argument("--history", action="store_true", help="keep the last messages and members of channels")
    parser.add_argument("--allow-origin", action="append", default=[], metavar="ORIGIN", help="a page that may connect")
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=NUMBER", help="one of the server's policy.limits"
    )
    return parser


def configuration(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> FileSettings:
    """Read the command line, the file and the environment. Raises ``ValueError``, which never shows a secret."""
    if options.app:
        raise ValueError(f"--app: {_SECRET_HINT}")
    listed = apps_of(environ)
    if options.config is not None:
        settings = read_file(options.config, environ)
    elif listed:
        settings = FileSettings(ServerConfig(()), None, None, ())
    else:
        raise ValueError(f"apps: none given: set {APPS_VARIABLE} (id:key:secret) or --config")
    config = settings.config
    apps = []
    for app in (*config.apps, *listed):
        limits = app.limits
        for text in options.limit:
            limits = limits.with_setting(text)
        apps.append(replace(app, limits=limits))
    host, port = options.host or settings.host or "127.0.0.1", options.port
    port = port if port is not None else (settings.port if settings.port is not None else 6001)
    if not 0 <= port <= 65535:
        raise ValueError(f"--port: {port}, expected 0 to 65535")
    config = replace(
        config,
        apps=tuple(apps),
        host=host,
        dedup_ttl_s=config.dedup_ttl_s if options.dedup_ttl is None else options.dedup_ttl,
        dedup_capacity=config.dedup_capacity if options.dedup_capacity is None else options.dedup_capacity,
        has_history=config.has_history or options.history,
        has_presence_history=config.has_presence_history or options.history,
        allow_origins=tuple(options.allow_origin),
    )
    return FileSettings(config.checked(), host, port, settings.ignored)


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM, by which it ends with 0 as the real server, or Ctrl-C."""
    signal.signal(signal.SIGTERM, _end)
    parser = arguments()
    options = parser.parse_args(argv)
    try:
        settings = configuration(options)
    except ValueError as problem:
        parser.error(str(problem))
    except OSError as problem:
        parser.error(f"--config: {problem.strerror}")
    host, port = settings.host or "", settings.port or 0
    try:
        listener = listen(host, port)
    except OSError as problem:
        parser.error(f"port {port}: {problem.strerror}")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    for name in settings.ignored:
        print(f"ignored: {name}", flush=True)
    asyncio.run(_run(settings.config, listener))


async def _run(config: ServerConfig, listener: object) -> None:
    webhooks = WebhookSender()
    loop = asyncio.get_running_loop()
    core = Core(config, notifier=webhooks.notifier, later=lambda seconds, act: _ignore(loop.call_later(seconds, act)))
    core.use_control(control := LoopControl(core))
    connections = Connections()

    def ready() -> None:
        control.attach(serving)
        host, port = listener.getsockname()[:2]  # type: ignore[attr-defined]
        print(f"ready: http://{host}:{port}", flush=True)

    serving = Serving(core, ServerApp(core, connections), connections, ready)
    try:
        await serving.serve(sockets=[listener])  # type: ignore[list-item]
    finally:
        await webhooks.stop()


def _end(*_: object) -> None:
    """For SIGTERM; uvicorn raises the signal again once it has stopped."""
    raise SystemExit(0)


def _ignore(_handle: object) -> None:
    """A timer that is never cancelled."""


if __name__ == "__main__":
    main()
