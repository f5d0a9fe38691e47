"""What the first use of each public part loads into a fresh process, and what it must not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cases import in_depth

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]

#: Rooms that a publisher never loads, and libraries that only they, or calls of another kind, need.
ROOMS = ("canaries", "cli", "delivery", "dev", "doctor", "operations", "outbox", "workerapp")
LIBRARIES = ("requests", "urllib3", "tenacity", "nacl", "rich", "django", "sqlalchemy", "starlette", "websockets")

#: Modules of the room `publishing` that only coroutines and bulk jobs need.
FOR_COROUTINES = (
    *("async_bulk", "async_store", "background_thread", "bulk_run", "flush_plan", "group_commit", "loop_outcomes"),
    *("ring_thread", "waiting_call"),
)

#: Modules of the rooms that a publisher does load, which its first `delay` does not need.
NOT_FOR_DELAY = (
    *("client.api", "client.http.signing", "client.sockudo", "client.wire.event"),
    *("journal.app", "journal.batch", "journal.dead_letters", "journal.holder", "journal.lease", "journal.status"),
    *("client.async_sockudo", *[f"publishing.{name}" for name in FOR_COROUTINES]),
    *("publishing.bulk", "publishing.receipts", "tasks.on_commit", "wiring.redis_scripts", "wiring.result_backend"),
)

LOADED = """
import sys
before = set(sys.modules)
def so_far():
    import json
    print(json.dumps(sorted(set(sys.modules) - before)))
{source}
so_far()
"""


def loaded_by(source: str, **environ: str) -> set[str]:
    """The modules that a Python of its own loads for this."""
    return loaded_in_steps(source, **environ)[-1]


def loaded_in_steps(source: str, **environ: str) -> list[set[str]]:
    """Those at each `so_far()` in the source, and at its end."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "CELERY"))}
    command = [sys.executable, "-c", LOADED.format(source=source)]
    done = subprocess.run(command, env=env | environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [set(json.loads(line)) for line in done.stdout.splitlines()]


def of(loaded: set[str], *names: str) -> set[str]:
    """Those of the loaded modules that belong to these packages."""
    return {module for module in loaded if any(module == name or module.startswith(f"{name}.") for name in names)}


def own_rooms(*names: str) -> tuple[str, ...]:
    """Rooms by their full names."""
    return tuple([f"sockudo_publisher.{name}" for name in names])


def test_package_alone_loads_its_errors() -> None:
    """No other module of the package, and no library."""
    loaded = loaded_by("import sockudo_publisher")
    assert of(loaded, "sockudo_publisher") == {"sockudo_publisher", "sockudo_publisher.errors"}
    assert of(loaded, *LIBRARIES, "celery", "kombu", "redis") == set()


def test_client_loads_neither_celery_nor_redis() -> None:
    """`requests`, and the rooms below the client; PyNaCl only with a master key."""
    loaded = loaded_by("from sockudo_publisher import Sockudo; Sockudo('app', 'key', 'secret')")
    own = {module.split(".")[1] for module in of(loaded, "sockudo_publisher") if "." in module}
    assert own == {"client", "config", "errors", "redaction"}
    assert of(loaded, "celery", "kombu", "redis", "nacl", "tenacity", "rich", "click") == set()


def test_first_delay_loads_nothing_that_delivers(redis_url: str) -> None:
    """No room of the workers, no HTTP client, and not the workers' end of the journal."""
    source = "from sockudo_publisher import publish; publish.delay('room', 'event', {'n': 1})"
    loaded = loaded_by(source, SOCKUDO_URL="http://key:secret@127.0.0.1:9/apps/app", SOCKUDO_REDIS_URL=redis_url)
    assert of(loaded, *own_rooms(*ROOMS), *own_rooms(*NOT_FOR_DELAY)) == set()
    assert of(loaded, *[name for name in LIBRARIES if name != "django"]) == set()  # kombu looks whether Django is there
    assert "sockudo_publisher.journal.producer" in loaded


def test_first_adelay_loads_nothing_that_delivers(redis_url: str) -> None:
    """Group commit beside what `delay` loads."""
    source = "import asyncio; from sockudo_publisher import publish; asyncio.run(publish.adelay('room', 'event', 1))"
    loaded = loaded_by(source, SOCKUDO_URL="http://key:secret@127.0.0.1:9/apps/app", SOCKUDO_REDIS_URL=redis_url)
    not_needed = [name for name in NOT_FOR_DELAY if name.removeprefix("publishing.") not in FOR_COROUTINES]
    assert of(loaded, *own_rooms(*ROOMS), *own_rooms(*not_needed)) == set()
    assert of(loaded, *own_rooms("publishing.async_bulk", "publishing.bulk_run")) == set()
    assert "sockudo_publisher.publishing.group_commit" in loaded


def test_async_client_loads_neither_celery_nor_redis() -> None:
    loaded = loaded_by("from sockudo_publisher import AsyncSockudo; AsyncSockudo('app', 'key', 'secret')")
    assert of(loaded, "celery", "kombu", "redis", "sockudo_publisher.publishing") == set()


def test_worker_of_another_app_loads_the_drain_as_it_starts() -> None:
    """Before its pool forks, so that no child spends the time limit of a task on imports; the app alone loads none."""
    source = "from celery import Celery, signals; from sockudo_publisher import register; register(Celery('theirs'))"
    before, loaded = loaded_in_steps(f"{source}; so_far(); signals.worker_init.send(sender=None)")
    assert of(before, *own_rooms(*ROOMS)) == set()
    assert "sockudo_publisher.delivery.drain" in loaded


def test_encryption_is_loaded_with_the_master_key(redis_url: str) -> None:
    """By the first call, which another thread's fork then waits for; not in the middle of a later one."""
    source = "from sockudo_publisher import publish; publish.delay('room', 'event', {'n': 1})"
    environ = {"SOCKUDO_URL": "http://key:secret@127.0.0.1:9/apps/app", "SOCKUDO_REDIS_URL": redis_url}
    loaded = loaded_by(source, **environ, SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64="A" * 43 + "=")
    assert "nacl.secret" in loaded


def test_unused_worker_room_assembles_no_worker() -> None:
    """A module of `workerapp` can be used without its Celery app."""
    loaded = loaded_by("import sockudo_publisher.workerapp.run_drain", SOCKUDO_URL="http://k:s@127.0.0.1:9/apps/a")
    assert of(loaded, *own_rooms("workerapp.assembly", "workerapp.steps")) == set()
    assert of(loaded, "celery.worker") == set()


@pytest.mark.parametrize(
    "module", in_depth(["publishing.bulk", "outbox.relay", "tasks.publish"], quick=["publishing.bulk"])
)
def test_long_lived_publishers_load_the_broker_at_import(module: str) -> None:
    """Not in the middle of their first ring, where a fork would find half a module."""
    assert "sockudo_publisher.wiring.broker" in loaded_by(f"import sockudo_publisher.{module}")
