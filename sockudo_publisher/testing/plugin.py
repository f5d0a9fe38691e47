"""The pytest plugin: fixtures and the option ``sockudo_block``. Loaded in every session that has this package installed.

So it imports pytest and the standard library alone; a fixture loads what it needs when a test uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .published import Published

BLOCK = "sockudo_block"
ALLOWED_HOSTS = "sockudo_allowed_hosts"
MARKER = "sockudo"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    parser.addini(BLOCK, "fail tests that publish outside of a fixture of sockudo-publisher", type="bool", default=False)
    parser.addini(
        ALLOWED_HOSTS, "with sockudo_block: hosts beside this machine to which fixtures may connect", type="args"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and block publishing if the ini file says so."""
    config.addinivalue_line(
        "markers", f"{MARKER}(immediate_on_commit=False): how the fixture `published` records (sockudo-publisher)"
    )
    if config.getini(BLOCK):
        from .block import Block

        config.pluginmanager.register(Block(config.getini(ALLOWED_HOSTS)), "sockudo_publisher_block")


@pytest.fixture
def published(request: pytest.FixtureRequest) -> Iterator[Published]:
    """What the test publishes, recorded in place of being stored and sent: no Redis, no server.

    ``@pytest.mark.sockudo(immediate_on_commit=True)``: record ``delay_on_commit`` and the outboxes at the call.
    """
    from .capture import capture_published

    mark = request.node.get_closest_marker(MARKER)
    options = {} if mark is None else mark.kwargs
    if mark is not None and (mark.args or options.keys() - {"immediate_on_commit"}):
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: takes immediate_on_commit=True or False, nothing else")
    with capture_published(**options) as published:
        yield published
