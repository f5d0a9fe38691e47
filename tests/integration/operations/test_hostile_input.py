"""What operators and programs may pass to the operations: refused clearly, or survived."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sockudo_publisher import ConfigurationError, ValidationError, operations, publish
from sockudo_publisher.config.settings import Settings, temporary_settings
from sockudo_publisher.errors import JournalUnreadable
from tests.integration.journal.one_lane import OneLane
from tests.integration.operations.conftest import OTHER

pytestmark = pytest.mark.integration

#: Not UTF-8 (as an argument of a command line with a wrong byte has it), and far longer than any name.
HOSTILE = ["\udcff", "c" * 100_000]

ACTS: dict[str, Callable[[str], object]] = {
    "replay channel": lambda text: operations.replay(channel=text),
    "replay event": lambda text: operations.replay(event=text),
    "purge channel": lambda text: operations.purge(channel=text),
    "purge event": lambda text: operations.purge(event=text),
    "dead_letters channel": lambda text: operations.dead_letters(channel=text),
    "dead_letters event": lambda text: operations.dead_letters(event=text),
    "scheduled channel": lambda text: operations.scheduled(channel=text),
    "scheduled event": lambda text: operations.scheduled(event=text),
}


@pytest.mark.parametrize("text", HOSTILE, ids=["a lone surrogate", "too long"])
@pytest.mark.parametrize("name", ACTS)
def test_text_that_no_event_has_is_refused(settings: Settings, name: str, text: str) -> None:
    """The error names the field and shows no more than a line; nothing is in the audit."""
    with pytest.raises(ValidationError, match=rf"^{name.partition(' ')[2]}: ") as caught:
        ACTS[name](text)
    assert len(str(caught.value)) < 200
    assert operations.audit() == []


@pytest.mark.parametrize("name", ACTS)
def test_value_that_is_no_text_is_refused(settings: Settings, name: str) -> None:
    """With its type, not its value."""
    with pytest.raises(ValidationError, match=rf"^{name.partition(' ')[2]}: expected text, got int"):
        ACTS[name](7)  # type: ignore[arg-type]


def test_resume_survives_a_pause_of_another_type(settings: Settings, lane: OneLane) -> None:
    """A key that a person or another program has spoiled: gone after the resume, which is in the audit."""
    key = lane.journal.link.keyspace.app("default").operator_pause
    lane.client.set(key, "x")
    operations.resume(actor="ana")
    assert not lane.client.exists(key)
    assert [one.action for one in operations.audit()] == ["resume"]


def test_find_says_why_a_scheduled_event_is_parked(settings: Settings, lane: OneLane) -> None:
    """A record that cannot be read is another reason than a key that was used."""
    result = publish.apply_async(("c", "e", 1), countdown=600)
    bucket = next(
        keys
        for keys in (lane.journal.link.keyspace.bucket("default", n) for n in range(16))
        if lane.client.exists(keys.items)
    )
    lane.client.hset(bucket.items, result.id, b"\xff")
    [name] = lane.client.zrange(bucket.times, 0, -1)
    lane.client.zadd(bucket.times, {name: "+inf"})
    [place] = operations.find(result.id).places
    assert (place.state, place.channel) == ("scheduled", "")
    assert "cannot be read" in place.detail
    assert "its key" not in place.detail


def test_cancelled_record_that_cannot_be_read_is_in_the_audit(settings: Settings, lane: OneLane) -> None:
    """It is deleted: the action has a result, as any other."""
    result = publish.apply_async(("c", "e", 1), countdown=600)
    for number in range(16):
        keys = lane.journal.link.keyspace.bucket("default", number)
        if lane.client.exists(keys.items):
            lane.client.hset(keys.items, result.id, b"\xff")
    with pytest.raises(JournalUnreadable):
        operations.cancel(result.id, actor="ana")
    [entry] = operations.audit()
    assert (entry.action, entry.what, entry.counts) == ("cancel", result.id, {"unreadable": 1})


def test_schedule_of_an_app_that_is_no_longer_configured(settings: Settings, lane: OneLane) -> None:
    """Is listed and cancelled, as its lanes are shown and paused."""
    result = publish.apply_async(("c", "e", 1), {"app": OTHER}, countdown=600)
    with temporary_settings(apps={}):
        assert [one.id for one in operations.scheduled(OTHER)] == [result.id]
        assert operations.cancel(result.id, app=OTHER).is_cancelled
        with pytest.raises(ConfigurationError, match="no app named 'nothing'"):
            operations.scheduled("nothing")
        with pytest.raises(ValidationError, match="^app: "):
            operations.scheduled("")
