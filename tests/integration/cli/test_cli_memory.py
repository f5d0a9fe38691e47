"""What `status` says of the server's memory, and `dead list` of what may have been delivered."""

from __future__ import annotations

import json

import pytest
import redis

from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.canaries.values import MemoryReport
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.redis.link import RedisLink

pytestmark = pytest.mark.integration


@pytest.fixture
def memory(environ):
    """The record that the workers would keep."""
    return DedupMemory(RedisLink(environ["SOCKUDO_REDIS_URL"], timeout_s=5), "default")


def test_status_says_which_setting_of_the_server_to_change(memory, run, start):
    """To programs and to people; it needs one of these: exit code 1."""
    now_ms = memory.now_ms()
    memory.record_report(MemoryReport("forgets", 0.0, 12, 3, 5.0, 2000.0, 120.0, now_ms + 100_000, now_ms))
    code, answer = run("status")
    assert (code, answer["ok"]) == (1, False)
    [app] = answer["apps"]
    assert (app["memory"]["verdict"], app["memory"]["forgotten"], app["memory"]["rate"]) == ("forgets", 3, 2000.0)
    assert "max_capacity = 480000" in app["advice"]
    stdout, _ = start("status").communicate(timeout=60)
    assert "3 of 12 were forgotten" in stdout.decode()
    assert "[cache.memory] max_capacity = 480000" in stdout.decode()


def test_status_of_a_server_that_remembers(memory, run, start):
    """And what is rare is counted from 0 on."""
    now_ms = memory.now_ms()
    memory.record_report(MemoryReport("remembers", 108.0, 36, 0, 0.0, 10.0, 120.0, 0, now_ms))
    code, answer = run("status")
    assert code == 0
    [app] = answer["apps"]
    assert (app["memory"]["remembered_s"], app["advice"]) == (108.0, "")
    rare = ("searched", "stuck", "resent_after_window", "parked_uncertain", "settled_by_history")
    assert {name: app["counters"][name] for name in rare} == dict.fromkeys(rare, 0)
    stdout, _ = start("status").communicate(timeout=60)
    assert "remembers ids for 108 s at least" in stdout.decode()


def test_status_does_not_repeat_an_old_measurement(memory, run):
    """All workers are gone."""
    now_ms = memory.now_ms()
    memory.record_report(MemoryReport("forgets", 0.0, 12, 3, 5.0, 2000.0, 120.0, now_ms - 1, now_ms - 121_000))
    code, answer = run("status")
    assert (code, answer["apps"][0]["memory"]["verdict"]) == (0, "unknown")


def test_list_says_which_dead_letters_may_have_been_delivered(environ, run, start):
    """A conflict after an attempt of unknown outcome, and one that met it at once."""
    item = json.dumps({"channel": "c", "name": "n", "data": "x", "message_id": "k"})
    run("status")
    with redis.Redis.from_url(environ["SOCKUDO_REDIS_URL"]) as client:
        for maybe in (0, 1):
            letter = {"reason": "conflict", "message": "", "attempts": 2, "first_ms": 1, "maybe_delivered": maybe}
            client.xadd(lane_keys("default", 0).dead, {**letter, "channel": "c", "expiry": 0, "item": item})
    letters = run("dead", "list")[1]["letters"]
    assert [letter["maybe_delivered"] for letter in letters] == [False, True]
    stdout, _ = start("dead", "list").communicate(timeout=60)
    lines = [line for line in stdout.decode().splitlines() if "conflict" in line]
    assert ["may have been delivered" in line for line in lines] == [False, True]
