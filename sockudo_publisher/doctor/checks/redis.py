"""Judge whether Redis keeps the journal. Pure.

Facts: the fields of ``INFO`` (redis.io/commands/info); docs/deployment.md says which values the journal needs.
``INFO`` also contains the eviction policy and the state of the AOF, so an ACL without ``CONFIG`` hides little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..facts.values import RedisFacts
from ..finding import CheckFinding, broken, fine, risk, unknown
from .redis_rights import judge_rights

__all__ = ["REDIS_CHECKS", "judge_redis"]

#: The first Redis with `#!lua flags=allow-oom` for scripts: a full journal must drain.
MIN_VERSION = (7, 0)
#: Share of maxmemory from which the journal takes no more events (journal/redis/memory.py).
FULL = 0.9
#: Share of maxmemory from which the doctor warns.
NEARLY_FULL = 0.75
#: Seconds by which Redis' clock may differ from this host's: expiry times given as dates are off by the difference.
CLOCK_S = 2.0

REDIS_CHECKS = (
    "redis.reachable",
    "redis.version",
    "redis.role",
    "redis.rights",
    "redis.persistence",
    "redis.eviction",
    "redis.memory",
    "redis.clock",
)

_BY_INFO = ("redis.version", "redis.role", "redis.persistence", "redis.eviction", "redis.memory")


def judge_redis(facts: RedisFacts) -> list[CheckFinding]:
    """A finding for each of :data:`REDIS_CHECKS`, in their order."""
    if facts.failure:
        change = (
            "user and password in SOCKUDO_REDIS_URL"
            if facts.refused
            else "start Redis, or correct host and port in SOCKUDO_REDIS_URL"
        )
        rest = [unknown(name, "Redis was not reached", "see redis.reachable") for name in REDIS_CHECKS[1:]]
        return [broken("redis.reachable", facts.failure, change), *rest]
    found = [fine("redis.reachable", "answers")]
    if facts.info is None:
        how = "let the ACL user run INFO (`ACL SETUSER <user> +info`), or run `redis-cli INFO` as another user"
        found += [unknown(name, "the user may not run INFO", how) for name in _BY_INFO]
    else:
        info = facts.info
        found += [_version(info), _role(info, facts), _persistence(info, facts.config)]
        found += [_eviction(info), _memory(info)]
    found += [judge_rights(facts.rights), _clock(facts.ahead_s)]
    return sorted(found, key=lambda finding: REDIS_CHECKS.index(finding.name))


def _version(info: Mapping[str, Any]) -> CheckFinding:
    name = "redis.version"
    valkey = info.get("valkey_version")
    if valkey:
        return fine(name, f"Valkey {valkey}")
    text = str(info.get("redis_version", ""))
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        return unknown(name, "INFO names no redis_version", "`redis-cli INFO server`: it must be 7.0 or later")
    if (int(match[1]), int(match[2])) < MIN_VERSION:
        return broken(name, f"Redis {text}: the journal's scripts need 7.0", "run Redis 7.0 or later, or Valkey")
    return fine(name, f"Redis {text}")


def _role(info: Mapping[str, Any], facts: RedisFacts) -> CheckFinding:
    name, replicas_wanted = "redis.role", facts.replicas_wanted
    mode = info.get("redis_mode", "standalone")
    if mode == "sentinel":
        return broken(name, "this is a Sentinel, not a Redis", "SOCKUDO_REDIS_URL: the primary's address")
    if info.get("role") == "slave":
        where = f"{info.get('master_host')}:{info.get('master_port')}"
        return broken(
            name, f"a replica of {where}: it takes no writes, or loses them", "SOCKUDO_REDIS_URL: the primary's address"
        )
    if mode == "cluster":
        return risk(name, "Redis Cluster: not tested", "SOCKUDO_REDIS_URL: a Redis that is not part of a cluster")
    replicas = _number(info, "connected_slaves")
    if info.get("role") != "master" or replicas is None:
        how = "`redis-cli ROLE`: master, with as many replicas as SOCKUDO_REDIS_WAIT wants"
        return unknown(name, "INFO names no role or no number of replicas", how)
    if replicas < replicas_wanted:
        return broken(
            name,
            f"{replicas} replicas are connected, SOCKUDO_REDIS_WAIT waits for {replicas_wanted} at each append",
            f"connect the replicas, or SOCKUDO_REDIS_WAIT={replicas}:100" if replicas else "connect the replicas",
        )
    if facts.wait_denied:
        return broken(
            name,
            "the user may not run WAIT, which SOCKUDO_REDIS_WAIT needs at each append",
            "`ACL SETUSER <user> +wait`, or unset SOCKUDO_REDIS_WAIT",
        )
    return fine(name, f"primary, {replicas} replica{'' if replicas == 1 else 's'}")


def _persistence(info: Mapping[str, Any], config: Mapping[str, str] | None) -> CheckFinding:
    name = "redis.persistence"
    set_aof = "`appendonly yes` (redis.conf; at once: CONFIG SET appendonly yes, then CONFIG REWRITE)"
    if info.get("loading"):
        return risk(name, "Redis is still loading its data", "wait until INFO says loading:0")
    if info.get("rdb_last_bgsave_status") == "err":
        return broken(
            name,
            "the last snapshot failed: Redis may refuse writes (stop-writes-on-bgsave-error)",
            'fix the error in its log (often a full disk), or `save ""` where the AOF is on',
        )
    if _number(info, "aof_enabled") is None:
        return unknown(name, "INFO does not say whether there is an append-only file", "`redis-cli INFO persistence`")
    if not info["aof_enabled"]:
        what = "a restart loses the events since the last snapshot"
        if config is not None and config.get("save") == "":
            what = "a restart loses every event that waits"
        return risk(name, f"no append-only file: {what}", set_aof)
    for status in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if info.get(status, "ok") != "ok":
            return broken(
                name, f"the append-only file fails ({status})", "fix the error in Redis' log (often a full disk)"
            )
    if config is None or "appendfsync" not in config:
        how = "`redis-cli CONFIG GET appendfsync`: everysec or always"
        return unknown(name, "append-only file; CONFIG is denied, so its sync policy is unknown", how)
    if config["appendfsync"] == "no":
        return risk(
            name,
            "the operating system decides when the append-only file is synced (appendfsync no)",
            "`appendfsync everysec`",
        )
    loses = "loses nothing" if config["appendfsync"] == "always" else "may lose the last second"
    return fine(name, f"append-only file, synced {config['appendfsync']}: a machine that dies {loses}")


def _eviction(info: Mapping[str, Any]) -> CheckFinding:
    name = "redis.eviction"
    policy = info.get("maxmemory_policy")
    if policy is None:
        how = "`redis-cli CONFIG GET maxmemory-policy`: noeviction"
        return unknown(name, "INFO names no maxmemory_policy", how)
    if policy != "noeviction":
        # The volatile policies too: leases and the ledger of keys have a time to live.
        return broken(
            name,
            f"{policy}: when memory is short Redis deletes events",
            "`maxmemory-policy noeviction` (at once: CONFIG SET maxmemory-policy noeviction)",
        )
    return fine(name, "noeviction")


def _memory(info: Mapping[str, Any]) -> CheckFinding:
    name = "redis.memory"
    used, limit = _number(info, "used_memory"), _number(info, "maxmemory")
    if used is None or limit is None:
        return unknown(name, "INFO names no used_memory or no maxmemory", "`redis-cli INFO memory`")
    if limit == 0:
        return risk(
            name,
            f"{_size(used)} used and no limit: a long backlog takes the machine's memory until Redis is killed",
            "`maxmemory 1gb`, or what the machine can spare: at 90 % of it `delay` raises BacklogFull",
        )
    share = used / limit
    why = f"{_size(used)} of {_size(limit)} used ({share:.0%})"
    change = f"`maxmemory` above {_size(limit)}; `sockudo-publisher status` shows what waits"
    if share >= FULL:
        return broken(name, f"{why}: `delay` raises BacklogFull", change)
    if share >= NEARLY_FULL:
        return risk(name, f"{why}: at {FULL:.0%} `delay` raises BacklogFull", change)
    return fine(name, why)


def _clock(ahead_s: float | None) -> CheckFinding:
    name = "redis.clock"
    if ahead_s is None:
        return unknown(name, "the user may not run TIME", "`ACL SETUSER <user> +time`: the journal needs it")
    if abs(ahead_s) > CLOCK_S:
        where = "ahead of" if ahead_s > 0 else "behind"
        return risk(
            name,
            f"{abs(ahead_s):.1f} s {where} this host: expiry times given as dates are off by that",
            "synchronise the clocks of both hosts (NTP)",
        )
    return fine(name, f"within {CLOCK_S:g} s of this host's")


def _number(info: Mapping[str, Any], name: str) -> int | None:
    value = info.get(name)
    return value if isinstance(value, int) else None


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
