"""What each command loads: no library that it does not need, as the start of a command is its whole cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
import redis as redis_py

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.holder import Journal
from tests.integration.cli.conftest import LANES

pytestmark = pytest.mark.integration

RUN = """
import json, sys
from sockudo_publisher.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
print(json.dumps({"code": code, "loaded": sorted(sys.modules)}), file=sys.stderr)
"""

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


@pytest.fixture
def loaded(environ: dict[str, str]) -> Callable[..., tuple[int, set[str]]]:
    """Run a command in a Python of its own: its exit code, and the first names of the loaded modules."""

    def run(*args: str) -> tuple[int, set[str]]:
        done = subprocess.run(
            [sys.executable, "-c", RUN, *args], env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        told = json.loads(done.stderr.splitlines()[-1])
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
