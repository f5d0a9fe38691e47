"""Names and texts of others in each command's output and in a worker's log: a terminal obeys none of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sockudo_publisher import operations
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer, SockudoApp
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.app.workers import Target, WorkerRegistry
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.redis.link import RedisLink
from tests.integration.cli.conftest import COMMAND_S
from tests.support.warm import WarmWorker, run_python, start_python

pytestmark = pytest.mark.integration

#: Clear the screen, a link, the clipboard, an 8-bit control, a forged line, other line ends, a change of direction,
#: an invisible character, markup, an emoji's name, and what would open the next markup.
HOSTILE = (
    "\x1b[2J\x1b]8;;http://x\x07\x1b]52;c;eA==\x9c\x9b31m\r\n2026-01-01 ERROR forged\x85\u2028\u202etxt\u200b"
    " [red]x[/red] [link=http://x]y[/link] :warning: \\"
)
#: Seconds for the doctor, which waits for workers that are not here.
DOCTOR_S = 5
SHOWN_MARKUP = "[red]x[/red] [link=http://x]y[/link] :warning:"
APP = "default"


def harmful(text: str) -> set[str]:
    """Characters of control, direction, line ends, and halves of pairs; line ends of the output are none."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")
    return {ascii(one) for one in text if one != "\n" and unicodedata.category(one) in kinds}


def assert_harmless(text: str) -> None:
    assert harmful(text) == set()
    assert not re.search(r"^[ \t]*2026-01-01", text, re.MULTILINE), text


@pytest.fixture
def hostile_journal(redis: RedisServer, environ: dict[str, str]) -> str:
    """What others write has the text: a letter, the pause, a counter, a failure, a worker. Returns the letter's id."""
    lane, shared = lane_keys(APP, 1), AppKeys.of(APP)
    item = json.dumps({"name": HOSTILE, "channel": HOSTILE, "data": HOSTILE, "message_id": HOSTILE}).encode()
    with redis_py.Redis.from_url(redis.url) as client:
        fields = {"channel": HOSTILE, "reason": "refused", "message": HOSTILE, "attempts": 1, "item": item}
        entry_id = client.xadd(lane.dead, fields)
        client.xadd(lane.dead, {"channel": b"\xff\x1b", "reason": HOSTILE, "message": "", "item": b"\x1b[2J\xff"})
        seconds, _ = client.time()
        pause = {"reason": HOSTILE, "message": HOSTILE, "since": seconds * 1000, "until": (seconds + 600) * 1000}
        client.hset(shared.pause, mapping={**pause, "count": 1})
        client.hset(lane.counts, HOSTILE, 3)
        client.hset(lane.state, mapping={"failures": 2, "failing_since": seconds * 1000, "failure": HOSTILE})
    registry = WorkerRegistry(RedisLink(redis.url, timeout_s=5.0), APP)
    registry.announce(HOSTILE, HOSTILE, Target(HOSTILE, HOSTILE))
    return f"1-{entry_id.decode()}"


COMMANDS = {
    "status": ("status",),
    "status of another app": ("status", "--app", HOSTILE),
    "list": ("dead", "list"),
    "show": ("dead", "show", "ID"),
    "show with payload": ("dead", "show", "ID", "--payload"),
    "show of no id": ("dead", "show", HOSTILE),
    "replay": ("dead", "replay", "ID", "0-1-1"),
    "replay of all": ("dead", "replay", "--all"),
    "purge of another app": ("dead", "purge", "ID", "--yes", "--app", HOSTILE),
    "purge": ("dead", "purge", "ID", "0-1-1", "--yes"),
    "doctor": ("doctor", "--timeout", str(DOCTOR_S)),
    "doctor of another app": ("doctor", "--app", HOSTILE),
    "publish": ("publish", "c", HOSTILE, "x", "--key", HOSTILE[:40]),
    "publish to a channel": ("publish", HOSTILE, "e", "x"),
    "publish now": ("publish", "--now", "c", HOSTILE, "x"),
    "publish-file": ("publish-file", "events.ndjson", "--again"),
    "publish-file of no file": ("publish-file", HOSTILE),
    "resume": ("resume",),
    "resume of another app": ("resume", "--app", HOSTILE),
    "no command": (HOSTILE,),
    "no option": ("status", f"--{HOSTILE}"),
    "too many arguments": ("status", HOSTILE),
}


