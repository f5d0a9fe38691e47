"""Which rights in Redis each part needs, and the commands in a form that Redis can be asked about. Pure.

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

__all__ = ["BROKER_RIGHTS", "PARTS", "UNNEEDED", "Part", "forms", "rights_of"]


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
