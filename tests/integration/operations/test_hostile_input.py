"""What operators and programs may pass to the operations: refused clearly, or survived."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from sockudo_publisher import ConfigurationError, ValidationError, operations, publish
from sockudo_publisher.cli import main
from sockudo_publisher.config.settings import Settings, temporary_settings
from sockudo_publisher.errors import JournalUnreadable
from sockudo_publisher.metrics.figures import link_of, read_figures
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


def test_spoiled_schedule_is_in_the_metrics(settings: Settings, lane: OneLane) -> None:
    """As a spoiled lane is: `journal_readable` is 0, and the other figures are there."""
    link = link_of(settings)
    lane.append(b"1")
    assert read_figures(link, settings).apps["default"].is_readable
    for key in ("times", "items"):
        name = getattr(link.keyspace.bucket("default", 3), key)
        lane.client.set(name, "x")
        figures = read_figures(link, settings).apps
        assert (figures["default"].is_readable, figures["default"].backlog) == (False, 1), key
        assert figures[OTHER].is_readable
        lane.client.delete(name)


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


def test_commands_show_and_record_a_scheduled_event(settings: Settings) -> None:
    """`find` says when it is due, and names no lane; `scheduled cancel` says who did it."""
    later = publish.apply_async(("c", "e", 1), countdown=600)
    shown = CliRunner().invoke(main, ["find", later.id])
    assert (shown.exit_code, "scheduled" in shown.output, "due 2" in shown.output) == (0, True, True)
    assert "lane" not in shown.output
    assert CliRunner().invoke(main, ["scheduled", "cancel", later.id, "--actor", "ana"]).exit_code == 0
    assert [(one.action, one.by) for one in operations.audit()] == [("cancel", "ana")]


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
        with pytest.raises(ValidationError, match=r"^app: "):
            operations.scheduled("")
