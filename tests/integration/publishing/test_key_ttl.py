"""How long a key is remembered: as long as the setting says, and no longer."""

from __future__ import annotations

import pytest

from sockudo_publisher import IdempotencyConflict, configure, publish
from sockudo_publisher.dev.embedded.process import wait_for

pytestmark = pytest.mark.integration


def test_key_is_free_again_when_its_time_is_over(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then another payload is a conflict at the caller."""
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", redis_url)
    monkeypatch.setenv("SOCKUDO_KEY_TTL", "2")
    configure()
    try:
        publish.delay("orders", "shipped", 1, key="k")
        with pytest.raises(IdempotencyConflict):
            publish.delay("orders", "shipped", 2, key="k")

        def is_free() -> bool:
            try:
                return publish.delay("orders", "shipped", 2, key="k").id == "k"
            except IdempotencyConflict:
                return False

        assert wait_for(is_free, 60)
    finally:
        monkeypatch.undo()
        configure()
