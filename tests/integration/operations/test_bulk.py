"""Replay and purge in bulk: by filter, with a preview, and what must be refused named."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher import ValidationError, operations
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.journal.holder import DeadLetterFields
from tests.integration.journal.one_lane import OneLane

pytestmark = pytest.mark.integration


def die(lane: OneLane, message_id: str, *, reason: str = "refused", channel: str = "c", name: str = "n") -> str:
    """An event that ends as a dead letter; its id as people see it."""
    item = {"channel": channel, "name": name, "data": "d", "message_id": message_id}
    lane.append_to((channel, json.dumps(item).encode()))
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields(reason, "words", 2))
    assert lane.journal.release(holder)
    return f"0-{lane.dead.oldest(1000)[-1].entry_id}"


@pytest.fixture
def ids(settings: Settings, lane: OneLane) -> list[str]:
    """Five letters: two refused on c, one conflict, one that no event fits, one on another channel."""
    made = [die(lane, "m0"), die(lane, "m1", name="other"), die(lane, "m2", reason="conflict")]
    made.append(die(lane, "m3", reason="unreadable"))
    return [*made, die(lane, "m4", channel="d")]


def shown(**wanted: object) -> list[str]:
    return [letter.message_id for letter in operations.dead_letters(**wanted)]  # type: ignore[arg-type]


def test_letters_are_listed_by_filter(ids: list[str], lane: OneLane) -> None:
    """Oldest first, at most as many as wanted; the filter counts before the limit."""
    assert shown() == ["m0", "m1", "m2", "m3", "m4"]
    assert shown(reason="refused") == ["m0", "m1", "m4"]
    assert shown(reason="refused", channel="c") == ["m0", "m1"]
    assert shown(event="other") == ["m1"]
    assert shown(channel="d", limit=1) == ["m4"]
    assert shown(limit=2) == ["m0", "m1"]
    assert shown(older_than_s=3600) == []
    old = (lane.journal.now_ms() - operations.dead_letters()[0].dead_ms) / 1000
    assert "m0" in shown(older_than_s=old)


@pytest.mark.parametrize("limit", [0, -1, 100_001, True, "5", None])
def test_limit_of_the_list_is_checked(settings: Settings, limit: object) -> None:
    """As every number of a caller is."""
    with pytest.raises(ValidationError, match=r"^limit: "):
        operations.dead_letters(limit=limit)  # type: ignore[arg-type]


def test_preview_says_what_the_replay_does(ids: list[str], lane: OneLane) -> None:
    """The same counts and refusals, and nothing is moved before."""
    before = lane.everything()
    preview = operations.replay(all=True, dry_run=True)
    assert lane.everything() == before
    done = operations.replay(all=True)
    assert (preview.replayed, preview.refused, preview.is_preview) == (done.replayed, done.refused, True)
    assert (done.replayed, [one.reason for one in done.refused]) == (3, ["conflict", "unreadable"])
    assert shown() == ["m2", "m3"]
    assert operations.audit()[0].counts == {"replayed": 3, "refused": 2, "absent": 0}


def test_replay_takes_what_fits_the_filter(ids: list[str], lane: OneLane) -> None:
    """Nothing else; a refusal names the letter and does not stop the rest."""
    done = operations.replay(reason="refused", channel="c")
    assert (done.replayed, done.refused) == (2, ())
    assert shown() == ["m2", "m3", "m4"]
    refused = operations.replay(reason="conflict")
    assert [(one.id, one.reason) for one in refused.refused] == [(ids[2], "conflict")]
    assert operations.replay(reason="conflict", new_id=True).replayed == 1
    assert operations.replay(reason="conflict", new_id=True) == operations.Replayed(0)


def test_purge_takes_what_fits_the_filter(ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In several round trips, with a preview of their number."""
    monkeypatch.setattr("sockudo_publisher.operations.replaying.PURGED_AT_ONCE", 2)
    assert operations.purge(channel="c", dry_run=True) == operations.Purged(4, is_preview=True)
    assert len(shown()) == 5
    assert operations.purge(channel="c") == operations.Purged(4)
    assert shown() == ["m4"]
    assert operations.purge(all=True, dry_run=True).purged == 1
    assert operations.purge(all=True) == operations.Purged(1)


def test_ids_are_previewed_too(ids: list[str]) -> None:
    """Those that are no letters are named."""
    preview = operations.purge([ids[0], "0-1-1"], dry_run=True)
    assert preview == operations.Purged(1, absent=("0-1-1",), is_preview=True)
    preview_replay = operations.replay([ids[2], ids[0], "0-1-1"], dry_run=True)
    assert (preview_replay.replayed, preview_replay.absent) == (1, ("0-1-1",))
    assert [one.id for one in preview_replay.refused] == [ids[2]]
    assert len(shown()) == 5


@pytest.mark.parametrize("act", [operations.replay, operations.purge], ids=["replay", "purge"])
def test_nothing_is_moved_without_a_selection(ids: list[str], act: object) -> None:
    """A forgotten argument purges nothing, and leaves no trace in the audit."""
    for given in ({}, {"ids": [ids[0]], "all": True}, {"reason": "nonsense"}, {"ids": ["x"]}):
        with pytest.raises(ValidationError):
            act(**given)  # type: ignore[operator]
    assert len(shown()) == 5
    assert operations.audit() == []
    assert act([]) in (operations.Replayed(0), operations.Purged(0))  # type: ignore[operator]


def test_two_operators_at_once_move_each_letter_once(ids: list[str], lane: OneLane) -> None:
    """The second finds nothing left, and both are in the audit."""
    first = operations.replay(reason="refused", actor="ana")
    second = operations.replay(reason="refused", actor="bob")
    assert (first.replayed, second.replayed, second.refused, second.absent) == (3, 0, (), ())
    assert [entry.by for entry in operations.audit()] == ["bob", "ana"]
    assert lane.client.xlen(f"{lane.base}:stream") == 3
