"""``sockudo-publisher doctor`` as a process: exit codes, both languages, and its time when everything hangs."""

from __future__ import annotations

import json
import os
import time
from urllib.parse import urlsplit

import pytest

from scripts import stack as composed
from sockudo_publisher import __version__
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer, free_port
from tests.support.proxy import Delay, Proxy
from tests.support.timing import BUSY_S
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

#: Seconds in which a command must be over; its own start on a slow machine included.
BOUND_S = 90.0
#: Seconds after which all checks end, by default.
DEFAULT_TIMEOUT_S = 15.0
#: Beside other programs all checks take longer than the default allows.
PATIENT = ("--timeout", "60")


@pytest.fixture(scope="module")
def running():
    """Everything of docker-compose.yml."""
    with composed.running() as started:
        yield started


def doctor(environ, *args):
    """Exit code, what it said, and how long it took."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
    start = time.monotonic()
    command = ["-m", "sockudo_publisher.cli", "doctor", *args]
    result = run_python(command, env={**ours, **environ}, timeout=BOUND_S)
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, result.stdout, time.monotonic() - start


def findings(environ, *args):
    code, told, _ = doctor(environ, "--json", *PATIENT, *args)
    answer = json.loads(told)
    assert answer["ok"] is (code == 0)
    return code, {finding["name"]: finding for finding in answer["findings"]}


@pytest.mark.long
def test_the_composed_stack_is_fine(running):
    """All of it, with a worker that says its version: exit code 0."""
    for _ in range(4):
        code, told = findings(running.environment)
        if not any(finding["state"] == "unknown" for finding in told.values()):
            break  # beside other programs a check may end without a result
    assert {finding["state"] for finding in told.values()} == {"fine"}, told
    assert code == 0
    assert __version__ in told["workers"]["why"]
    assert not any(finding["change"] for finding in told.values())
    assert not any(secret in json.dumps(told) for secret in secrets(running))


def secrets(running):
    return [Credentials.from_url(running.url).secret, urlsplit(running.environment["SOCKUDO_REDIS_URL"]).password]


def test_a_risk_ends_with_1(running):
    """Past the nginx: the change stands below its line."""
    environ = {**running.environment, "SOCKUDO_URL": running.direct_url}
    code, text, _ = doctor(environ, *PATIENT)
    assert code == 1, text
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if "sockudo.dropped_requests" in line)
    assert lines[at].startswith("risk")
    assert "change: put the nginx" in lines[at + 1]
    other_host = next(n for n, line in enumerate(lines) if "deployment" in line)
    assert lines[other_host].startswith("risk"), "the worker goes through the nginx"
    assert [line.split()[0] for line in lines].count("fine") == len(lines) - 4
    assert not any(secret in text for secret in secrets(running))


def test_another_app_is_asked_for_by_name(running):
    """Its own URL; the workers do not know it."""
    apps = {"second": running.url.replace(f":{Credentials.from_url(running.url).secret}@", ":of-mine@")}
    code, told = findings({**running.environment, "SOCKUDO_APPS": json.dumps(apps)}, "--app", "second")
    assert code == 1
    assert "SOCKUDO_APPS['second']" in told["sockudo.signature"]["change"]
    assert told["workers"]["state"] == "broken"
    assert "of-mine" not in json.dumps(told)


@pytest.mark.parametrize("away", ["SOCKUDO_URL", "SOCKUDO_REDIS_URL"])
def test_a_part_that_is_away_ends_with_3(running, away):
    """What can be found out without it is."""
    url = {
        "SOCKUDO_URL": "http://key:of-mine@127.0.0.1:{}/apps/app",
        "SOCKUDO_REDIS_URL": "redis://:of-mine@127.0.0.1:{}",
    }
    code, told = findings({**running.environment, away: url[away].format(free_port())})
    assert code == 3
    here, there = ("redis", "sockudo") if away == "SOCKUDO_URL" else ("sockudo", "redis")
    assert told[f"{there}.reachable"]["state"] == "broken"
    assert told[f"{here}.reachable"]["state"] == "fine"
    assert "of-mine" not in json.dumps(told)


def test_when_everything_hangs_it_ends_in_time(tmp_path, sockudo):
    """Redis, which is the broker too, and Sockudo frozen: exit code 3, within the time that its help states."""
    with RedisServer(tmp_path) as redis, SockudoServer(tmp_path / "sockudo") as server:
        environ = {"SOCKUDO_URL": server.url, "SOCKUDO_REDIS_URL": redis.url}
        redis.pause()
        server.pause()
        code, text, seconds = doctor(environ, "--json")
        assert (code, seconds < DEFAULT_TIMEOUT_S + BUSY_S) == (3, True), (seconds, text)
        found = json.loads(text)["findings"]
        told = {finding["name"]: finding["state"] for finding in found}
        assert {name for name, state in told.items() if state == "broken"} == {
            "redis.reachable",
            "broker",
            "sockudo.reachable",
        }
        assert all("answer within" in finding["why"] for finding in found if finding["state"] == "broken")
        assert [name for name, state in told.items() if state == "fine"] == ["settings"]


def test_slow_parts_do_not_make_it_late(sockudo, redis_url):
    """Each answer comes, but late: the whole ends in its time, and states that it had too little."""
    with Proxy(sockudo.port, Delay(1.5)) as proxy:
        environ = {"SOCKUDO_URL": proxy.url(sockudo.url), "SOCKUDO_REDIS_URL": redis_url}
        _, text, seconds = doctor(environ, "--json", "--timeout", "6")
        assert seconds < 6 + BUSY_S, text
        answer = json.loads(text)
        assert answer["timed_out"] is True
        told = {finding["name"]: finding["state"] for finding in answer["findings"]}
        assert told["sockudo.signature"] == "fine"
        assert told["sockudo.dropped_requests"] == "unknown"
        _, text, _ = doctor(environ, "--timeout", "6")
        assert "The time was up after 6 s" in text


def test_stated_duration_is_the_one_in_force():
    """In its help and in docs/cli.md."""
    from sockudo_publisher.cli.doctor import command
    from sockudo_publisher.doctor.diagnosis import MARGIN_S, WITHIN_S

    assert WITHIN_S + MARGIN_S == DEFAULT_TIMEOUT_S
    [timeout] = [option for option in command.params if option.name == "timeout_s"]
    assert timeout.default == DEFAULT_TIMEOUT_S
    assert "after 15 s" in (composed.ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize(
    ("environ", "args", "message"),
    [
        ({}, [], "SOCKUDO_URL"),
        ({"SOCKUDO_URL": "http://key:of-mine@127.0.0.1:1/apps/app"}, ["--app", "no"], "SOCKUDO_APPS"),
        ({"SOCKUDO_URL": "htp://key:of-mine@h/apps/app"}, [], "SOCKUDO_URL"),
        (
            {"SOCKUDO_URL": "http://key:s@127.0.0.1:1/apps/app", "SOCKUDO_REDIS_URL": "radish://:of-mine@h"},
            [],
            "SOCKUDO_REDIS_URL",
        ),
    ],
    ids=["no url", "no such app", "malformed url", "malformed redis url"],
)
def test_settings_that_are_none_end_with_2(environ, args, message):
    """The variable is named, its value is not."""
    code, told, _ = doctor(environ, "--json", *args)
    assert code == 2
    assert message in json.loads(told)["error"]["message"]
    assert "of-mine" not in told


@pytest.mark.long
def test_an_old_terminal_is_written_to_all_the_same():
    """Its encoding lacks characters that the findings have."""
    code, told, _ = doctor(
        {
            "SOCKUDO_URL": "http://k:s@127.0.0.1:1/apps/a",
            "SOCKUDO_REDIS_URL": "redis://127.0.0.1:1/0",
            **{"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        }
    )
    assert code == 3
    assert told.isascii()
    assert "redis.reachable" in told