#: Commands of which a quick run tries both outputs, and those that it leaves out.
BOTH = ("status", "list", "show", "publish-file")
SELDOM = ("status of another app", "doctor of another app", "purge of another app", "resume of another app", "resume")
CASES = [
    pytest.param(
        *(arguments, as_json),
        id=f"{name}{' as JSON' * as_json}",
        marks=[pytest.mark.long] if name in SELDOM or (as_json and name not in BOTH) else [],
    )
    for name, arguments in COMMANDS.items()
    for as_json in (False, True)
]


@pytest.mark.parametrize(("arguments", "as_json"), CASES)
def test_output_is_harmless(
    environ: dict[str, str], tmp_path: Path, hostile_journal: str, arguments: tuple[str, ...], as_json: bool
) -> None:
    """On stdout and stderr; JSON stays JSON."""
    line = {"channel": "c", "name": "e", "data": 1, HOSTILE: 2}
    (tmp_path / "events.ndjson").write_text(json.dumps(line), encoding="utf-8")
    command = [hostile_journal if one == "ID" else one for one in arguments] + ["--json"] * as_json
    environ["PYTHONIOENCODING"] = "utf-8"
    done = run_python(["-m", "sockudo_publisher.cli", *command], **where(environ, tmp_path))
    assert "Traceback" not in done.stderr, done.stderr
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
    assert (done.stdout + done.stderr).strip()
    if as_json:
        assert json.loads(done.stdout)


def where(environ: dict[str, str], directory: Path) -> dict[str, Any]:
    return {"env": environ, "cwd": directory, "timeout": COMMAND_S}


def test_names_are_shown_with_escapes_and_without_markup(
    environ: dict[str, str], tmp_path: Path, hostile_journal: str, run: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    """Text shows each bracket; JSON means the same as what was stored."""
    done = run_python(["-m", "sockudo_publisher.cli", "dead", "list"], **where(environ, tmp_path))
    assert done.stdout.count(SHOWN_MARKUP) == 4, "channel, name and text of one letter, the reason of the other"
    assert r"\x1b[2J" in done.stdout
    _, told = run("dead", "list")
    letter = next(one for one in told["letters"] if one["id"] == hostile_journal)
    assert (letter["name"], letter["channel"], letter["message"]) == (HOSTILE, HOSTILE, HOSTILE)


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=pytest.mark.long), "utf-8"])
def test_streams_of_every_encoding_are_harmless(
    environ: dict[str, str], tmp_path: Path, hostile_journal: str, encoding: str
) -> None:
    """And with arguments that are not UTF-8."""
    environ["PYTHONIOENCODING"] = encoding
    for arguments in (["status"], ["dead", "list", "--json"], ["publish", os.fsdecode(b"\xff\x1b"), "e", "x"]):
        command = ["-m", "sockudo_publisher.cli", *arguments]
        with start_python(
            command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            stdout, stderr = process.communicate(timeout=COMMAND_S)
        assert_harmless(stdout.decode(encoding) + stderr.decode(encoding))
        assert b"Traceback" not in stderr


def test_log_of_a_worker_is_harmless(environ: dict[str, str], tmp_path: Path, redis: RedisServer) -> None:
    """An event with such a name and id is refused: its line names both; Celery's lines show the id too."""
    name, key = HOSTILE, HOSTILE[:60]
    with DevServerProcess(tmp_path / "server", [SockudoApp(limits={"max_event_name_length": 20})]) as server:
        environ["SOCKUDO_URL"] = server.url
        settings = {one: value for one, value in environ.items() if one.startswith("SOCKUDO_")}
        with WarmWorker(settings, directory=tmp_path / "worker") as worker:
            code = (
                "import sys\nfrom sockudo_publisher import publish\n"
                f"publish.apply_async(('c', {name!r}, 'x'), task_id={key!r}, countdown=0.5)\n"
                f"publish.delay('d', {name!r}, 'x')\n"
            )
            done = run_python(["-c", code], **where(environ, tmp_path))
            assert done.returncode == 0, done.stderr
            given = Settings(url=server.url, redis_url=redis.url)
            assert wait_for(lambda: len(operations.dead_list(given, APP, 9)) == 2, COMMAND_S), worker.log_tail()
        log = worker.log_text()
    assert_harmless(log.replace("\x1b[0m", ""))
    lines = [line for line in log.splitlines() if "dead letter app=" in line]
    assert len(lines) == 2
    assert all(r"event=\x1b[2J" in line and SHOWN_MARKUP in line for line in lines)
    assert any("message_id=" + r"\x1b[2J" in line for line in lines)
