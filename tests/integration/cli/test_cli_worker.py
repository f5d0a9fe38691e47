"""``worker`` as a process: events that the command queued reach a subscriber, and it ends as docs/cli.md says."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["devserver", "sockudo"])
def server(request, environ):
    """The embedded and the real server, as the commands' settings."""
    found = request.getfixturevalue(request.param)
    environ["SOCKUDO_URL"] = found.url
    environ["SOCKUDO_DEDUP_WINDOW"] = "60"
    environ["SOCKUDO_DELIVERY_TIMEOUT"] = "10"
    return found


def test_what_was_queued_reaches_a_subscriber(server, subscriber, run, start, tmp_path):
    """publish and publish-file store, worker delivers, in order; SIGTERM ends it with 0."""
    channel = f"cli-{time.time_ns()}"
    seen = subscriber(server, channel)
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f'{{"channel":"{channel}","name":"e","data":{n}}}\n' for n in range(1, 1000)))
    assert run("publish", channel, "e", "0")[0] == 0
    assert run("publish-file", str(file))[0] == 0

    worker = start("worker", "--json", "--concurrency", "6", "--loglevel", "ERROR")
    configuration = json.loads(worker.stdout.readline())
    assert configuration["ok"] is True
    assert configuration["apps"] == ["default"]
    assert configuration["pool"] == "threads"
    assert server.apps[0].secret not in json.dumps(configuration)

    assert seen.take(1000) == [str(n) for n in range(1000)]
    worker.send_signal(signal.SIGTERM)
    stdout, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr.decode()
    assert stdout == b""


def test_now_means_delivered(server, subscriber, run, environ):
    """Without Redis, without a worker."""
    environ["SOCKUDO_REDIS_URL"] = "redis://127.0.0.1:1/0"
    channel = f"cli-{time.time_ns()}"
    seen = subscriber(server, channel)
    code, answer = run("publish", "--now", channel, "e", "at once")
    assert code == 0
    assert answer["acknowledgement_ids"] == {channel: answer["message_id"]}
    assert seen.take(1) == ["at once"]


def test_the_server_s_refusal_is_a_failure(server, run, environ):
    """Not unreachable: it answered."""
    environ["SOCKUDO_URL"] = server.url.replace(f":{server.apps[0].secret}@", ":another@")
    code, answer = run("publish", "--now", "c", "e", "x")
    assert (code, answer["error"]["type"]) == (1, "AuthFailed")


SECRET = "secret-of-mine"

#: Settings that can never work, and the variable that is to be named.
NEVER = {
    "no url": ({"SOCKUDO_URL": "foo"}, "SOCKUDO_URL: "),
    "no app": ({"SOCKUDO_URL": ""}, "SOCKUDO_URL: not set"),
    "key": ({"SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64": SECRET}, "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64: not base64"),
    "short key": ({"SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64": "QUJD"}, "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64: 3 bytes"),
    "further app": ({"SOCKUDO_APPS": f'{{"shop":"http://k:{SECRET}/x@h/apps/1"}}'}, "SOCKUDO_APPS['shop']: "),
    "redis": ({"SOCKUDO_REDIS_URL": f"redis://:{SECRET}/x@127.0.0.1:6379/0"}, "SOCKUDO_REDIS_URL: "),
    "broker": ({"SOCKUDO_BROKER_URL": f"amqp://u:{SECRET}/x@h"}, "SOCKUDO_BROKER_URL: "),
    "transport": ({"SOCKUDO_BROKER_URL": f"nope://u:{SECRET}@h"}, "SOCKUDO_BROKER_URL: "),
    "not tried": ({"SOCKUDO_BROKER_URL": "librabbitmq://h"}, "SOCKUDO_BROKER_URL: librabbitmq:// is not supported"),
    "number": ({"SOCKUDO_LANES": "many"}, "SOCKUDO_LANES: "),
}


@pytest.mark.parametrize("celery", [False, True], ids=["sockudo-publisher", "celery"])
@pytest.mark.parametrize(("settings", "error_text"), NEVER.values(), ids=NEVER)
def test_worker_does_not_start_with_settings_that_can_never_work(environ, settings, error_text, celery):
    """One line that names the variable, exit code 2, and no traceback: by either command."""
    environ.update(settings)
    command = ["-m", *(["celery", "-A", "worker"] if celery else ["sockudo_publisher.cli"]), "worker"]
    ended = run_python(command, env=environ, cwd=ROOT, timeout=120)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"Error: {error_text}")
    assert ended.stderr.count("\n") == 1
    assert SECRET not in ended.stderr


def test_celery_s_other_commands_do_not_need_an_app(environ):
    """`celery -A worker report` delivers nothing."""
    environ["SOCKUDO_URL"] = ""
    ended = run_python(["-m", "celery", "-A", "worker", "report"], env=environ, cwd=ROOT, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_worker_warns_of_a_misspelled_variable(environ, start):
    """And starts all the same."""
    environ["SOCKUDO_TIMEOUTT"] = "3"
    worker = start("worker", "--concurrency", "1", "--loglevel", "INFO")
    lines = []
    for line in worker.stderr:
        lines.append(line)
        if line.rstrip().endswith(b" ready."):
            break
    assert any(b"SOCKUDO_TIMEOUTT: no setting has this name, did you mean SOCKUDO_TIMEOUT?" in line for line in lines)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)
    assert worker.returncode == 0


def test_a_terminal_shows_that_the_worker_is_ready(environ, start, redis):
    """At Celery's default level, with the URL of Redis but not its password."""
    password = urlsplit(redis.url).password
    worker = start("worker", "--concurrency", "1")
    shown = next(line for line in worker.stdout if line.startswith(b"worker ready"))
    worker.send_signal(signal.SIGTERM)
    stdout, stderr = worker.communicate(timeout=60)
    address = redis.url.replace(f":{password}@", "")
    assert shown.decode() == f"worker ready queue=sockudo apps=default redis={address}\n"
    assert password.encode() not in shown + stdout + stderr
    assert b"worker ready" not in stdout + stderr
