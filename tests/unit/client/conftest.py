"""A client whose requests end on a wire that a test reads."""

from collections.abc import Iterator

import pytest

from tests.support.wire import Wire, wired


@pytest.fixture
def wire() -> Iterator[Wire]:
    """``wire.client`` asks, ``wire.answer`` answers, ``wire.sent`` keeps."""
    with wired() as wire:
        yield wire
