"""What each command loads: no library that it does not need, as the start of a command is its whole cost."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_py

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.holder import Journal
from tests.integration.cli.conftest import LANES

pytestmark = pytest.mark.integration

#: A Python that has loaded the command, and what its arguments name, and forks for each line of arguments and settings.
FORKS = """
import importlib, json, os, sys
from sockudo_publisher.cli import main
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    arguments, environ, answer = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environ)
        sys.stdout = open(os.devnull, "w")
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code or 0
        with open(answer, "w") as told:
            json.dump({"code": code, "loaded": sorted(sys.modules)}, told)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""

#: What all commands that ask Redis load. One that loaded too much would show in each of them.
OF_REDIS = ("redis", "hiredis", "sockudo_publisher.operations", "sockudo_publisher.journal.producer")

#: Libraries that commands of an operator never need.
HEAVY = (
    *("celery", "kombu", "billiard", "vine", "amqp", "requests", "urllib3", "tenacity", "nacl", "rich", "yaml"),
    *("starlette", "uvicorn", "websockets", "django", "sqlalchemy", "orjson", "pydantic", "msgspec"),
)

#: Each command, its exit code, and the libraries that it needs of them.
COMMANDS = {
    "help": (["--help"], 0, ("redis", "hiredis")),
    "version": (["--version"], 0, ("redis", "hiredis")),
    "help of a command": (["publish", "--help"], 0, ("redis", "hiredis")),
    "status": (["status"], 0, ()),
    "health": (["health"], 1, ()),
    "status in JSON": (["status", "--json"], 0, ()),
    "dead list": (["dead", "list"], 0, ()),
    "dead show": (["dead", "show", "0-1-1"], 1, ()),
    "dead replay": (["dead", "replay", "0-1-1"], 1, ()),
    "dead purge": (["dead", "purge", "0-1-1", "--yes"], 1, ()),
    "resume": (["resume"], 0, ()),
    "publish": (["publish", "c", "e", "d"], 0, ()),
}

#: Modules that a command for one call needs, and no other.
OF_DIRECT_CALLS = ("requests", "urllib3")


@contextlib.contextmanager
def forking(*modules: str) -> Iterator[subprocess.Popen[str]]:
    """What forks for each command: see `FORKS`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
    command = [sys.executable, "-c", FORKS, *modules]
    with subprocess.Popen(command, env=ours, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def pythons() -> Iterator[list[subprocess.Popen[str]]]:
    """One that has loaded nothing but the command, and one that has loaded what asks Redis."""
    with forking() as bare, forking(*OF_REDIS) as of_redis:
        yield [bare, of_redis]


@pytest.fixture
def loaded(
    pythons: list[subprocess.Popen[str]], environ: dict[str, str], tmp_path: Path
) -> Callable[..., tuple[int, set[str]]]:
    """Run a command in a process of its own: its exit code, and the first names of the loaded modules."""

    def run(*args: str) -> tuple[int, set[str]]:
        python = pythons["--help" not in args and "--version" not in args]
        assert python.stdin is not None
        assert python.stdout is not None
        python.stdin.write(json.dumps([args, environ, str(tmp_path / "told.json")]) + "\n")
        python.stdin.flush()
        assert python.stdout.readline() == "0\n"
        told = json.loads((tmp_path / "told.json").read_text())
        return told["code"], {name.partition(".")[0] for name in told["loaded"]}

    return run


@pytest.mark.parametrize(("args", "code", "unneeded"), COMMANDS.values(), ids=COMMANDS.keys())
def test_command_loads_what_it_needs(
    loaded: Callable[..., tuple[int, set[str]]], args: list[str], code: int, unneeded: tuple[str, ...]
) -> None:
    """Neither Celery nor an HTTP client: Redis, click, and this package."""
    ended, names = loaded(*args)
    assert ended == code
    assert names & {*HEAVY, *unneeded} == set()


def test_direct_publish_loads_the_client_alone(loaded: Callable[..., tuple[int, set[str]]]) -> None:
    """`publish --now` needs HTTP, and no Celery."""
    ended, names = loaded("publish", "c", "e", "d", "--now")
    assert ended == 3, "no server answers"
    assert names & set(HEAVY) == set(OF_DIRECT_CALLS)


def test_resume_rings_without_celery(
    loaded: Callable[..., tuple[int, set[str]]], redis: RedisServer, run: Callable[..., tuple[int, object]]
) -> None:
    """A pause that ends rings the lanes with events, over the same Redis."""
    assert run("publish", "c", "e", "d")[0] == 0
    Journal(redis.url, "default", lanes=LANES).shared.pause("unknown", 3600.0)
    with redis_py.Redis.from_url(redis.url) as client:
        assert client.lpop("sockudo") is not None, "the doorbell of `publish`"
        ended, names = loaded("resume")
        assert (ended, names & set(HEAVY)) == (0, set())
        assert client.llen("sockudo") == 1


def test_other_broker_is_rung_through_celery(
    loaded: Callable[..., tuple[int, set[str]]], redis: RedisServer, environ: dict[str, str]
) -> None:
    """A broker beside the journal's Redis: slower, and no ring is lost."""
    environ["SOCKUDO_BROKER_URL"] = redis.url.rpartition("/")[0] + "/5"
    ended, names = loaded("publish", "c", "e", "d")
    assert (ended, "celery" in names) == (0, True)
    with redis_py.Redis.from_url(environ["SOCKUDO_BROKER_URL"]) as client:
        assert client.llen("sockudo") == 1
