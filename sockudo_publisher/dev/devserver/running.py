"""``DevServer``: the embedded Sockudo in a thread of this process, for tests and for programs under development."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote

from typing_extensions import Self

from .app import ServerApp
from .config import AppConfig, Features, ServerConfig, WebhookConfig
from .connections import Connections
from .core import Core
from .event_log import AcceptedEvent, Counts
from .faults import Faults
from .serving import LoopControl, Serving, listen
from .settings_file import app_of
from .webhook_sender import WebhookSender

__all__ = ["DEV_APP", "AppLike", "DevServer"]

#: Seconds for the thread to begin and to end.
START_S, STOP_S = 30.0, 10.0

#: The app of a server that is given none, with everything switched on that an app may have.
DEV_APP = AppConfig("app", "key", "secret", features=Features(True, True, True))


class AppLike(Protocol):
    """An app of another form: ``SockudoApp``."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def secret(self) -> str:
        """Its secret."""

    @property
    def limits(self) -> Mapping[str, Any]:
        """The server's ``policy.limits``."""

    @property
    def policy(self) -> Mapping[str, Any]:
        """Further parts of the server's ``policy``."""


class DevServer:
    """The embedded Sockudo on ``host``, in a thread. A context manager: enter starts it, leave stops it.

    ``apps``: :class:`AppConfig` or ``SockudoApp``; without any, one with everything switched on. ``port``: a free
    one by default, the same over restarts. ``webhook``: an address for the events of apps without webhooks.
    ``history``: keep the last messages and members of channels. ``dedup_ttl_s``: seconds that ids are remembered,
    ``cache_max_capacity`` how many. ``allow_origins``: further pages that may connect. ``config``: all of that instead.

    Raises ``ValueError`` for an option out of range and ``OSError`` if the port is taken. Not for production: one
    process, nothing on disk, no TLS, no protocol 2.
    """

    def __init__(
        self,
        apps: Sequence[AppConfig | AppLike] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        webhook: str | None = None,
        history: bool = False,
        dedup_ttl_s: float = 120.0,
        cache_max_capacity: int = 1_000_000,
        allow_origins: Sequence[str] = (),
        config: ServerConfig | None = None,
    ) -> None:
        if isinstance(apps, str) or hasattr(apps, "joinpath"):
            raise TypeError("apps: expected a list of apps; a server with a directory is a DevServerProcess")
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"port: {port}, expected 0 to 65535")
        configs = (DEV_APP,) if apps is None else tuple(map(_config_of, apps))
        if config is None:
            config = ServerConfig(
                configs,
                dedup_ttl_s,
                cache_max_capacity,
                has_history=history,
                has_presence_history=history,
                allow_origins=tuple(allow_origins),
            )
        apps_with_webhooks = tuple(with_webhook(app, webhook) for app in config.apps)
        config = replace(config, host=host, apps=apps_with_webhooks, shutdown_grace_s=0).checked()
        self.host = host
        self.port = port or 0
        self._webhooks = WebhookSender()
        self._core = Core(config, notifier=self._webhooks.notifier, later=_later)
        self._control = LoopControl(self._core)
        self._core.use_control(self._control)
        self._serving: Serving | None = None
        self._thread: threading.Thread | None = None
        self._problem: BaseException | None = None

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def apps(self) -> tuple[AppConfig, ...]:
        """Its apps."""
        return self._core.config.apps

    @property
    def app_id(self) -> str:
        """The first app's id."""
        return self._core.config.apps[0].id

    @property
    def key(self) -> str:
        """The first app's key."""
        return self._core.config.apps[0].key

    @property
    def secret(self) -> str:
        """The first app's secret."""
        return self._core.config.apps[0].secret

    @property
    def url(self) -> str:
        """The first app's ``SOCKUDO_URL``: ``http://key:secret@host:port/apps/id``."""
        return self.url_of(self._core.config.apps[0])

    def url_of(self, app: AppConfig | AppLike) -> str:
        """An app's ``SOCKUDO_URL``."""
        app_id, key, secret = (quote(part, safe="") for part in (app.id, app.key, app.secret))
        return f"http://{key}:{secret}@{self._authority}/apps/{app_id}"

    def ws_url(self, key: str | None = None) -> str:
        """Where subscribers connect (Pusher protocol 7); the first app's, unless another key is given."""
        return f"ws://{self._authority}/app/{quote(key or self.key, safe='')}?protocol=7"

    @property
    def page_url(self) -> str:
        """The page that shows channels and events."""
        return f"http://{self._authority}/"

    @property
    def _authority(self) -> str:
        # A client cannot connect to "all addresses".
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 -- not bound here
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"DevServer(host={self.host!r}, port={self.port}, is_running={self.is_running})"

    # -- what it has seen ---------------------------------------------------------------------------

    @property
    def events(self) -> list[AcceptedEvent]:
        """The accepted events, oldest first; the last 10,000. A repeat that was answered with its receipt is none."""
        return self._core.log.last()

    @property
    def faults(self) -> Faults:
        """What goes wrong on request: ``server.faults.lose_answers(3)``."""
        return self._core.faults

    @property
    def counts(self) -> Counts:
        """How many events were accepted and replayed, how many requests refused or spoiled."""
        return self._core.log.counts

    def clear(self) -> None:
        """Forget events and counts, and clear the faults. Ids are still remembered."""
        self._core.log.clear()
        self.faults.clear()

    # -- start and stop -----------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Listen and answer. Raises ``OSError`` if the port is taken."""
        if self.is_running:
            raise RuntimeError("dev-server: runs already")
        listener = listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        app = ServerApp(self._core, connections := Connections())
        control = self._control

        def begin() -> None:
            control.attach(serving)
            ready.set()

        self._serving = serving = Serving(self._core, app, connections, begin)
        self._problem = None

        def run() -> None:
            try:
                asyncio.run(self._run(serving, listener))
            except BaseException as problem:  # noqa: BLE001 -- told by start
                self._problem = problem
            finally:
                control.detach()
                listener.close()
                ready.set()

        self._thread = threading.Thread(target=run, name="dev-server", daemon=True)
        self._thread.start()
        if not ready.wait(START_S) or self._problem is not None:
            self.stop()
            raise RuntimeError("dev-server: has not started") from self._problem
        return self

    def stop(self) -> None:
        """Close all connections (4200) and end. Nothing happens if it does not run."""
        if self._serving is not None:
            self._serving.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._serving = self._thread = None

    def restart(self, *, keep_memory: bool = True) -> None:
        """Stop and start on the same port. Without its memory it has forgotten ids, last events and history."""
        self.stop()
        self._core.disconnect()
        if not keep_memory:
            self._core.forget()
        self.start()

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _run(self, serving: Serving, listener: Any) -> None:
        try:
            await serving.serve(sockets=[listener])
        finally:
            await self._webhooks.stop()


def with_webhook(app: AppConfig, url: str | None) -> AppConfig:
    """The app, with this address for all events if it has no webhook of its own. Raises ``ValueError``."""
    if url is None or app.webhooks:
        return app
    if not url.startswith(("http://", "https://")):
        raise ValueError("webhook: expected an http(s) address")
    return replace(app, webhooks=(WebhookConfig(url),))


def _config_of(app: AppConfig | AppLike) -> AppConfig:
    if isinstance(app, AppConfig):
        return app
    limits = {**app.limits, **app.policy.get("limits", {})}
    return app_of({"id": app.id, "key": app.key, "secret": app.secret, "policy": {**app.policy, "limits": limits}})


def _later(seconds: float, action: Any) -> None:
    asyncio.get_running_loop().call_later(seconds, action)
