"""Which rights in Redis each part needs, and the commands in the form that ``redis.acl_check_cmd`` takes. Pure.

A part is a caller (an application that publishes), a worker, or an operator (``status``, ``dead``, ``resume``,
``doctor``). The commands of the journal's scripts are read from the scripts' texts. docs/deployment.md lists all rights
as ``ACL SETUSER`` lines; a test runs the whole product with them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ...journal.redis.scripts import NAMES, script

__all__ = ["BROKER_RIGHTS", "PARTS", "UNNEEDED", "Part", "complete_commands", "rights_of"]


@dataclass(frozen=True)
class Part:
    """A part's ``name``, the journal's ``scripts`` that it calls, and the ``commands`` that it runs beside them."""

    name: str
    scripts: frozenset[str]
    commands: frozenset[str]


_CALLER_SCRIPTS = frozenset(
    {"append", "append_once", "cancel", "free_key", "mark", "relayout", "schedule", "schedule_once"}
)

_CALLER_COMMANDS = frozenset({"eval", "evalsha", "exists", "get", "sadd", "set", "time", "zcard"})

_OPERATOR_SCRIPTS = frozenset(
    {"audit", "cancel", "free_key", "operator_pause", "operator_resume", "purge", "replay", "scheduled", "status"}
)

CALLER = Part("caller", _CALLER_SCRIPTS, _CALLER_COMMANDS)

#: A worker also appends: the events of append messages.
WORKER = Part(
    "worker",
    frozenset(NAMES) - {"audit", "operator_pause", "operator_resume", "purge", "replay", "scheduled"},
    _CALLER_COMMANDS
    | {"del", "exists", "hget", "hgetall", "hmget", "hset", "xlen", "xread", "zadd", "zrange", "zrem"}
    # With ``zcount`` for its metrics, which count the schedule.
    | {"hdel", "hincrby", "type", "zcount", "zremrangebyrank", "zremrangebyscore"},
)

OPERATOR = Part(
    "operator",
    _OPERATOR_SCRIPTS,
    frozenset({"eval", "evalsha", "exists", "get", "hget", "hgetall", "hmget", "smembers", "time", "type", "xrange"})
    | {"hexists", "xrevrange", "zcard", "zcount", "zrange"},
)

PARTS = (CALLER, WORKER, OPERATOR)

#: Commands that kombu runs in a Redis that is the broker: to send, and (below) to broadcast to workers.
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
    # Remote control that waits for answers: after ten seconds kombu looks for messages to restore, under a lock.
    "operator": _ASK_WORKERS | {"get", "hdel", "hget", "set"},
}

#: Commands that no part needs: a user who may run them was not created for one part alone.
UNNEEDED = frozenset({"incr", "strlen"})

_CALLED = re.compile(r"redis\.p?call\(\s*'(\w+)'")

#: The arguments of each command, complete: Redis checks the command and does not run it. Never check a command with too
#: few arguments: Redis reads beyond them.
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
    "sismember": (_KEY, "v"),
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
    "zcount": (_KEY, "-inf", "1"),
    "zrange": (_KEY, "0", "-1"),
    "zrangebyscore": (_KEY, "-inf", "1"),
    "zrem": (_KEY, "m"),
    "zremrangebyrank": (_KEY, "0", "0"),
    "zremrangebyscore": (_KEY, "-inf", "1"),
    "zrevrangebyscore": (_KEY, "1", "-inf"),
    "zscore": (_KEY, "m"),
}


@lru_cache(maxsize=8)
def rights_of(part: Part) -> frozenset[str]:
    """The commands of Redis that a part needs for the journal, in lower case."""
    inside = {name.lower() for one in part.scripts for name in _CALLED.findall(script(one).text)}
    return part.commands | inside


def complete_commands(commands: Collection[str], key: str) -> list[tuple[str, ...]]:
    """Each command with all its arguments, on ``key`` if it takes a key, sorted by name."""
    named = [(name, *_ARGUMENTS.get(name, (_KEY,))) for name in sorted(commands)]
    return [tuple([key if part == _KEY else part for part in form]) for form in named]
