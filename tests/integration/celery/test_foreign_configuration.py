"""The configuration of another Celery app in the same process or machine does not reach our callers and workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from sockudo_publisher import publish
from sockudo_publisher.dev.embedded import RedisServer
from tests.support.caller import call
from tests.support.cases import in_depth
from tests.support.stack import Stack
from tests.support.warm import run_python
from tests.support.worker_command import PROGRAMS, ROOT, WarmCommand, WorkerCommand

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def foreign(url: str) -> dict[str, str]:
    """Variables of an application's own Celery app, and of the `celery` command for its workers."""
    return {
        "CELERY_BROKER_URL": url,
        "CELERY_BROKER_READ_URL": url,
        "CELERY_BROKER_WRITE_URL": url,
        "CELERY_RESULT_BACKEND": "django-db",
        "CELERY_CONFIG_MODULE": "celeryconfig",
        "CELERY_LOADER": "nowhere.Loader",
        "CELERY_APP": "shop",
        "CELERY_BROKER": url,
        "CELERY_WORKER_QUEUES": "other",
        "CELERY_WORKER_POOL": "no-such-pool",
        "CELERY_WORKER_CONCURRENCY": "none",
        "CELERY_WORKER_TIME_LIMIT": "1",
        "CELERY_WORKER_PURGE": "1",
        "CELERY_WORKER_LOGFILE": "/nowhere/log",
        "APP": "shop",
        "BROKER_URL": url,
        "RESULT_BACKEND": "django-db",
        "LOADER": "nowhere.Loader",
        "CONFIG_MODULE": "celeryconfig",
        "DJANGO_SETTINGS_MODULE": "nowhere",
    }


@pytest.fixture
def elsewhere(tmp_path: Path):
    """The Redis of another app, which must stay empty."""
    with RedisServer(tmp_path / "elsewhere") as server, redis.Redis.from_url(server.url) as client:
        yield server.url
        assert client.keys("*") == []


COMMANDS = {
    "celery -A worker": ["celery", "-A", "worker", "worker"],
    "celery -A sockudo_publisher": ["celery", "-A", "sockudo_publisher", "worker"],
    "sockudo-publisher": ["sockudo-publisher", "worker"],
}


