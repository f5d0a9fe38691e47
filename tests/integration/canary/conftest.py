"""A worker, a journal and a real Sockudo whose memory of ids each test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer
from tests.support.stack import Stack, set_settings

MakeStack = Callable[..., Stack]


@pytest.fixture
def make_stack(
    redis_server: RedisServer,
    redis_url: str,
    sockudo: SockudoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeStack]:
    """``make_stack(environ, **server)``: a server of the test's own, and settings; `sockudo` says if there is any."""
    with ExitStack() as ends:

        def make(environ: dict[str, str], **options: object) -> Stack:
            server = ends.enter_context(SockudoServer(tmp_path / "sockudo", **options))  # type: ignore[arg-type]
            stack = Stack(redis_server, server, tmp_path, ends)
            stack.environ.update(environ)
            set_settings(monkeypatch, stack.environ)
            return stack

        yield make
    monkeypatch.undo()
    configure()
