"""What INFO's fields mean, without a Redis; those of a real one are in tests/integration/doctor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.doctor.checks.redis import REDIS_CHECKS, judge_redis
from sockudo_publisher.doctor.facts.values import RedisFacts

pytestmark = pytest.mark.unit

#: A Redis that is well.
INFO = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "role": "master",
    "connected_slaves": 1,
    "loading": 0,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "maxmemory_policy": "noeviction",
    "used_memory": 10_000_000,
    "maxmemory": 100_000_000,
}
CONFIG = {"appendfsync": "everysec", "save": ""}


def judged(name, *, config=CONFIG, ahead_s=0.0, replicas_wanted=0, wait_denied=False, **info):
    facts = RedisFacts(
        info={**INFO, **info},
        config=config,
        ahead_s=ahead_s,
        replicas_wanted=replicas_wanted,
        wait_denied=wait_denied,
    )
    findings = {finding.name: finding for finding in judge_redis(facts)}
    assert tuple(findings) == REDIS_CHECKS
    others = {other for other, finding in findings.items() if finding.state.value != "fine"} - {name}
    assert not others, "one fact, one finding"
    return findings[name]


@pytest.mark.parametrize(
    ("name", "facts", "state", "complaint"),
    [
        pytest.param("redis.version", {"redis_version": "6.2.14"}, "broken", "7.0", id="too old"),
        pytest.param("redis.version", {"redis_version": "7.0.0"}, "fine", "7.0.0", id="just new enough"),
        pytest.param("redis.version", {"redis_version": "10.1.0"}, "fine", "10.1", id="a long time from now"),
        pytest.param("redis.version", {"valkey_version": "8.0.1"}, "fine", "Valkey 8.0.1", id="valkey"),
        pytest.param("redis.version", {"redis_version": ""}, "unknown", "INFO", id="no version"),
        pytest.param("redis.role", {"redis_mode": "sentinel"}, "broken", "Sentinel", id="sentinel"),
        pytest.param("redis.role", {"redis_mode": "cluster"}, "risk", "Cluster", id="cluster"),
        pytest.param("redis.role", {"role": "slave", "master_host": "h"}, "broken", "replica of h", id="replica"),
        pytest.param("redis.role", {"replicas_wanted": 1}, "fine", "1 replica", id="enough replicas"),
        pytest.param(
            "redis.role", {"replicas_wanted": 1, "wait_denied": True}, "broken", "run WAIT", id="WAIT is denied"
        ),
        pytest.param("redis.role", {"replicas_wanted": 2}, "broken", "SOCKUDO_REDIS_WAIT", id="too few replicas"),
        pytest.param("redis.persistence", {"loading": 1}, "risk", "loading", id="loading"),
        pytest.param("redis.persistence", {"aof_enabled": 0}, "risk", "every event", id="nothing kept"),
        pytest.param(
            "redis.persistence", {"aof_enabled": 0, "config": None}, "risk", "last snapshot", id="snapshots perhaps"
        ),
        pytest.param("redis.persistence", {"rdb_last_bgsave_status": "err"}, "broken", "snapshot", id="no snapshot"),
        pytest.param("redis.persistence", {"aof_last_write_status": "err"}, "broken", "fails", id="AOF not written"),
        pytest.param(
            "redis.persistence", {"aof_last_bgrewrite_status": "err"}, "broken", "fails", id="AOF not rewritten"
        ),
        pytest.param(
            "redis.persistence", {"config": {"appendfsync": "always"}}, "fine", "loses nothing", id="synced always"
        ),
        pytest.param("redis.persistence", {"config": {"appendfsync": "no"}}, "risk", "synced", id="never synced"),
        pytest.param("redis.persistence", {"config": None}, "unknown", "CONFIG", id="CONFIG denied"),
        pytest.param("redis.persistence", {"config": {"save": ""}}, "unknown", "CONFIG", id="half of CONFIG denied"),
        pytest.param("redis.eviction", {"maxmemory_policy": "volatile-lru"}, "broken", "volatile-lru", id="evicts"),
        pytest.param("redis.eviction", {"maxmemory_policy": None}, "unknown", "INFO", id="no policy"),
        pytest.param("redis.memory", {"maxmemory": 0}, "risk", "no limit", id="no limit"),
        pytest.param("redis.memory", {"used_memory": 74_900_000}, "fine", "75%", id="room"),
        pytest.param("redis.memory", {"used_memory": 75_000_000}, "risk", "75%", id="little room"),
        pytest.param("redis.memory", {"used_memory": 89_900_000}, "risk", "90%", id="very little room"),
        pytest.param("redis.memory", {"used_memory": 90_000_000}, "broken", "BacklogFull", id="full"),
        pytest.param("redis.clock", {"ahead_s": 2.0}, "fine", "within", id="clock near"),
        pytest.param("redis.clock", {"ahead_s": 2.1}, "risk", "ahead of", id="clock ahead"),
        pytest.param("redis.clock", {"ahead_s": -60.0}, "risk", "60.0 s behind", id="clock behind"),
        pytest.param("redis.clock", {"ahead_s": None}, "unknown", "TIME", id="TIME denied"),
    ],
)
def test_each_fact_has_its_finding(name, facts, state, complaint):
    """And touches no other."""
    found = judged(name, **facts)
    assert found.state.value == state
    assert complaint in found.why


def test_without_redis_the_rest_is_unknown():
    """A part that was not seen is not well; a refusal names the password."""
    for refused, complaint in ((True, "password"), (False, "host and port")):
        first, *rest = judge_redis(RedisFacts(failure="Connection refused", refused=refused))
        assert (first.name, first.state.value) == ("redis.reachable", "broken")
        assert complaint in first.change
        assert {finding.state.value for finding in rest} == {"unknown"}
        assert tuple(finding.name for finding in (first, *rest)) == REDIS_CHECKS


@given(
    st.dictionaries(
        st.sampled_from(sorted(INFO)), st.one_of(st.none(), st.integers(0, 2**40), st.sampled_from(["", "ok"]))
    ),
    st.one_of(st.none(), st.just(CONFIG)),
)
def test_strange_answers_are_judged_too(odd, config):
    """Forks and managed services leave fields out, or fill them in their own way."""
    info = {name: value for name, value in {**INFO, **odd}.items() if value is not None}
    findings = judge_redis(RedisFacts(info=info, config=config, ahead_s=0.0))
    assert tuple(finding.name for finding in findings) == REDIS_CHECKS
