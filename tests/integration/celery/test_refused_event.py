"""One event that the server never takes: it alone becomes a dead letter, whatever the status it is refused with."""

from __future__ import annotations

import pytest

from sockudo_publisher import operations, publish, publish_many
from sockudo_publisher.config.settings import get_settings
from tests.support.oracle import numbers
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


def test_refused_ai_event_stops_no_other_event(stack: Stack) -> None:
    """Sockudo says 403 to it, as it does to a key that may do nothing; its neighbours, and all else, go through."""
    channel, other = stack.channels(2)
    seen = stack.subscribe(channel, other)
    publish_many((channel, "n", {"n": n}) for n in range(3))
    refused = publish.delay(channel, "ai-output", "x")
    publish_many((channel, "n", {"n": n}) for n in range(3, 6))
    publish.delay(other, "n", {"n": 0})
    stack.worker()

    seen.wait_for_count(7, 30)
    assert numbers(seen.events()) == {channel: list(range(6)), other: [0]}
    [letter] = operations.dead_list(get_settings(), "default", 10)
    assert (letter.message_id, letter.reason) == (refused.id, "refused")
    assert "AI Transport" in letter.message
