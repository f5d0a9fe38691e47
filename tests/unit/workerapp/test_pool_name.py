"""Which pool the command line asks for."""

from __future__ import annotations

import pytest

from sockudo_publisher.workerapp.pool_name import asks_for_prefork

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("worker", False),
        ("worker -P prefork", True),
        ("worker --pool prefork -c 4", True),
        ("worker --pool=prefork", True),
        ("worker -Pprefork", True),
        ("worker -P threads", False),
        ("worker -P gevent", False),
        ("worker -P prefork -P threads", False),
        ("worker -P", False),
        ("worker --hostname=prefork", False),
    ],
)
def test_prefork_is_seen_however_it_is_written(arguments: str, answer: bool) -> None:
    """Celery's own spellings, the last one counting."""
    assert asks_for_prefork(arguments.split()) is answer
