"""Which rights in Redis each part needs, and what it means when some are missing. Pure.

A part is a caller (an application that publishes), a worker, or an operator (``status``, ``dead``, ``resume``,
``doctor``). What the journal's scripts run is read from their texts; docs/deployment.md has all of it as
``ACL SETUSER`` lines, which a test runs the whole product with.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ...journal.redis.scripts import NAMES, script
from ..finding import Finding, broken, fine, unknown

__all__ = [
    "BROKER_RIGHTS",
    "PARTS",
    "UNNEEDED",
    "Part",
    "RightsFacts",
    "forms",
    "judge_rights",
    "lacking_rights",
    "missing_text",
    "rights_of",
    "rights_text",
]


@dataclass(frozen=True)
class Part:
    """``name`` and what it does; the journal's ``scripts`` that it calls, and the ``commands`` beside them."""

    name: str
    scripts: frozenset[str]
    commands: frozenset[str]


_CALLER_SCRIPTS = frozenset({"append", "append_once", "mark", "relayout", "schedule_once"})
_CALLER_COMMANDS = frozenset({"eval", "evalsha", "get", "sadd", "set", "time"})
_OPERATOR_SCRIPTS = frozenset({"purge", "replay", "resume", "status"})

CALLER = Part("caller", _CALLER_SCRIPTS, _CALLER_COMMANDS)
#: A worker appends too: what comes as a message.
WORKER = Part(
    "worker",
    frozenset(NAMES) - {"purge", "replay", "resume"},
    _CALLER_COMMANDS
    | {"del", "exists", "hget", "hgetall", "hmget", "hset", "xlen", "xread", "zadd", "zrange", "zrem"}
    | {"hdel", "hincrby", "type", "zremrangebyrank", "zremrangebyscore"},
)
OPERATOR = Part(
    "operator",
    _OPERATOR_SCRIPTS,
    frozenset({"eval", "evalsha", "get", "hget", "hgetall", "hmget", "smembers", "time", "type", "xrange"}),
)
PARTS = (CALLER, WORKER, OPERATOR)

#: What kombu runs in a Redis that is the broker: to send, and to consume and to ask workers beside that.
_SEND = frozenset({"exec", "llen", "lpush", "multi", "publish", "sadd", "smembers"})
_ASK_WORKERS = (
    _SEND
    | {"brpop", "del", "eval", "evalsha", "exists", "pexpire", "srem", "time", "zadd", "zrange", "zrangebyscore"}
    | {"zrem"}
)
BROKER_RIGHTS: Mapping[str, frozenset[str]] = {
    "caller": _SEND,
    "worker": _ASK_WORKERS
    | {"get", "hdel", "hget", "hset", "psubscribe", "punsubscribe", "rpop", "set", "subscribe", "unsubscribe"}
    | {"unwatch", "watch"},
    "operator": _ASK_WORKERS,
}

#: Commands that no part needs: a user who may run them was not made for one part.
UNNEEDED = frozenset({"incr", "strlen"})

_CALLED = re.compile(r"redis\.p?call\(\s*'(\w+)'")

#: The parts of a command after its name, in a complete form: Redis is asked about it and runs nothing. A form with too
#: few arguments must never be asked about, as Redis reads beyond them.
_KEY = "KEY"
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "brpop": (_KEY, "1"),
    "eval": ("return 1", "0"),
    "evalsha": ("0" * 40, "0"),
    "exec": (),
    "hdel": (_KEY, "f"),
    "hexists": (_KEY, "f"),
    "hget": (_KEY, "f"),
    "hincrby": (_KEY, "f", "1"),
    "hmget": (_KEY, "f"),
    "hset": (_KEY, "f", "v"),
    "hsetnx": (_KEY, "f", "v"),
    "expire": (_KEY, "1"),
    "lpush": (_KEY, "v"),
    "multi": (),
    "pexpire": (_KEY, "1"),
    "psubscribe": ("/0.celery.pidbox",),
    "punsubscribe": (),
    "unsubscribe": (),
    "publish": ("/0.celery.pidbox", "v"),
    "sadd": (_KEY, "v"),
    "set": (_KEY, "v"),
    "srem": (_KEY, "v"),
    "subscribe": ("/0.celery.pidbox",),
    "time": (),
    "unwatch": (),
    "wait": ("0", "1"),
    "xadd": (_KEY, "*", "f", "v"),
    "xdel": (_KEY, "0-1"),
    "xrange": (_KEY, "-", "+"),
    "xread": ("COUNT", "1", "STREAMS", _KEY, "0-0"),
    "xrevrange": (_KEY, "+", "-"),
    "xtrim": (_KEY, "MAXLEN", "0"),
    "zadd": (_KEY, "1", "m"),
    "zrange": (_KEY, "0", "-1"),
    "zrangebyscore": (_KEY, "-inf", "1"),
    "zrem": (_KEY, "m"),
    "zremrangebyrank": (_KEY, "0", "0"),
    "zremrangebyscore": (_KEY, "-inf", "1"),
    "zscore": (_KEY, "m"),
}