@pytest.mark.parametrize("command", in_depth(COMMANDS, quick=["celery -A sockudo_publisher", "sockudo-publisher"]))
def test_worker_among_variables_of_another_app_delivers(
    stack: Stack, elsewhere: str, command: list[str], tmp_path: Path
) -> None:
    """Stored events and countdowns of a caller among the same variables; nothing goes to the other app's broker."""
    (tmp_path / "celeryconfig.py").write_text(f"broker_url = {elsewhere!r}\ntask_always_eager = True\n")
    env = {**stack.environ, **foreign(elsewhere), "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    channel = stack.channel()
    with stack.subscribe(channel) as seen, WorkerCommand(command, env, tmp_path) as worker:
        call(
            stack,
            "publish.delay(C, 'n', {'n': 0}); publish.apply_async((C, 'n', {'n': 1}), countdown=0.5)",
            **foreign(elsewhere),
            PYTHONPATH=env["PYTHONPATH"],
        )
        seen.wait_for_count(2, 30)
        assert worker.stop() == 0
        assert "only SOCKUDO_* variables configure this worker; not read: BROKER_URL, CELERY_APP" in worker.log_text()


REFUSED = {
    "-b": (["-b", "redis://:hidden@h/0"], [], "-b, --broker: "),
    "--broker": (["--broker=redis://:hidden@h/0"], [], "-b, --broker: "),
    "--result-backend": (["--result-backend", "django-db"], [], "--result-backend: "),
    "--loader": (["--loader", "a.B"], [], "--loader: "),
    "--config": (["--config", "celeryconfig"], [], "--config: "),
    "-Q": ([], ["-Q", "other"], "-Q, -X: "),
    "-X": ([], ["-X", "sockudo"], "-Q, -X: "),
    "--purge": ([], ["--purge"], "--purge: "),
    "--autoscale": ([], ["--autoscale", "4,1"], "--autoscale: "),
    "spawn": ([], ["-P", "prefork", "--pool-start-method", "spawn"], "--pool-start-method: "),
    "configuration": ([], ["--", "broker.url=redis://:hidden@h/0"], "broker_url: "),
    "unprepared pool": ([], ["-Pgevent"], "--pool: "),
}


@pytest.mark.parametrize(("program", "command", "error_text"), REFUSED.values(), ids=REFUSED)
def test_worker_refuses_in_one_line(stack: Stack, program: list[str], command: list[str], error_text: str) -> None:
    """Exit code 2 for what would deliver nothing or lose messages; nothing of a URL is shown."""
    line = [*PROGRAMS["celery"], *program, "-A", "worker", "worker", *command]
    done = run_python(line[1:], env=stack.python(), cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith(f"Error: {error_text}")
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr


def test_refusal_by_our_own_command_is_one_line(stack: Stack) -> None:
    line = [*PROGRAMS["sockudo-publisher"], "worker", "-Q", "other"]
    done = run_python(line[1:], env=stack.python(), cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: -Q, -X: this worker must read the queue sockudo")
    assert done.stderr.count("\n") == 1


NAMED = [
    "sockudo_publisher",
    "sockudo_publisher:app",
    "sockudo_publisher.wiring.private_celery",
    "sockudo_publisher.wiring.private_celery:celery_app",
    "sockudo_publisher.tasks.publish",
    "sockudo_publisher.workerapp",
    "sockudo_publisher.workerapp:app",
    "sockudo_publisher.tasks.append",
    "worker:app",
]


@pytest.mark.parametrize(
    "name",
    in_depth(NAMED, quick=["sockudo_publisher.wiring.private_celery", "sockudo_publisher.tasks.publish", "worker:app"]),
)
def test_any_module_that_names_our_app_delivers(stack: Stack, name: str, tmp_path: Path) -> None:
    """`celery -A sockudo_publisher.wiring.private_celery worker` started, and discarded every drain."""
    channel = stack.channel()
    command = ["celery", "-A", name, "worker"]
    with stack.subscribe(channel) as seen, WarmCommand(command, stack.environ, tmp_path) as worker:
        publish.delay(channel, "n", {"n": 0})
        seen.wait_for_count(1, 30)
        assert worker.stop() == 0
        assert "discarded" not in worker.log_text()


@pytest.mark.parametrize(
    "name", ["sockudo_publisher.tasks.other_apps", "sockudo_publisher.config.settings", "sockudo_publisher:no"]
)
def test_module_that_leads_to_another_app_is_refused(stack: Stack, name: str) -> None:
    line = [*PROGRAMS["celery"], "-A", name, "worker"]
    done = run_python(line[1:], env=stack.python(), cwd=ROOT, timeout=60)
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    "name", ["sockudo_publisher.tasks.publish:publish", "sockudo_publisher.workerapp.drain_task.drain"]
)
def test_task_in_place_of_the_app_is_refused(stack: Stack, name: str) -> None:
    line = [*PROGRAMS["celery"], "-A", name, "worker"]
    done = run_python(line[1:], env=stack.python(), cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Error: -A {name}: a task, not an app; use -A sockudo_publisher\n"


@pytest.mark.parametrize(
    "name", ["sockudo_publisher", "sockudo_publisher.wiring.private_celery", "sockudo_publisher.tasks.publish"]
)
def test_wrong_settings_are_one_line_by_any_name(stack: Stack, name: str) -> None:
    line = [*PROGRAMS["celery"], "-A", name, "worker"]
    env = {**stack.python(), "SOCKUDO_LANES": "many"}
    done = run_python(line[1:], env=env, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: SOCKUDO_LANES: ")
    assert done.stderr.count("\n") == 1


def test_other_commands_reach_our_workers(stack: Stack) -> None:
    """From a wheel: the package's own name is enough, whatever CELERY_BROKER_URL says."""
    worker = stack.worker()
    env = {**stack.python(), "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    for command in (["inspect", "ping"], ["inspect", "active_queues"], ["control", "heartbeat"]):
        line = [*PROGRAMS["celery"], "-A", "sockudo_publisher", *command]
        done = run_python(line[1:], env=env, cwd=ROOT, timeout=60)
        assert (done.returncode, worker.node in done.stdout) == (0, True), (command, done.stdout, done.stderr)
