"""The commands of an operator: pause, resume, wait-empty, find, audit, filters of dead, status with its options."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sockudo_publisher.cli.exits import ExitCode
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.telemetry.names import LABEL_VALUES
from tests.integration.cli.conftest import COMMAND_S, LANES
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

Run = Callable[..., tuple[int, Any]]
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()


def bury_first(redis: RedisServer, channel: str, fields: DeadLetterFields | None = None) -> None:
    """The event at the head of the channel's lane is refused."""
    journal = Journal(redis.url, "default", lanes=LANES)
    holder = journal.acquire(lane_of(channel, LANES))
    assert holder is not None
    batch = journal.take(holder, max_items=1, max_bytes=10**6).batch
    assert batch is not None
    journal.bury(holder, batch, fields or DeadLetterFields("refused", "words", 1))
    journal.hand_over(holder)


def test_pause_waits_until_no_lane_is_drained(run: Run, redis: RedisServer) -> None:
    """Exit code 1 if one still is; the app is paused all the same."""
    run("publish", "c", "e", "d")
    journal = Journal(redis.url, "default", lanes=LANES)
    holder = journal.acquire(lane_of("c", LANES))
    assert holder is not None
    code, told = run("pause", "--reason", "deploy", "--wait", "0.3")
    assert (code, told["ok"], told["idle"]) == (1, False, False)
    assert run("status")[1]["apps"][0]["operator_pause"]["reason"] == "deploy"
    end = threading.Timer(0.5, journal.hand_over, [holder])
    end.start()
    code, told = run("pause", "--reason", "deploy", "--wait", "60")
    end.join()
    assert (code, told["ok"], told["idle"]) == (0, True, True)
    assert run("pause", "--reason", "deploy")[1]["idle"] is None


