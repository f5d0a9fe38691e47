"""What SECURITY.md states about writers to the broker: no code runs, no address is taken from a message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Queue

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.embedded.worker import WorkerProcess
from tests.support.parts import need
from tests.support.stack import SharedStack, Stack

pytestmark = pytest.mark.integration

QUEUE = "sockudo"


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (_touch, (str(self.path),))


def _touch(path: str) -> None:
    Path(path).touch()


def publish_raw(stack: Stack, body: Any, serializer: str, task: str) -> None:
    """A message in the workers' queue, as another program of the broker can write it."""
    headers = {"task": task, "id": "forged", "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    with Connection(stack.redis_server.url) as connection, connection.Producer() as producer:
        producer.publish(
            body, serializer=serializer, routing_key=QUEUE, headers=headers, declare=[Queue(QUEUE, routing_key=QUEUE)]
        )


@pytest.fixture(scope="module")
def worker(shared: SharedStack) -> WorkerProcess:
    need("redis")
    return shared.base.worker()


@pytest.fixture
def stack(shared: SharedStack, worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """With the file's worker: it is one and the same that all of this does not end."""
    with shared.of_test(monkeypatch) as stack:
        yield stack


@pytest.mark.parametrize("serializer", ["pickle", "yaml"])
def test_a_message_that_is_not_json_runs_no_code(
    stack: Stack, worker: WorkerProcess, tmp_path: Path, serializer: str
) -> None:
    """It is discarded with an error in the log, and the worker goes on."""
    proof = tmp_path / "proof"
    before = len(worker.log_text())
    body: Any = [[Touch(proof)], {}, {}] if serializer == "pickle" else [[str(proof)], {}, {}]
    publish_raw(stack, body, serializer, "sockudo_publisher.append")
    assert wait_for(lambda: "ContentDisallowed" in worker.log_text()[before:], 60), worker.log_tail()
    assert not proof.exists()
    _goes_on(stack)


@pytest.mark.parametrize("task", ["os.system", "subprocess.getoutput"])
def test_a_message_for_another_task_runs_nothing(stack: Stack, tmp_path: Path, task: str) -> None:
    """It leaves the queue, and no function of that name is called."""
    proof = tmp_path / "proof"
    publish_raw(stack, [[f"touch {proof}"], {}, {}], "json", task)
    assert wait_for(lambda: stack.redis.llen(QUEUE) == 0, 60)
    _goes_on(stack)
    assert not proof.exists()


@pytest.mark.parametrize("app", ["http://127.0.0.1:1/apps/x", "no-such-app"])
def test_a_message_cannot_name_a_server(stack: Stack, worker: WorkerProcess, app: str) -> None:
    """An event goes to an app of the worker's own settings, or nowhere."""
    before = len(worker.log_text())
    with Celery("another program", broker=stack.redis_server.url) as other:
        options = {"queue": QUEUE, "serializer": "json"}
        other.send_task("sockudo_publisher.publish", ("orders", "n", 1), {"app": app}, **options)
    assert wait_for(lambda: "no app named" in worker.log_text()[before:], 60), worker.log_tail()
    _goes_on(stack)


def _goes_on(stack: Stack) -> None:
    from sockudo_publisher import publish

    with stack.subscribe(stack.channel()) as seen:
        publish.delay(stack.channel(), "n", "after it")
        seen.wait_for_count(1, 60)
