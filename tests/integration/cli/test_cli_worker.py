"""``worker`` as a process: events that the command queued reach a subscriber, and it ends as docs/cli.md says."""

from __future__ import annotations

import json
import signal
import time

import pytest

pytestmark = pytest.mark.integration


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
