"""Alerts of scheduled and of unstored events: a real Prometheus, and the pages that end them.

The rules' waiting times are left out here; test_alert_rules.py has them.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import Keyspace, bucket_of
from tests.support.prometheus import Prometheus, prometheus, quick_rules
from tests.support.runbook import commands_of
from tests.support.stack import Stack
from tests.support.warm import run_python

# The quick tests: test_alert_rules.py for the rules, test_scheduled_figures.py for what they ask.
pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(240)]

LONG_S = 60.0

#: An application: stores one event, then some more for each line that it reads; its counters are served.
APPLICATION = """
import sys
from prometheus_client import start_http_server
from sockudo_publisher import publish
start_http_server(int(sys.argv[1]), "127.0.0.1")
publish.delay("orders", "placed", 1)
print("ready", flush=True)
for line in sys.stdin:
    results = [publish.delay("orders", "placed", n) for n in range(3)]
    print([result.stored for result in results], flush=True)
"""


def run(stack: Stack, line: str) -> str:
    """A command of a page, in a shell with the deployment's settings."""
    program, *arguments = shlex.split(line)
    assert program == "sockudo-publisher", line
    done = run_python(["-m", "sockudo_publisher.cli", *arguments], env=stack.python(), timeout=LONG_S)
    return done.stdout + done.stderr


def wait_until(server: Prometheus, alert: str, *, fires: bool) -> None:
    name = f"SockudoPublisher{alert}"
    assert wait_for(lambda: (name in server.firing()) is fires, LONG_S), (name, server.firing())


@pytest.fixture
def one_lane(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Which is full with one event."""
    for name, value in {"SOCKUDO_LANES": "1", "SOCKUDO_MAX_BACKLOG": "1"}.items():
        stack.environ[name] = value
        monkeypatch.setenv(name, value)
    from sockudo_publisher import configure

    configure()
    return stack


def test_late_and_parked_events_are_ended_by_their_pages(one_lane: Stack, tmp_path: Path) -> None:
    """A paused app fills its lane, and what is due waits; a key that was used meanwhile parks its event."""
    stack, port = one_lane, free_port()
    late, parked = stack.channel("late"), stack.channel("parked")
    seen = stack.subscribe(late, parked)
    stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
    with prometheus(tmp_path / "prometheus", [port], quick_rules()) as server:
        operations.pause(reason="new disks", actor="ana")
        publish.delay(stack.channel(), "e", "fills the lane")
        publish.apply_async((late, "e", "late"), countdown=600)
        _make_due(stack, late)
        wait_until(server, "ScheduledLate", fires=True)
        told = "".join(run(stack, line) for line in commands_of("scheduled-late", "Find the cause"))
        assert "paused by an operator: new disks (ana" in told
        assert "the first is" in told
        assert late in told
        assert commands_of("scheduled-late")[-1] == "sockudo-publisher resume"
        run(stack, "sockudo-publisher resume")
        seen.wait_for_count(1, LONG_S)
        wait_until(server, "ScheduledLate", fires=False)

        publish.apply_async((parked, "e", "mine"), {"key": "k"}, countdown=600)
        for key in stack.redis.scan_iter("sockudo:*ledger*"):
            stack.redis.delete(key)  # the record of the key is lost
        publish.delay(parked, "e", "another's", key="k")
        _make_due(stack, parked)
        wait_until(server, "ScheduledParked", fires=True)
        [line] = commands_of("scheduled-parked", "Find the cause")
        told = run(stack, line)
        assert "parked: its key was used for another event" in told
        assert parked in told
        [line] = commands_of("scheduled-parked", language="text")
        assert "cancelled on" in run(stack, line.replace(" ID", " k"))
        wait_until(server, "ScheduledParked", fires=False)
        assert seen.data() == ["late", "another's"]


def _make_due(stack: Stack, channel: str) -> None:
    """Since a hundred seconds."""
    keys = Keyspace().bucket("default", bucket_of(channel))
    [(name, due_ms)] = stack.redis.zrange(keys.times, 0, -1, withscores=True)
    stack.redis.zadd(keys.times, {name: due_ms - 700_000})


def test_events_that_callers_lost_are_an_alert(stack: Stack, tmp_path: Path) -> None:
    """By a program that serves its own counters; it ends after the range, once the journal takes events again."""
    with RedisServer(tmp_path / "own") as own:
        port = free_port()
        stack.environ["SOCKUDO_REDIS_URL"] = own.url
        env = {**stack.python(), "SOCKUDO_TELEMETRY": "prometheus", "SOCKUDO_ON_UNAVAILABLE": "log"}
        with (
            subprocess.Popen(
                [sys.executable, "-c", APPLICATION, str(port)],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as application,
            prometheus(tmp_path / "prometheus", [port], quick_rules()) as server,
        ):
            assert application.stdin is not None
            assert application.stdout is not None
            assert application.stdout.readline() == "ready\n"
            own.stop()  # before the first scrape, perhaps
            _lose(application.stdin.write, application.stdin.flush)
            assert application.stdout.readline() == "[False, False, False]\n"
            wait_until(server, "EventsUnstored", fires=True)
            [alert] = [one for one in server.get("alerts")["alerts"] if one["labels"]["alertname"].endswith("Unstored")]
            assert alert["labels"]["outcome"] == "lost"
            assert "no error reached the caller" in alert["annotations"]["description"]
            told = "".join(run(stack, line) for line in commands_of("events-unstored", "Find the cause"))
            assert "redis.reachable" in told
            own.start()
            [line] = commands_of("events-unstored", language="text")
            assert "Stored for orders" in run(stack, line.replace("CHANNEL EVENT DATA", "orders placed 1"))
            wait_until(server, "EventsUnstored", fires=False)
            application.stdin.close()
            lines = application.stderr.read() if application.stderr else ""
    assert lines.count("event not stored, the caller goes on app=default channel=orders event=placed") == 3
    assert "error=JournalUnavailable" in lines


def _lose(write: Callable[[str], object], flush: Callable[[], object]) -> None:
    write("\n")
    flush()
