"""List, count and cancel scheduled events: the functions and the commands."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
import redis
from click.testing import CliRunner, Result

from sockudo_publisher import ConfigurationError, ValidationError, operations, publish
from sockudo_publisher.cli import main
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.journal.keys import Keyspace, bucket_of
from tests.integration.operations.conftest import OTHER

pytestmark = pytest.mark.integration

SECRET = "not-to-be-shown"


def at(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["scheduled", *args])


@pytest.fixture(autouse=True)
def waiting(settings: Settings) -> None:
    """Three events of the default app on two channels, and one of another app."""
    publish.apply_async(("orders", "reminder", {"id": SECRET}), {"key": "second"}, countdown=200)
    publish.apply_async((["orders", "mail"], "welcome", SECRET), {"key": "first"}, countdown=100)
    publish.apply_async(("mail", "late", SECRET), {"key": "third"}, countdown=10_000)
    publish.apply_async(("orders", "reminder", 1), {"key": "theirs", "app": OTHER}, countdown=50)


class TestFunctions:
    def test_list_is_ordered_and_filtered(self) -> None:
        found = operations.scheduled()
        assert [one.id for one in found] == ["first", "first", "second", "third"]
        assert {one.channel for one in found[:2]} == {"orders", "mail"}
        assert [one.id for one in operations.scheduled(channel="orders")] == ["first", "second"]
        assert [one.id for one in operations.scheduled(event="reminder")] == ["second"]
        assert [one.id for one in operations.scheduled(due_before=at(150))] == ["first", "first"]
        assert [one.id for one in operations.scheduled(channel="mail", event="late", due_before=at(20_000))] == [
            "third"
        ]
        assert [one.id for one in operations.scheduled(limit=3)] == ["first", "first", "second"]
        assert [(one.id, one.app) for one in operations.scheduled(OTHER)] == [("theirs", OTHER)]

    def test_event_has_its_fields_and_no_payload(self) -> None:
        [one] = operations.scheduled(event="reminder")
        assert (one.id, one.channel, one.app) == ("second", "orders", "default")
        assert abs(one.due - at(200)) < timedelta(seconds=20)
        assert one.size > len(SECRET)
        assert not one.is_being_stored
        assert not one.is_parked
        assert SECRET not in repr(one)

    def test_wrong_arguments_are_named(self) -> None:
        with pytest.raises(ValidationError, match="limit: 0"):
            operations.scheduled(limit=0)
        with pytest.raises(ValidationError, match="due_before: a str, expected a datetime"):
            operations.scheduled(due_before="tomorrow")  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="no app named"):
            operations.scheduled("nothing")
        with pytest.raises(ValidationError, match="message_id"):
            operations.cancel("")
        with pytest.raises(ConfigurationError, match="no app named"):
            operations.cancel("first", app="nothing")

    def test_cancel_answers_by_channel(self) -> None:
        answer = operations.cancel("first")
        assert (sorted(answer.channels), answer.too_late, answer.is_cancelled) == (["mail", "orders"], (), True)
        again = operations.cancel("first")
        assert (again.channels, sorted(again.already), again.is_cancelled) == ((), ["mail", "orders"], True)
        assert not operations.cancel("never-there").is_cancelled
        assert [one.id for one in operations.scheduled()] == ["second", "third"]

    def test_cancel_is_of_one_app(self) -> None:
        assert not operations.cancel("theirs").is_cancelled
        assert operations.cancel("theirs", app=OTHER).channels == ("orders",)

    def test_status_counts_them_in_no_lane(self, settings: Settings) -> None:
        default, other = sorted(operations.status(settings=settings), key=lambda one: one.app)
        assert (default.schedule.count, default.schedule.parked, default.schedule.late_s) == (4, 0, 0.0)
        assert other.schedule.count == 1
        assert sum(lane.depth for lane in default.lanes) == 0
        [first, *_] = operations.scheduled()
        assert default.schedule.next_due_ms == first.due_ms

    def test_status_shows_an_app_that_is_not_configured(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its events are due, and no worker stores them."""
        monkeypatch.delenv("SOCKUDO_APPS")
        found = {one.app: one for one in operations.status(settings=Settings.from_env())}
        assert (found[OTHER].configured, found[OTHER].schedule.count) == (False, 1)
        assert settings.apps

    def test_parked_and_unreadable_are_shown(self, settings: Settings, redis_url: str) -> None:
        keys = Keyspace().bucket("default", bucket_of("orders"))
        with redis.Redis.from_url(redis_url) as client:
            [name] = [name for name in client.zrange(keys.times, 0, -1) if name.endswith(b" second")]
            client.zadd(keys.times, {name: "inf"})
        assert operations.scheduled()[-1].id == "second"
        assert operations.scheduled()[-1].is_parked
        assert [one.id for one in operations.scheduled(parked=True, limit=1)] == ["second"]
        assert operations.scheduled(parked=True, channel="mail") == []
        assert [one["id"] for one in json.loads(run("list", "--parked", "--json").output)["scheduled"]] == ["second"]
        assert next(one for one in operations.status(settings=settings) if one.app == "default").schedule.parked == 1
        status = CliRunner().invoke(main, ["status"])
        assert status.exit_code == 1
        assert "4 scheduled, 1 parked: see scheduled list --parked" in status.output
        with redis.Redis.from_url(redis_url) as client:
            client.delete(keys.items)
            client.set(keys.items, "x")
        assert f"{keys.items} holds a string, expected a hash" in CliRunner().invoke(main, ["status"]).output