def test_absent_worker_is_shown(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    """A problem only when events have waited for a while: the worker may be starting."""
    run("publish", "c", "e", "d")
    assert run("status")[0] == 0
    command = ["-m", "sockudo_publisher.cli", "status", "--fail-on", "workers,oldest=0"]
    done = run_python(command, env=environ, cwd=tmp_path, timeout=COMMAND_S)
    assert done.returncode == 1
    assert "no worker is alive: events wait" in done.stdout
    assert "exit code 1: default: oldest" in done.stdout


def test_pause_is_shown_and_ended(run: Run) -> None:
    """Who, why, since when; the exit code of `status` says that a person is needed."""
    code, made = run("pause", "--reason", "deploy", "--actor", "ana", "--json")
    assert (code, made["app"], made["before"], made["by"]) == (0, "default", None, "ana")
    code, again = run("pause", "--reason", "incident", "--actor", "bob", "--json")
    assert (code, again["before"], again["since_ms"]) == (0, "deploy", made["since_ms"])
    code, told = run("status", "--json")
    assert (code, told["ok"], told["apps"][0]["problems"]) == (1, False, ["paused"])
    assert told["apps"][0]["operator_pause"] == {"reason": "incident", "by": "bob", "since_ms": made["since_ms"]}
    assert run("status", "--fail-on", "dead,forgets", "--json")[0] == 0
    code, ended = run("resume", "--actor", "bob", "--json")
    assert (code, ended["resumed"], ended["operator"], ended["trouble"]) == (0, True, True, False)
    assert run("resume", "--json")[1]["resumed"] is False
    assert run("status", "--json")[0] == 0
    code, told = run("audit", "list", "--json")
    assert [(one["action"], one["by"]) for one in told["entries"]] == [
        ("resume", "bob"), ("pause", "bob"), ("pause", "ana")
    ]  # fmt: skip
    assert len(run("audit", "list", "--limit", "1", "--json")[1]["entries"]) == 1


@pytest.mark.parametrize(
    "args",
    [
        ("pause", "--reason", "r", "--app", "none"),
        ("resume", "--app", "none"),
        ("find", "m", "--app", "none"),
        ("audit", "list", "--app", "none"),
        ("wait-empty", "--timeout", "1", "--app", "none"),
        ("status", "--app", "none"),
        ("pause",),
        ("pause", "--reason", " "),
        ("wait-empty",),
        ("wait-empty", "--timeout", "-1"),
        ("status", "--fail-on", "nonsense"),
        ("dead", "list", "--reason", "nonsense"),
        ("dead", "list", "--older-than", "-1"),
        ("dead", "purge", "--all", "--reason", "refused", "--yes"),
        ("dead", "replay"),
        ("find", ""),
    ],
    ids=" ".join,
)
def test_wrong_arguments_do_nothing(run: Run, redis: RedisServer, args: tuple[str, ...]) -> None:
    """Exit code 2, one JSON object, no key in Redis."""
    code, told = run(*args, "--json")
    assert (code, told["ok"], told["exit_code"]) == (ExitCode.USAGE, False, 2)
    with redis_py.Redis.from_url(redis.url) as client:
        assert client.dbsize() == 0


def test_find_says_where_an_event_is(run: Run, redis: RedisServer) -> None:
    """Waiting, dead, and exit code 1 for one that is not here."""
    code, _ = run("publish", "c", "e", "secret-payload", "--key", "order-1", "--json")
    assert code == 0
    code, told = run("find", "order-1", "--json")
    assert (code, told["state"], told["places"][0]["channel"]) == (0, "waiting", "c")
    bury_first(redis, "c")
    code, told = run("find", "order-1", "--json")
    assert (told["state"], told["places"][0]["detail"]) == ("dead", "refused: words")
    assert "secret-payload" not in json.dumps(told)
    code, told = run("find", "order-2", "--json")
    assert (code, told["ok"], told["state"], told["places"]) == (1, False, "not here", [])


def test_dead_list_prints_what_the_page_shows(
    run: Run, redis: RedisServer, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Line by line, except ids, times and sizes; and the page names every reason."""
    (sample,) = re.findall(r"^\$ sockudo-publisher dead list\n(.*?)^```", PAGE, re.M | re.S)
    for name, fields in {
        "ai-output": DeadLetterFields("refused", "AI Transport is not enabled for this channel", 2),
        "shipped": DeadLetterFields("conflict", "idempotency key was already used with a different payload", 1),
    }.items():
        assert run("publish", "orders", name, "1")[0] == 0
        bury_first(redis, "orders", fields)
    command = start("dead", "list")
    printed, _ = command.communicate(timeout=60)
    blank = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d+-\d+-\d+|\d+(?= bytes)")
    assert blank.sub("#", printed.decode()) == blank.sub("#", sample)
    table = PAGE.partition("| reason | what happened |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set(LABEL_VALUES["events_dead"][1])


def test_wait_empty_ends_with_one_if_events_are_left(run: Run) -> None:
    """And names the pause that keeps them."""
    assert run("wait-empty", "--timeout", "0", "--json") == (0, {"ok": True, "empty": True, "paused": []})
    run("publish", "c", "e", "d")
    run("pause", "--reason", "r")
    code, told = run("wait-empty", "--timeout", "0.3", "--json")
    assert (code, told) == (1, {"ok": False, "empty": False, "paused": ["default"]})


def test_dead_letters_are_purged_by_filter_after_a_preview(run: Run, redis: RedisServer) -> None:
    """The preview changes nothing; without --yes a prompt says how many."""
    for channel in ("c", "c", "d"):
        run("publish", channel, "e", "d")
        bury_first(redis, channel)
    assert len(run("dead", "list", "--channel", "c", "--json")[1]["letters"]) == 2
    code, told = run("dead", "purge", "--channel", "c", "--dry-run", "--json")
    assert (code, told["purged"], told["dry_run"]) == (0, 2, True)
    code, told = run("dead", "replay", "--channel", "d", "--reason", "refused", "--dry-run", "--json")
    assert (code, told["replayed"], told["dry_run"]) == (0, 1, True)
    assert len(run("dead", "list", "--json")[1]["letters"]) == 3
    assert run("dead", "purge", "--channel", "c", "--json")[0] == 2, "no prompt with --json"
    code, told = run("dead", "purge", "--channel", "c", "--yes", "--actor", "ana", "--json")
    assert (code, told["purged"]) == (0, 2)
    code, told = run("dead", "replay", "--channel", "d", "--json")
    assert (code, told["replayed"]) == (0, 1)
    told = run("audit", "list", "--json")[1]["entries"]
    assert [(one["action"], one["what"], one["counts"]) for one in told] == [
        ("replay", "channel=d", {"replayed": 1, "refused": 0, "absent": 0}),
        ("purge", "channel=c", {"purged": 2, "absent": 0, "failed": 0}),
    ]
    assert told[1]["by"] == "ana"


def test_old_event_is_a_problem_on_request(run: Run) -> None:
    """`oldest` counts if it is chosen."""
    run("publish", "c", "e", "d")
    assert run("status", "--json")[0] == 0
    time.sleep(0.2)
    code, told = run("status", "--fail-on", "oldest=0.1", "--json")
    assert (code, told["apps"][0]["problems"]) == (1, ["oldest"])


def test_redis_away_is_exit_code_three(run: Run, redis: RedisServer) -> None:
    """Of every command of an operator."""
    redis.stop()
    for args in (
        ("status",), ("pause", "--reason", "r"), ("resume",), ("find", "m"), ("audit", "list"),
        ("wait-empty", "--timeout", "1"), ("dead", "purge", "--all", "--yes"), ("dead", "list"),
    ):  # fmt: skip
        assert run(*args, "--json")[0] == ExitCode.UNREACHABLE, args
    redis.start()


def test_watch_looks_until_it_is_interrupted(start: Callable[..., subprocess.Popen[bytes]], redis: RedisServer) -> None:
    """An object a look; a Redis that is away for a while is shown and outlasted; Ctrl-C ends it with 0."""
    watch = start("status", "--watch", "--every", "0.2", "--json")
    assert watch.stdout is not None
    lines = iter(watch.stdout.readline, b"")
    assert [json.loads(next(lines))["ok"] for _ in range(2)] == [True, True]
    redis.stop()
    deadline = time.monotonic() + COMMAND_S
    while json.loads(next(lines))["ok"]:
        assert time.monotonic() < deadline
    redis.start()
    while not json.loads(next(lines))["ok"]:
        assert time.monotonic() < deadline
    watch.send_signal(signal.SIGINT)
    assert watch.wait(COMMAND_S) == 0
