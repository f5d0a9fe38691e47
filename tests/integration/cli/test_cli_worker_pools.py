"""``worker`` with each pool: it delivers and ends with SIGTERM, however the pool is written."""

from __future__ import annotations

import importlib.util
import json
import signal
import time

import pytest

from tests.support.parts import part_is_absent

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

WRITTEN = {
    "gevent": (["-P", "gevent"], "gevent"),
    "gevent, joined": (["-Pgevent"], "gevent"),
    "gevent, long": (["--pool=gevent"], "gevent"),
    "eventlet": (["-P", "eventlet"], "eventlet"),
    "eventlet, long": (["--pool", "eventlet"], "eventlet"),
    "prefork": (["-P", "prefork", "-c", "6"], "prefork"),
    "solo": (["-P", "solo"], "solo"),
    "the last one counts": (["-P", "gevent", "-P", "threads"], "threads"),
}
OTHER_SPELLINGS = {"gevent, joined", "gevent, long", "eventlet, long"}


@pytest.fixture
def seen(devserver, environ, subscriber):
    """A subscriber of one channel, whose name the environment has."""
    environ["SOCKUDO_URL"] = devserver.url
    environ["SOCKUDO_DEDUP_WINDOW"], environ["SOCKUDO_DELIVERY_TIMEOUT"] = "60", "10"
    environ["POOL_TEST_CHANNEL"] = f"cli-{time.time_ns()}"
    return subscriber(devserver, environ["POOL_TEST_CHANNEL"])


@pytest.mark.parametrize(
    ("options", "pool"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.long] if name in OTHER_SPELLINGS else [])
        for name, case in WRITTEN.items()
    ],
)
def test_every_pool_delivers_and_ends(seen, environ, run, start, options, pool):
    """With green pools nothing arrived, and SIGTERM was ignored: sockets and threads were not replaced first."""
    if pool in ("gevent", "eventlet"):
        need_pool(pool)
    check(seen, environ, run, start, *options, pool=pool)


def test_pool_of_another_app_is_not_taken(seen, environ, run, start):
    """CELERY_WORKER_POOL, which the `celery` command reads, is for workers of other apps."""
    environ["CELERY_WORKER_POOL"] = "gevent"
    check(seen, environ, run, start, pool="threads")


def need_pool(name):
    """Looked for, not imported: eventlet warns that it is deprecated."""
    if importlib.util.find_spec(name) is None:
        part_is_absent(name, f"no module {name}: pip install --editable '.[dev]'")


def check(seen, environ, run, start, *options, pool):
    """Start, deliver, end."""
    worker = start("worker", "--json", "--loglevel", "ERROR", *options)
    told = json.loads(worker.stdout.readline())
    assert told["pool"] == pool
    assert run("publish", environ["POOL_TEST_CHANNEL"], "e", "0")[0] == 0
    assert seen.take(1) == ["0"]
    worker.send_signal(signal.SIGTERM)
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr.decode()
    assert b"Traceback" not in stderr


def test_pool_that_is_not_installed_is_a_usage_error(environ, start, tmp_path):
    """One line, exit code 2."""
    (tmp_path / "eventlet.py").write_text("raise ModuleNotFoundError('no', name='eventlet')")
    environ["PYTHONPATH"] = str(tmp_path)
    worker = start("worker", "-P", "eventlet")
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 2
    assert b"--pool eventlet: needs a library that is not installed (eventlet)" in stderr
    assert b"Traceback" not in stderr
