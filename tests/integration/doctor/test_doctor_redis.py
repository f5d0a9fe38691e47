"""What the doctor finds of a real Redis that is set up well, badly, or not there."""

from __future__ import annotations

import pytest
import redis as redis_py

from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.doctor.facts.rights import PARTS, rights_of
from sockudo_publisher.errors import ConfigurationError

from .conftest import redis_findings

pytestmark = pytest.mark.integration


def states(findings) -> dict[str, str]:
    return {name: finding.state.value for name, finding in findings.items()}


def test_a_redis_as_it_should_be_is_fine(redis_as):
    """Append-only, noeviction, bounded, primary: as docker-compose.yml has it."""
    server = redis_as(maxmemory="64mb")
    assert set(states(redis_findings(server.url)).values()) == {"fine"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_an_eviction_policy_is_broken(redis_as, policy):
    """The change names the setting."""
    server = redis_as("--maxmemory-policy", policy, maxmemory="64mb")
    found = redis_findings(server.url)["redis.eviction"]
    assert found.state.value == "broken"
    assert policy in found.why
    assert "maxmemory-policy noeviction" in found.change


def test_without_an_append_only_file_and_a_limit_it_is_a_risk(redis_as):
    """Redis as it comes: a restart loses what waits, a backlog takes the machine's memory."""
    found = redis_findings(redis_as(appendonly=False).url)
    assert found["redis.persistence"].state.value == "risk"
    assert "every event" in found["redis.persistence"].why
    assert "appendonly yes" in found["redis.persistence"].change
    assert found["redis.memory"].state.value == "risk"
    assert "maxmemory" in found["redis.memory"].change


def test_an_unsynced_file_is_a_risk(redis_as):
    """appendfsync no: the machine's death may lose half a minute."""
    server = redis_as("--appendfsync", "no")
    assert redis_findings(server.url)["redis.persistence"].state.value == "risk"


@pytest.mark.parametrize(("share", "state"), [(0.5, "fine"), (0.82, "risk"), (0.95, "broken")])
def test_memory_that_runs_out_is_told(redis_as, share, state):
    """From 90 % on the journal takes no more."""
    server = redis_as(maxmemory="64mb")
    with redis_py.Redis(port=server.port) as client:
        client.setrange("ballast", 8_000_000, "x")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] / share))
    found = redis_findings(server.url)["redis.memory"]
    assert found.state.value == state
    assert ("BacklogFull" in found.why) is (state != "fine")


def test_a_replica_is_broken(redis_as):
    """It would refuse, or lose, what is written to it; the primary is reported with its replica."""
    primary = redis_as(maxmemory="64mb")
    replica = redis_as("--replicaof", "127.0.0.1", str(primary.port), maxmemory="64mb")
    found = redis_findings(replica.url)["redis.role"]
    assert found.state.value == "broken"
    assert "SOCKUDO_REDIS_URL" in found.change
    assert wait_for(lambda: "1 replica" in redis_findings(primary.url)["redis.role"].why, 60)
    assert redis_findings(primary.url, replicas_wanted=1)["redis.role"].state.value == "fine"
    assert redis_findings(primary.url, replicas_wanted=2)["redis.role"].state.value == "broken"


def test_a_wrong_password_is_not_called_away(redis_as):
    """And is not shown."""
    server = redis_as()
    with redis_py.Redis(port=server.port) as client:
        client.config_set("requirepass", "right-secret")
    for user in (":wrong-secret@", ""):
        found = redis_findings(server.url.replace("redis://", f"redis://{user}"))["redis.reachable"]
        assert found.state.value == "broken"
        assert "password" in found.why
        assert "SOCKUDO_REDIS_URL" in found.change
        assert "secret" not in found.why + found.change
    assert redis_findings(server.url.replace("//", "//:right-secret@"))["redis.reachable"].state.value == "fine"


@pytest.mark.parametrize(
    ("denied", "open_questions"),
    [
        ("config", {"redis.persistence"}),
        ("info", {"redis.version", "redis.role", "redis.persistence", "redis.eviction", "redis.memory"}),
    ],
)
def test_what_an_acl_denies_is_unknown(redis_as, denied, open_questions):
    """With how to look; the rest is reported."""
    server = redis_as(maxmemory="64mb")
    with redis_py.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", f"-{denied}")
    found = redis_findings(server.url.replace("//", "//app:pw@"))
    assert {name for name, state in states(found).items() if state == "unknown"} == open_questions
    assert {name for name, state in states(found).items() if state == "fine"} == set(found) - open_questions


EVERY_RIGHT = sorted(frozenset().union(*map(rights_of, PARTS)))


def with_rights(server, *rights):
    """The finding of a user with these rights."""
    with redis_py.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", *rights)
        client.acl_log_reset()
        found = redis_findings(server.url.replace("//", "//app:pw@"))["redis.rights"]
        assert not [entry for entry in client.acl_log() if entry["reason"] == "key"]
    return found


def test_every_missing_right_is_broken(redis_as):
    """One after the other, with the line that adds it; with all of them it is fine."""
    server = redis_as(maxmemory="64mb")
    assert with_rights(server, "+@all").state.value == "fine"
    for right in EVERY_RIGHT:
        found = with_rights(server, "+@all", f"-{right}")
        assert found.state.value == "broken", right
        assert right.upper() in found.why
        assert f"+{right}" in found.change
    assert server.is_running, "to be asked has ended no Redis"


def test_keys_that_are_denied_are_broken(redis_as):
    """All commands, on our keys."""
    server = redis_as(maxmemory="64mb")
    found = with_rights(server, "+@all", "resetkeys", "~other:*")
    assert found.state.value == "broken"
    assert "~sockudo:*" in found.change


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_with_its_own_rights_is_fine(redis_as, part):
    """A caller's user need not be able to drain; without one of its rights it is broken."""
    server = redis_as(maxmemory="64mb")
    rights = [f"+{one}" for one in rights_of(part)]
    found = with_rights(server, "+@connection", "+ping", *rights)
    assert found.state.value == "fine", found
    assert part.name in found.why
    found = with_rights(server, "+@connection", "+ping", *rights, "-get")
    assert found.state.value == "broken"
    assert "GET" in found.why


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_rights_on_a_namespace_are_those_on_its_keys(redis_as, part):
    """A user for one deployment alone, as docs/deployment.md has it; another deployment's user is shown the pattern."""
    server = redis_as()
    with redis_py.Redis(port=server.port) as client:
        rights = [f"+{command}" for command in rights_of(part)]
        client.execute_command("ACL", "SETUSER", "one", "on", ">p", "~blue:sockudo:*", "+@connection", "+info", *rights)
    url = f"redis://one:p@127.0.0.1:{server.port}/0"
    assert redis_findings(url, namespace="blue")["redis.rights"].state.value == "fine"
    for namespace, pattern in (("", "~sockudo:*"), ("green", "~green:sockudo:*")):
        found = redis_findings(url, namespace=namespace)["redis.rights"]
        assert found.state.value == "broken"
        assert pattern in found.change


def test_unreachable_redis_is_reported(redis_as):
    """In the system's text, without the URL's secret."""
    found = redis_findings(f"redis://:of-mine@127.0.0.1:{free_port()}/0")["redis.reachable"]
    assert found.state.value == "broken"
    assert "refused" in found.why
    assert "of-mine" not in found.why


def test_a_url_that_is_none_is_wrong_usage():
    """The setting is named, its value is not."""
    with pytest.raises(ConfigurationError, match="SOCKUDO_REDIS_URL") as error:
        redis_findings("radish://:of-mine@host/0")
    assert "of-mine" not in str(error.value)
