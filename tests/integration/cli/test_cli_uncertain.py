"""``dead replay`` of an event that may be delivered: while the real server remembers its id, and afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.embedded import SockudoServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.parts import need
from tests.support.proxy import Cut, Pass, Proxy
from tests.support.warm import WarmWorker

pytestmark = pytest.mark.integration

#: Seconds that the server remembers an id, and that the workers count on.
WINDOW_S = 16
#: Under `park` nothing is resent later than window - this - 5 s after its first attempt: 4 s.
TIMEOUT_S = 7
SAFE_S = WINDOW_S - TIMEOUT_S - 5
CHANNEL = "uncertain"
#: Seconds between two looks, each of which is a command.
COMMAND_POLL_S = 0.3

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SockudoServer]:
    """It remembers for as long as it has to, and no longer."""
    need("sockudo")
    with SockudoServer(tmp_path / "sockudo", dedup_ttl_s=WINDOW_S) as running:
        yield running


def test_uncertain_letter_is_copied_only_after_its_window(
    server: SockudoServer,
    environ: dict[str, str],
    run: Run,
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """Two events whose answer was lost, parked: the first is replayed in the window, the second after it."""

    def replay(id: str) -> str:
        """What the command says beside its result."""
        process = start("dead", "replay", id)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr.decode()
        return stderr.decode()

    def letters() -> list[dict[str, Any]]:
        return list(run("dead", "list")[1]["letters"])

    def settled() -> int:
        return int(run("status")[1]["apps"][0]["counters"].get("settled", 0))

    with Proxy(server.port, Cut(answer_bytes=0)) as proxy, Subscriber(server.ws_url(), CHANNEL) as seen:
        environ |= {
            "SOCKUDO_URL": proxy.url(server.url),
            "SOCKUDO_DEDUP_WINDOW": str(WINDOW_S),
            "SOCKUDO_DELIVERY_TIMEOUT": str(TIMEOUT_S),
            "SOCKUDO_ON_UNCERTAIN": "park",
        }
        for name in ("first", "second"):
            assert run("publish", CHANNEL, name, "x")[0] == 0
        ours = {name: value for name, value in environ.items() if name.startswith("SOCKUDO_")}
        with WarmWorker(ours, directory=tmp_path / "worker"):
            seen.wait_for_count(2, 30)
            delivered_at = time.monotonic()
            assert wait_for(lambda: proxy.fired >= 1, 30), "the server's answer was cut off"
            proxy.refuse()
            time.sleep(SAFE_S + 0.5)
            proxy.behaviour = Pass()
            proxy.listen()
            assert wait_for(lambda: len(letters()) == 2, 60, COMMAND_POLL_S)
            first, second = letters()
            assert [(letter["name"], letter["reason"]) for letter in (first, second)] == [
                ("first", "uncertain"),
                ("second", "uncertain"),
            ]
            assert settled() == 0

            said = replay(first["id"])
            assert wait_for(lambda: settled() == 1, 60, COMMAND_POLL_S), "the server has answered for it"
            assert time.monotonic() - delivered_at < WINDOW_S, "inside the window"
            assert "may still remember its message id" in said
            assert "twice" not in said
            assert [event.event for event in seen.events()] == ["first", "second"], "no second copy"

            time.sleep(max(0.0, delivered_at + WINDOW_S + 1.5 - time.monotonic()))
            said = replay(second["id"])
            assert "subscribers may see it twice" in said
            seen.wait_for_count(3, 30)
            assert wait_for(lambda: settled() == 2, 60, COMMAND_POLL_S)
            seen.wait_until_quiet(0.5)
            assert [event.event for event in seen.events()] == ["first", "second", "second"], "one copy"
            assert letters() == []
