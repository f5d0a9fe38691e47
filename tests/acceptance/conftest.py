"""A server of the test's own behind a proxy: it is restarted, or remembers for a short time only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import SockudoServer
from tests.support.proxied import Proxied
from tests.support.proxy import Proxy
from tests.support.stack import Stack

MakeProxied = Callable[..., Proxied]


@pytest.fixture
def make_proxied(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeProxied]:
    """`make_proxied(dedup_ttl_s, **settings)`: the settings are this process' too."""
    with ExitStack() as ends:

        def make(dedup_ttl_s: int, **settings: str) -> Proxied:
            sockudo = ends.enter_context(SockudoServer(tmp_path / "sockudo", dedup_ttl_s=dedup_ttl_s))
            proxy = ends.enter_context(Proxy(sockudo.port))
            own = Stack(stack.redis_server, sockudo, tmp_path, ends)
            own.environ.update({"SOCKUDO_URL": proxy.url(sockudo.url), "SOCKUDO_DEDUP_WINDOW": str(dedup_ttl_s)})
            own.environ.update(settings)
            for name, value in own.environ.items():
                monkeypatch.setenv(name, value)
            configure()
            return Proxied(own, sockudo, proxy)

        yield make
