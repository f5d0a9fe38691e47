"""Behind nginx, Sockudo cannot be reached for longer than it remembers: what never left is not uncertain."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sockudo_publisher import configure, operations, publish_many
from sockudo_publisher.dev.embedded.ports import LOOPBACK
from sockudo_publisher.dev.embedded.process import wait_for
from tests.acceptance.conftest import MakeProxied
from tests.support.nginx import nginx_before
from tests.support.oracle import compare, numbers
from tests.support.parts import not_for_this_case
from tests.support.proxy import Proxy, at_port

pytestmark = pytest.mark.acceptance

#: Seconds that the server remembers, and of one attempt; nginx gives a connection up after two.
TTL_S, TIMEOUT_S = 10, 4
CHANNELS, BEFORE, MEANWHILE, AFTER = 8, 80, 400, 80
#: Connections that wait to be accepted at most where a listener asks for none to: Linux keeps one.
MAX_WAITING = 16


@contextmanager
def refused(proxy: Proxy) -> Iterator[None]:
    """No server listens: nginx answers 502."""
    proxy.refuse()
    yield
    proxy.listen()


@contextmanager
def unanswered(proxy: Proxy) -> Iterator[None]:
    """The system does not answer to a connection, as if packets were dropped: nginx answers 504 when it gives it up.

    A listener that accepts nothing, whose queue is full.
    """
    proxy.refuse()
    with ExitStack() as ends:
        ends.enter_context(socket.create_server((LOOPBACK, proxy.port), backlog=0))
        for _ in range(MAX_WAITING):
            waiting = ends.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect((LOOPBACK, proxy.port))
            except TimeoutError:
                break
        else:
            not_for_this_case("this system lets more connections wait than a listener asks for")
        yield
    proxy.listen()


@pytest.mark.parametrize(
    ("away", "status"),
    [
        pytest.param(refused, 502, id="refused"),
        pytest.param(unanswered, 504, id="no-answer", marks=pytest.mark.long),
    ],
)
def test_never_sent_behind_nginx_is_never_uncertain(
    make_proxied: MakeProxied,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    away: Callable[[Proxy], Iterator[None]],
    status: int,
) -> None:
    """Tried again and again past the window: nothing is held, everything arrives once, in order."""
    proxied = make_proxied(TTL_S, SOCKUDO_ON_UNCERTAIN="park", SOCKUDO_DELIVERY_TIMEOUT=str(TIMEOUT_S))
    stack, proxy = proxied.stack, proxied.proxy
    with ExitStack() as ends:
        nginx = nginx_before(proxy.port, tmp_path / "nginx", ends)
        stack.environ["SOCKUDO_URL"] = at_port(proxied.sockudo.url, nginx)
        monkeypatch.setenv("SOCKUDO_URL", stack.environ["SOCKUDO_URL"])
        configure()
        channels = stack.channels(CHANNELS)
        seen = stack.subscribe(*channels)

        def publish(first: int, count: int) -> None:
            publish_many((channels[n % CHANNELS], "n", {"n": n}) for n in range(first, first + count))

        publish(0, BEFORE)
        worker = stack.worker()
        seen.wait_for_count(BEFORE, 30)
        assert wait_for(lambda: proxied.depth() == 0, 60)
        with away(proxy):
            publish(BEFORE, MEANWHILE)
            assert wait_for(lambda: is_unreachable(status), 60), "nginx must have said so"
            tried = time.monotonic()
            assert wait_for(lambda: time.monotonic() - tried > TTL_S + 1, 60)
            assert is_unreachable(status)
            assert seen.count == BEFORE
        publish(BEFORE + MEANWHILE, AFTER)
        total = BEFORE + MEANWHILE + AFTER
        seen.wait_for_count(total, 30)
        seen.wait_until_quiet(1.0)
        assert wait_for(lambda: proxied.depth() == 0, 60)
        worker.stop()
    verdict = compare({channels[c]: list(range(c, total, CHANNELS)) for c in range(CHANNELS)}, numbers(seen.events()))
    assert verdict.is_exact, verdict
    assert proxied.counts() == {"settled": total}


def is_unreachable(status: int) -> bool:
    """Whether the app waits because nothing went upstream, in the words of nginx."""
    pause = operations.status()[0].pause
    return pause is not None and pause.reason == "unreachable" and str(status) in pause.message
