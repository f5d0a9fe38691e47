"""When a relay is alive and when it is ready, and the port that answers for it."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from sockudo_publisher import ConfigurationError, configure
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.outbox.relay import Moved, Relayed, relay, run
from sockudo_publisher.outbox.relay_health import MAX_SILENT_S, RelayState, judge_liveness, judge_readiness

pytestmark = pytest.mark.unit


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A free port, which the settings name."""
    number = free_port()
    monkeypatch.setenv("SOCKUDO_METRICS_PORT", str(number))
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id")
    configure()
    yield number
    monkeypatch.undo()
    configure()


def probe(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("silent_s", "every_s", "is_alive"),
    [(0, 0.25, True), (MAX_SILENT_S, 0.25, True), (MAX_SILENT_S + 1, 0.25, False), (MAX_SILENT_S + 1, 600, True)],
)
def test_silent_relay_is_dead(silent_s: float, every_s: float, is_alive: bool) -> None:
    """A long interval is no silence."""
    state = RelayState(every_s)
    [check] = judge_liveness([state], state.beat_at + silent_s)
    assert (check.problem == "") is is_alive


def test_relay_is_ready_when_no_row_waits() -> None:
    """Not before its first pass; not while an app's rows stay, which are named."""
    state = RelayState(1)
    assert [one.problem for one in judge_readiness([state])] == ["", "its first pass has not ended"]
    state.passed({"eu": "row=1: Redis\nis away", "": "the database failed"})
    problems = [one.problem for one in judge_readiness([state])]
    assert problems == ["", "rows wait app=eu: row=1: Redis\\nis away", "rows wait: the database failed"]
    state.passed({})
    assert [one.problem for one in judge_readiness([state])] == ["", ""]
    assert judge_readiness([], "SOCKUDO_LANES: bad")[0].problem == "SOCKUDO_LANES: bad"


def test_two_relays_of_a_process_share_the_port(port: int) -> None:
    """It is served from the first one's start to the last one's end; both have to be ready."""
    stops = [threading.Event(), threading.Event()]
    waiting = [{}, {"eu": "full"}]

    def begin(number: int) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: run(lambda: Relayed(waiting=waiting[number]), failures=(), every_s=0.01, stop=stops[number])
        )
        thread.start()
        return thread

    first = begin(0)
    assert wait_for(lambda: _is_served(port) and probe(port, "/readyz") == (200, "ok settings\nok relay\n"), 10)
    second = begin(1)
    assert wait_for(
        lambda: probe(port, "/readyz") == (503, "ok settings\nok relay\nfailed relay: rows wait app=eu: full\n"), 10
    )
    assert probe(port, "/healthz") == (200, "ok relay\nok relay\n")
    stops[0].set()
    first.join(10)
    assert wait_for(lambda: probe(port, "/healthz") == (200, "ok relay\n"), 10)
    stops[1].set()
    second.join(10)
    assert not _is_served(port)


def test_batch_of_a_long_pass_is_a_beat(port: int) -> None:
    """A pass over a large table is no silence: each of its batches counts."""
    seen: list[float] = []
    stop = threading.Event()

    def move(max_rows: int, _without: frozenset[str]) -> Moved:
        from sockudo_publisher.outbox.relay_health import _own

        seen.append(_own.state.beat_at)
        time.sleep(0.01)
        if len(seen) == 3:
            stop.set()
        return Moved(read=max_rows)

    run(lambda: relay(move, stop=stop), failures=(), every_s=0.01, stop=stop)
    assert seen[0] < seen[1] < seen[2]


def test_taken_port_stops_the_relay_before_a_pass(port: int) -> None:
    """A clear error, and nothing was moved."""

    def once() -> Relayed:
        raise AssertionError("no pass")

    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigurationError, match="SOCKUDO_METRICS_PORT"):
        run(once, failures=(), stop=threading.Event())
    assert not _is_served(port)


def _is_served(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