@lru_cache(maxsize=8)
def rights_of(part: Part) -> frozenset[str]:
    """The commands of Redis that a part needs for the journal, in small letters."""
    inside = {name.lower() for one in part.scripts for name in _CALLED.findall(script(one).text)}
    return part.commands | inside


def forms(commands: Collection[str], key: str) -> list[tuple[str, ...]]:
    """Each command in a complete form, on this key where it has one, sorted."""
    named = [(name, *_ARGUMENTS.get(name, (_KEY,))) for name in sorted(commands)]
    return [tuple([key if part == _KEY else part for part in form]) for form in named]


@dataclass(frozen=True)
class RightsFacts:
    """What Redis says of this user's rights.

    ``denied``: commands that it may not run on the journal's keys; ``None``: it could not be found out.
    ``eval_denied``: what keeps everything from working, and us from asking. ``pattern``: of the journal's keys.
    """

    denied: frozenset[str] | None = None
    eval_denied: bool = False
    pattern: str = "sockudo:*"


def judge_rights(facts: RightsFacts) -> Finding:
    """Whether this user can do what at least one part does, and all of what the part does that it is meant for.

    A user who may run what no part needs (:data:`UNNEEDED`) is meant for all of them; another one for the parts that it
    has most rights of, of those that only this part needs.
    """
    name = "redis.rights"
    if facts.eval_denied:
        return broken(
            name, "this user may not run EVAL: nothing can be published or delivered", "`ACL SETUSER <user> +eval`"
        )
    if facts.denied is None:
        how = "`redis-cli ACL GETUSER <user>`, beside the lines of docs/deployment.md (Rights in Redis)"
        return unknown(name, "Redis does not say what this user may run", how)
    needed = {part.name: rights_of(part) for part in PARTS}
    lacking = lacking_rights(facts.denied, needed)
    if lacking:
        return broken(name, missing_text(lacking), f"{rights_text(lacking)}, and the keys ~{facts.pattern}{_PAGE}")
    able = ", ".join(f"{part}s" for part, rights in needed.items() if not rights & facts.denied)
    return fine(name, f"this user has the rights of {able}")


def lacking_rights(denied: frozenset[str], needed: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """What is missing, by part, for the parts that a user is meant for; empty: nothing."""
    missing = {part: rights & denied for part, rights in needed.items()}
    meant = [part for part in needed if not UNNEEDED & denied or _has_most(_only(part, needed), denied)]
    lacking = {part: missing[part] for part in meant if missing[part]}
    if not lacking and all(missing.values()):
        lacking = {"caller": missing["caller"]}
    return lacking


def _has_most(rights: frozenset[str], denied: frozenset[str]) -> bool:
    # Not any of them: where one Redis is both, some rights are there for the broker's sake.
    return 2 * len(rights - denied) > len(rights)


def _only(part: str, needed: Mapping[str, frozenset[str]]) -> frozenset[str]:
    others: frozenset[str] = frozenset().union(*(rights for other, rights in needed.items() if other != part))
    return needed[part] - others


def missing_text(lacking: Mapping[str, frozenset[str]]) -> str:
    """Whom it concerns, and the commands as people know them."""
    commands = ", ".join(one.upper() for one in sorted(frozenset().union(*lacking.values())))
    return f"missing for {', '.join(f'{part}s' for part in lacking)}: {commands}"


def rights_text(lacking: Mapping[str, frozenset[str]]) -> str:
    """The line that adds them."""
    commands = " ".join(f"+{one}" for one in sorted(frozenset().union(*lacking.values())))
    return f"`ACL SETUSER <user> {commands}`"


_PAGE = " (docs/deployment.md, Rights in Redis)"
