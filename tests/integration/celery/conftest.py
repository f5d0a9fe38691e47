"""What several tests of this room need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sockudo_publisher.dev.embedded import RedisServer, WorkerProcess
from tests.support.stack import SharedStack, Stack


@pytest.fixture(scope="module")
def their_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("their-broker"), appendonly=False) as server:
        yield server


@pytest.fixture(scope="module")
def debug_worker(shared: SharedStack) -> WorkerProcess:
    """A worker that logs all it can, for the tests of a file."""
    return shared.base.worker(args=["--loglevel=DEBUG"])


@pytest.fixture
def debugged(shared: SharedStack, debug_worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack with that worker."""
    with shared.of_test(monkeypatch) as stack:
        yield stack