class TestCommands:
    def test_list(self) -> None:
        shown = run("list")
        assert shown.exit_code == 0
        assert shown.output.index("first") < shown.output.index("second") < shown.output.index("third")
        assert SECRET not in shown.output
        assert "No scheduled events." in run("list", "--channel", "nothing").output
        assert "The first 2." in run("list", "--limit", "2").output

    def test_list_as_json(self) -> None:
        shown = json.loads(run("list", "--event", "reminder", "--json").output)
        [one] = shown["scheduled"]
        assert set(one) == {"id", "channel", "event", "due_ms", "app", "size", "is_being_stored", "is_parked"}
        assert (shown["ok"], shown["app"], one["id"]) == (True, "default", "second")
        before = json.loads(run("list", "--due-before", at(150).isoformat(), "--json").output)
        assert {one["id"] for one in before["scheduled"]} == {"first"}
        assert json.loads(run("list", "--app", OTHER, "--json").output)["scheduled"][0]["id"] == "theirs"

    def test_cancel(self) -> None:
        done = run("cancel", "first", "second")
        assert (done.exit_code, "cancelled on" in done.output) == (0, True)
        assert [one.id for one in operations.scheduled()] == ["third"]
        assert run("cancel", "first").exit_code == 0
        absent = run("cancel", "third", "nothing", "--json")
        assert absent.exit_code == 1
        told = json.loads(absent.output)
        assert [(one["message_id"], one["is_cancelled"]) for one in told["cancelled"]] == [
            ("third", True),
            ("nothing", False),
        ]

    @pytest.mark.parametrize(
        "args",
        [("list", "--due-before", "soon"), ("list", "--limit", "0"), ("cancel",), ("list", "--app", "nothing")],
        ids=["time", "limit", "no id", "app"],
    )
    def test_wrong_arguments_end_with_2(self, args: tuple[str, ...]) -> None:
        assert run(*args).exit_code == 2

    def test_redis_that_is_away_ends_with_3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from sockudo_publisher import configure

        monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:1/0")
        configure()
        assert run("list").exit_code == 3
        assert run("cancel", "first").exit_code == 3

    def test_hostile_names_are_printed_harmless(self) -> None:
        publish.apply_async(("orders", "\x1b[31m[red]name", 1), {"key": "\x1b]0;title\x07"}, countdown=1)
        shown = run("list")
        assert "\x1b]0" not in shown.output
        assert "[red]name" in shown.output
