"""The command as a process of its own, and a real Redis for it to talk to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import lane_of
from tests.support.warm import run_python, start_python

LANES = 4
#: Seconds that one command may take on a busy machine.
COMMAND_S = 120.0


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), appendonly=False) as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """An empty Redis that runs."""
    if not redis_server.is_running:
        redis_server.start()
    with redis_py.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def environ(redis: RedisServer) -> dict[str, str]:
    """The settings of the commands; their Sockudo does not answer."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
    return {
        **ours,
        "SOCKUDO_URL": "http://key:secret-of-mine@127.0.0.1:1/apps/app",
        "SOCKUDO_REDIS_URL": redis.url,
        "SOCKUDO_LANES": str(LANES),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command; whatever still runs at the test's end is killed."""
    running = []

    def start_one(*args: str, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        command = ["-m", "sockudo_publisher.cli", *args]
        process: subprocess.Popen[bytes] = start_python(command, env=environ, cwd=tmp_path, **pipes)
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run the command with --json: its exit code and what it said."""

    def run_one(*args: str, stdin: bytes | None = None) -> tuple[int, dict[str, Any]]:
        command = ["-m", "sockudo_publisher.cli", *args, "--json"]
        done = run_python(command, env=environ, cwd=tmp_path, stdin=stdin, timeout=COMMAND_S)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run_one


@pytest.fixture
def stored(redis: RedisServer) -> Callable[[], list[dict[str, Any]]]:
    """Every event in the journal, lane by lane, as it would be sent. Takes the leases: for the end of a test."""

    def read() -> list[dict[str, Any]]:
        journal = Journal(redis.url, "default", lanes=LANES)
        found: list[dict[str, Any]] = []
        for lane in range(LANES):
            holder = journal.acquire(lane)
            assert holder is not None
            taken = journal.take(holder, max_items=500, max_bytes=1 << 22)
            while taken.batch is not None:
                found += json.loads(taken.batch.body)["batch"]
                taken = journal.settle_and_take(holder, taken.batch, max_items=500, max_bytes=1 << 22)
            journal.forget(holder)
        assert all(lane_of(event["channel"], LANES) in range(LANES) for event in found)
        return found

    return read
