"""What several tests of this room need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sockudo_publisher.dev.embedded import RedisServer


@pytest.fixture(scope="module")
def their_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("their-broker"), appendonly=False) as server:
        yield server
