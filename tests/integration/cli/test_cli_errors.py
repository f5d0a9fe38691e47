"""What the commands say when they are used wrongly, when Redis fails, and on a terminal without our characters."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.support.warm import run_python

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "sockudo_publisher.cli"]


def ended(environ: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return run_python([*COMMAND[1:], *args], env=dict(environ), timeout=120)


@pytest.mark.parametrize(
    "args",
    [
        ("publish",),
        ("publish", "a", "e", "d", "--foo"),
        ("publish-file", "no-such-file"),
        ("dead", "list", "--limit", "0"),
        ("dead", "replay"),
        ("worker", "--nope"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_as_json_where_that_is_asked_for(environ, args) -> None:
    """One object on stdout, nothing before it, and the exit code for wrong usage."""
    command, *rest = args
    done = ended(environ, command, "--json", *rest) if command != "dead" else ended(environ, *args, "--json")
    assert done.returncode == 2, done.stderr
    [line] = done.stdout.splitlines()
    answer = json.loads(line)
    assert (answer["ok"], answer["exit_code"]) == (False, 2)
    assert answer["error"]["message"]


def test_publish_whose_answer_is_open_tells_how_to_repeat_it(environ) -> None:
    """A replica that is not there: the event may be stored, and its id makes a repeat safe."""
    open_answer = {**environ, "SOCKUDO_REDIS_WAIT": "1:50"}
    done = ended(open_answer, "publish", "c", "e", "d", "--json")
    assert done.returncode == 3
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["stored"]) == ("JournalUnavailable", None)
    told = ended(open_answer, "publish", "c", "e", "d")
    assert told.returncode == 3
    assert "repeat with --key " in " ".join(told.stderr.split())
    again = ended(environ, "publish", "c", "e", "d", "--key", error["message_id"], "--json")
    assert json.loads(again.stdout) == {"ok": True, "message_id": error["message_id"]}


def test_data_with_a_dash_gets_a_hint_and_is_not_repeated(environ) -> None:
    """It may be anything; behind -- it is data."""
    done = ended(environ, "publish", "c", "e", "-secret!")
    assert done.returncode == 2
    assert "before DATA" in done.stderr
    assert "secret" not in done.stderr
    assert ended(environ, "publish", "--", "c", "e", "-1").returncode == 0


def test_doctor_can_speak_ascii(environ) -> None:
    """A terminal without ± gets the text all the same."""
    plain = {**environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = ended(plain, "doctor", "--timeout", "5")
    assert done.returncode == 3, "Sockudo is not there"
    assert "Traceback" not in done.stderr
    assert "sockudo.reachable" in done.stdout
    assert done.stdout.isascii()


def test_status_without_an_app_says_what_to_set(environ) -> None:
    """Nothing is configured, and nothing waits."""
    without = {name: value for name, value in environ.items() if name != "SOCKUDO_URL"}
    done = ended(without, "status", "--json")
    assert done.returncode == 2
    assert "SOCKUDO_URL" in json.loads(done.stdout)["error"]["message"]
