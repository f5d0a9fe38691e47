"""An app gets another key, or another name, while events are published."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sockudo_publisher import cli, configure, operations, publish
from sockudo_publisher.dev.embedded import DEFAULT_APP, SockudoServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.oracle import compare, numbers
from tests.support.publisher import Publisher
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


#: The log line of a worker that the server answers 401.
PAUSED = re.compile(r"paused app=\S+ reason=misconfigured seconds=5\.0")


def set_env(stack: Stack, monkeypatch: pytest.MonkeyPatch, **settings: str | None) -> None:
    """These settings from now on, for us and for the workers to come; `None`: unset."""
    for name, value in settings.items():
        if value is None:
            stack.environ.pop(name, None)
            monkeypatch.delenv(name, raising=False)
        else:
            stack.environ[name] = value
            monkeypatch.setenv(name, value)
    configure()


def test_app_with_a_new_key_resumes_with_a_new_worker(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under traffic: the old worker's 401 loses nothing; a new worker beside it delivers all, each once, in order."""
    rekeyed = dataclasses.replace(DEFAULT_APP, secret="another-secret")
    channels = stack.channels(16)
    with SockudoServer(tmp_path / "rekeyed", [rekeyed]) as server:
        # The address and id are those the old workers know; their secret is not.
        set_env(stack, monkeypatch, SOCKUDO_URL=DEFAULT_APP.url("127.0.0.1", server.port))
        old = stack.worker()
        publisher = Publisher(channels, 1_000_000, 32, 0.2)
        publisher.start()

        def pause() -> operations.PauseStatus | None:
            return operations.status()[0].pause

        assert wait_for(lambda: (paused := pause()) is not None and paused.reason == "misconfigured", 60)
        assert wait_for(lambda: "reason=misconfigured" in old.log_text(), 60), "loudly"
        assert "another-secret" not in old.log_text()
        mark = publisher.count
        assert wait_for(lambda: publisher.count > mark + 100, 60), "callers notice nothing"

        with Subscriber(server.ws_url(), *channels) as seen:
            stack.worker(env={"SOCKUDO_URL": server.url})
            told = len(PAUSED.findall(old.log_text()))
            assert wait_for(lambda: len(PAUSED.findall(old.log_text())) > told, 60), "the old one pauses it for both"
            old.stop()
            assert wait_for(lambda: seen.count > mark, 60), "the new one asks, is accepted, and all go on"
            publisher.stop.set()
            publisher.join(60)
            assert publisher.error is None
            assert publisher.repeats == 0
            wait_for(lambda: compare(publisher.promised, numbers(seen.events())).lost == 0, 60)
            seen.wait_until_quiet(1.0)
            verdict = compare(publisher.promised, numbers(seen.events()))
            assert verdict.is_exact, verdict
            assert not any(lane.dead for lane in operations.status()[0].lanes)
            assert pause() is None


def test_renamed_app_keeps_its_backlog_under_the_old_name(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost: the old name, configured again for the same server, is drained while the new one is used."""
    url, channel = stack.server.url, stack.channel()
    seen = stack.subscribe(channel)
    set_env(stack, monkeypatch, SOCKUDO_URL=None, SOCKUDO_APPS=json.dumps({"old": url}))
    for n in range(5):
        publish.delay(channel, "n", {"n": n}, app="old")

    set_env(stack, monkeypatch, SOCKUDO_APPS=json.dumps({"new": url}))
    worker = stack.worker()
    for n in range(100, 105):
        publish.delay(channel, "n", {"n": n}, app="new")
    seen.wait_for_count(5, 60)

    def depths() -> dict[str, tuple[bool, int]]:
        apps = operations.status()
        return {one.app: (one.configured, sum(lane.depth for lane in one.lanes)) for one in apps}

    # Seen is a moment before settled.
    assert wait_for(lambda: depths() == {"new": (True, 0), "old": (False, 5)}, 60), depths()
    shown = CliRunner().invoke(cli.main, ["status"])
    assert shown.exit_code == 1
    assert "not configured" in shown.output
    worker.stop()

    set_env(stack, monkeypatch, SOCKUDO_APPS=json.dumps({"new": url, "old": url}))
    stack.worker()
    publish.delay(channel, "n", {"n": 105}, app="new")
    seen.wait_for_count(11, 60)
    got = numbers(seen.events())[channel]
    assert [n for n in got if n < 100] == list(range(5))
    assert [n for n in got if n >= 100] == list(range(100, 106))
    set_env(stack, monkeypatch, SOCKUDO_APPS=json.dumps({"new": url}))
    assert wait_for(lambda: [one.app for one in operations.status()] == ["new"], 60)
