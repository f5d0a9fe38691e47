"""What the dashboard reads and does, over HTTP, with a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from sockudo_publisher import operations, publish
from sockudo_publisher.dev.embedded import RedisServer
from tests.integration.dashboard.conftest import Dashboard, Serve, bury, item, rung
from tests.integration.journal.one_lane import OneLane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_look_shows_what_status_shows(dashboard: Dashboard, lane: OneLane, client: redis.Redis) -> None:
    """Waiting, held and dead events, with the totals; no payload."""
    lane.append(*(item("c", "e", str(number)) for number in range(3)))
    bury(client, "m")
    status, _, body = dashboard.request("GET", "/api/look")
    assert status == 200
    assert b"the payload" not in body
    [app] = dashboard.look()["apps"]
    assert (app["app"], app["totals"]["backlog"], app["totals"]["dead"]) == ("default", 3, 1)
    assert [problem["name"] for problem in app["problems"]] == ["dead"]
    assert app["workers"] == []


def test_held_channel_says_what_it_waits_for(dashboard: Dashboard, lane: OneLane) -> None:
    """The stuck event, its age, and the next try; the events behind it are counted."""
    lane.append(item("orders", "shipped", "m-1"), channel="orders")
    holder = lane.acquire()
    lane.hold_first(holder, retry_in_s=40)
    [app] = dashboard.look()["apps"]
    [held] = app["held"]
    assert (held["channel"], held["event"], held["message_id"], held["events"]) == ("orders", "shipped", "m-1", 1)
    assert 0 < held["retry_in_s"] <= 40
    assert 0 <= held["since_s"] < 60
    [same] = operations.held_channels()
    assert (same.channel, same.message_id) == ("orders", "m-1")


def script_calls(client: redis.Redis) -> int:
    """Calls of scripts since Redis began."""
    return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One in which the dashboard alone runs scripts: a thread of an earlier test may still have the shared one."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


def test_one_look_a_second_for_all_viewers(
    serve: Callable[[Mapping[str, str]], Serve], environ: dict[str, str], own_redis: RedisServer
) -> None:
    """Counted at Redis: eight viewers for three seconds cost as much as one, and nothing while none asks."""
    with redis.Redis.from_url(own_redis.url) as client:
        count_looks(serve({**environ, "SOCKUDO_REDIS_URL": own_redis.url})(), client)


def count_looks(dashboard: Dashboard, client: redis.Redis) -> None:
    dashboard.look()  # Redis learns the scripts
    time.sleep(1.2)
    before = script_calls(client)
    dashboard.look()
    calls_of_a_look = script_calls(client) - before
    assert calls_of_a_look >= 1

    began, answers = time.monotonic(), []

    def view() -> None:
        while time.monotonic() < began + 3.0:
            answers.append(dashboard.get("/api/look")[0])
            time.sleep(0.1)

    before = script_calls(client)
    viewers = [threading.Thread(target=view) for _ in range(8)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    passed_s = time.monotonic() - began
    time.sleep(1.0)  # a look that has begun
    after = script_calls(client)
    looks = (after - before) / calls_of_a_look
    assert 2 <= looks <= passed_s + 2
    assert set(answers) == {200}
    assert len(answers) > 2 * looks
    time.sleep(2.5)
    assert script_calls(client) == after, "a look without a viewer"


def test_letters_are_filtered(shared: Dashboard, client: redis.Redis) -> None:
    """By reason, channel, event and age; without their payloads."""
    bury(client, "1", reason="refused", channel="a", name="x")
    bury(client, "2", reason="conflict", channel="b", name="x")
    bury(client, "3", reason="refused", channel="b", name="y")

    def ids_of(query: str) -> list[str]:
        status, answer = shared.get(f"/api/letters?{query}")
        assert status == 200, answer
        assert "payload" not in str(answer)
        return [one["message_id"] for one in answer["letters"]]

    assert ids_of("") == ["1", "2", "3"]
    assert ids_of("reason=refused") == ["1", "3"]
    assert ids_of("channel=b&event=x") == ["2"]
    assert ids_of("older_than_s=3600") == []
    assert ids_of("limit=2") == ["1", "2"]
    assert shared.get("/api/letters?limit=2")[1]["has_more"]


@pytest.mark.parametrize(
    "query", ["reason=unheard-of", "older_than_s=soon", "limit=0", "chanel=c", "app=unknown", "older_than_s=-1"]
)
def test_malformed_filter_is_named(shared: Dashboard, query: str) -> None:
    """With 400, and the field in the text."""
    status, answer = shared.get(f"/api/letters?{query}")
    assert status == 400
    assert query.partition("=")[0].partition("_")[0] in answer["error"].replace("SOCKUDO_APPS", "app")


def test_payload_is_loaded_on_demand(shared: Dashboard, client: redis.Redis) -> None:
    """Of one letter; a large one is cut."""
    id = bury(client, "1")
    assert shared.get(f"/api/payload?id={id}")[1] == {"id": id, "text": "the payload", "is_cut": False}
    large = bury(client, "2", body=item("c", "e", "2", "x" * 100_000))
    answer = shared.get(f"/api/payload?id={large}")[1]
    assert (len(answer["text"]), answer["is_cut"]) == (64_000, True)
    assert shared.get("/api/payload?id=0-1-1")[0] == 400


def test_preview_names_what_will_be_refused(shared: Dashboard, lane: OneLane, client: redis.Redis) -> None:
    """And changes nothing; the replay then does that."""
    bury(client, "1")
    conflict = bury(client, "2", reason="conflict")
    torn = bury(client, "3", body=b"no event")
    status, preview = shared.act("preview", action="replay", all=True)
    assert (status, preview["count"], preview["refused_count"]) == (200, 1, 2)
    assert {one["id"] for one in preview["refused"]} == {conflict, torn}
    assert client.xlen(f"{lane.base}:dead") == 3
    assert rung(client) == 0
    status, done = shared.act("replay", all=True)
    assert (status, done["count"], done["refused_count"]) == (200, 1, 2)
    assert client.xlen(f"{lane.base}:dead") == 2
    assert rung(client) == 1
    assert shared.act("replay", ids=[conflict], new_id=True)[1]["count"] == 1
    assert shared.act("preview", action="purge", all=True)[1]["count"] == 1
    assert shared.act("purge", all=True, actor="ana")[1]["count"] == 1
    assert client.xlen(f"{lane.base}:dead") == 0
    entries = shared.get("/api/audit")[1]["entries"]
    assert [(one["action"], one["by"]) for one in entries[:2]] == [
        ("purge", "ana (dashboard)"),
        ("replay", "dashboard"),
    ]


@pytest.mark.parametrize(
    ("action", "values", "named"),
    [
        ("replay", {}, "ids"),
        ("purge", {"all": True, "reason": "refused"}, "ids"),
        ("purge", {"ids": "0-1-1"}, "ids"),
        ("purge", {"ids": ["x"]}, "id"),
        ("purge", {"chanel": "c", "all": True}, "chanel"),
        ("preview", {"all": True}, "action"),
        ("preview", {"action": "drop", "all": True}, "action"),
        ("pause", {}, "reason"),
        ("pause", {"reason": "x" * 501}, "reason"),
        ("pause", {"reason": 3}, "reason"),
        ("pause", {"reason": "x", "actor": "y" * 300}, "actor"),
        ("pause", {"reason": "x", "app": "unknown"}, "SOCKUDO_APPS"),
        ("cancel", {}, "id"),
    ],
)
def test_malformed_action_does_nothing(
    shared: Dashboard, client: redis.Redis, action: str, values: Any, named: str
) -> None:
    """With 400, and the field in the text."""
    bury(client, "1")
    before = sorted(client.scan_iter())
    status, answer = shared.act(action, **values)
    assert status == 400
    assert named in answer["error"]
    assert sorted(client.scan_iter()) == before


def test_scheduled_event_is_listed_and_cancelled(shared: Dashboard, environ: dict[str, str]) -> None:
    """Once: the second time it was cancelled before."""
    result = publish.apply_async(("later", "e", {"n": 1}), countdown=600)
    status, answer = shared.get("/api/scheduled")
    assert status == 200
    [event] = answer["scheduled"]
    assert (event["channel"], event["event"], event["id"]) == ("later", "e", result.id)
    assert shared.act("cancel", id=result.id)[1]["is_cancelled"]
    assert shared.get("/api/scheduled")[1]["scheduled"] == []


def test_pause_and_resume(dashboard: Dashboard, lane: OneLane) -> None:
    """With the person, and in the audit."""
    status, paused = dashboard.act("pause", reason="maintenance", actor="ana")
    assert (status, paused["before"]) == (200, "")
    [app] = dashboard.look()["apps"]
    assert (app["operator_pause"]["reason"], app["operator_pause"]["by"]) == ("maintenance", "ana (dashboard)")
    assert dashboard.act("resume", actor="ana")[1] == {"operator": True, "trouble": False}
    assert dashboard.act("resume")[1] == {"operator": False, "trouble": False}
    assert [one["action"] for one in dashboard.get("/api/audit")[1]["entries"]][-2:] == ["resume", "pause"]


def test_large_body_is_refused(shared: Dashboard) -> None:
    """Before it is read whole."""
    headers = {"Content-Type": "application/json", "Origin": f"http://{shared.host}"}
    assert shared.request("POST", "/api/pause", b" " * (1 << 20) + b"{}", headers)[0] == 413
