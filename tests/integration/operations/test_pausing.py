"""Pause, resume and the audit, as a person or a program calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from sockudo_publisher import ConfigurationError, JournalUnavailable, ValidationError, operations
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.journal.app.operator import MAX_AUDIT, OperatorRecords
from sockudo_publisher.operations.connection import MAX_ACTOR, MAX_REASON, default_actor
from tests.integration.journal.one_lane import OneLane
from tests.integration.operations.conftest import OTHER

pytestmark = pytest.mark.integration


def test_pause_shows_reason_person_and_time(settings: Settings, lane: OneLane) -> None:
    """In the status of that app alone, until a person resumes it."""
    made = operations.pause(reason="deploy of Sockudo", actor="ana@desk")
    assert (made.app, made.before, made.pause.by) == ("default", "", "ana@desk")
    shown = {app.app: app.operator_pause for app in operations.status()}
    assert shown == {"default": made.pause, OTHER: None}
    assert abs(made.pause.since_ms - lane.journal.now_ms()) < 10_000
    assert operations.resume() == operations.Resumed(operator=True)
    assert operations.status("default")[0].operator_pause is None
    assert not operations.resume()


def test_second_operator_replaces_the_reason_and_sees_the_first(settings: Settings) -> None:
    """Two at once: the pause is one and its time stays; both are in the audit; one resume ends it."""
    first = operations.pause(reason="deploy", actor="ana")
    second = operations.pause(reason="incident 7", actor="bob")
    assert (second.before, second.pause.reason, second.pause.by) == ("deploy", "incident 7", "bob")
    assert second.pause.since_ms == first.pause.since_ms
    assert operations.status("default")[0].operator_pause == second.pause
    assert [bool(operations.resume(actor=who)) for who in ("ana", "bob")] == [True, False]
    told = [(one.action, one.by, one.what) for one in operations.audit()]
    assert told == [("resume", "ana", "incident 7"), ("pause", "bob", "incident 7"), ("pause", "ana", "deploy")]


def test_resume_rings_the_lanes_that_wait(
    settings: Settings, lane: OneLane, rung: Callable[[], list[list[object]]]
) -> None:
    """Of an operator's pause as of the server's."""
    lane.append(b"1")
    operations.pause(reason="r")
    rung()
    operations.resume()
    assert rung() == [["default", 0, None]]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"reason": "r" * (MAX_REASON + 1)}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": None}, "reason"),
        ({"reason": "\ud800"}, "reason"),
        ({"reason": "r", "actor": ""}, "actor"),
        ({"reason": "r", "actor": "a" * (MAX_ACTOR + 1)}, "actor"),
        ({"reason": "r", "app": ""}, "app"),
        ({"reason": "r", "app": 7}, "app"),
    ],
    ids=lambda value: f"{value!s:.30}",
)
def test_malformed_pause_changes_nothing(settings: Settings, given: dict[str, Any], field: str) -> None:
    """The error names the field; no audit entry is made."""
    with pytest.raises(ValidationError, match=rf"^{field}: "):
        operations.pause(**given)
    assert operations.status("default")[0].operator_pause is None
    assert operations.audit() == []


def test_longest_reason_and_odd_characters_are_kept(settings: Settings) -> None:
    """As they were given; the command prints them safely."""
    for reason in ("r" * MAX_REASON, 'é\u2028\x1b[31m"\\\n{}'):
        operations.pause(reason=reason)
        assert operations.status("default")[0].operator_pause.reason == reason  # type: ignore[union-attr]
        assert operations.audit(limit=1)[0].what == reason


@pytest.mark.parametrize(
    "act",
    [
        lambda app: operations.pause(app, reason="r"),
        operations.resume,
        operations.status,
        operations.dead_letters,
        lambda app: operations.replay(all=True, app=app),
        lambda app: operations.purge(all=True, app=app),
        lambda app: operations.find("m", app=app),
        operations.audit,
        lambda app: operations.wait_until_empty(0, app=app),
    ],
    ids=["pause", "resume", "status", "dead_letters", "replay", "purge", "find", "audit", "wait_until_empty"],
)
def test_unknown_app_is_a_clear_error(settings: Settings, redis_url: str, act: Callable[[str], object]) -> None:
    """Nothing is written under a name that is not known: a misspelled pause would pause nothing, in silence."""
    with redis.Redis.from_url(redis_url) as client:
        before = client.keys("*")
        with pytest.raises(ConfigurationError, match=r"no app named 'defalt'"):
            act("defalt")
        assert client.keys("*") == before


def test_app_that_is_no_longer_configured_can_be_paused(settings: Settings, lane: OneLane) -> None:
    """It has events in Redis; a worker with older settings may still deliver them."""
    lane.append(b"1")
    without = Settings(url=None, redis_url=settings.redis_url, apps={"else": "http://k:s@127.0.0.1:1/apps/a"})
    operations.pause("default", reason="gone", settings=without)
    assert [app.app for app in operations.status(settings=without)] == ["else", "default"]


def test_every_action_is_in_the_audit_with_its_counts(settings: Settings, lane: OneLane) -> None:
    """Newest first; a preview is no action."""
    operations.replay(all=True, dry_run=True)
    operations.purge(all=True, dry_run=True)
    assert operations.audit() == []
    operations.replay(["0-1-1"], new_id=True, actor="ana")
    operations.purge(reason="refused", older_than_s=60, actor="bob")
    purged, replayed = operations.audit()
    assert (purged.action, purged.by, purged.what) == ("purge", "bob", "reason=refused older_than_s=60")
    assert purged.counts == {"purged": 0, "absent": 0, "failed": 0}
    assert (replayed.action, replayed.by, replayed.what) == ("replay", "ana", "ids=0-1-1 new_id")
    assert replayed.counts == {"replayed": 0, "refused": 0, "absent": 1}
    assert replayed.app == "default"
    assert operations.audit(OTHER) == []
    assert operations.audit(limit=1) == [purged]


def test_audit_is_bounded_and_survives_damage(
    settings: Settings, lane: OneLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest entries leave; a key of another type begins anew and stops no action; odd entries are shown."""
    assert MAX_AUDIT == 10_000
    monkeypatch.setattr("sockudo_publisher.journal.app.operator.MAX_AUDIT", 3)
    records = OperatorRecords(lane.journal.link, "default")
    for n in range(5):
        records.record(action="purge", by="ana", what=str(n))
    assert [one.what for one in operations.audit()] == ["4", "3", "2"]
    key = lane.journal.link.keyspace.app("default").audit
    lane.client.xadd(key, {"odd": b"\xff"})
    assert [one.what for one in operations.audit()] == ["", "4", "3", "2"]
    lane.client.delete(key)
    lane.client.set(key, "x")
    assert operations.audit() == []
    assert any("audit" in one for one in operations.status("default")[0].unreadable)
    operations.pause(reason="r")
    assert [one.action for one in operations.audit()] == ["pause"]


@pytest.mark.parametrize("limit", [0, -1, MAX_AUDIT + 1, True, 1.5, "9"])
def test_limit_of_the_audit_is_checked(settings: Settings, limit: Any) -> None:
    """As every number of a caller is."""
    with pytest.raises(ValidationError, match=r"^limit: expected 1 to 10000"):
        operations.audit(limit=limit)


def test_default_actor_is_user_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user may have no name."""
    assert "@" in default_actor()

    def no_name() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", no_name)
    assert default_actor().partition("@")[0].isdigit()


def test_redis_away_is_told(settings: Settings) -> None:
    """By each; nothing was done."""
    away = Settings(url=settings.url, redis_url="redis://127.0.0.1:1/0")
    for act in (
        lambda: operations.pause(reason="r", settings=away),
        lambda: operations.resume(settings=away),
        lambda: operations.audit(settings=away),
        lambda: operations.find("m", settings=away),
        lambda: operations.wait_until_empty(5, settings=away),
        lambda: operations.purge(all=True, settings=away),
    ):
        with pytest.raises(JournalUnavailable):
            act()
