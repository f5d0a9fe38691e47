"""The users of Redis for callers, workers and operators, as ``ACL SETUSER`` lines. Pure.

Made from ``facts.rights``, which the doctor's check reads too: a right that a script begins to need is in the lines
at once. docs/deployment.md shows them; a test runs the whole product under them.
"""

from __future__ import annotations

from collections.abc import Mapping

from .facts.rights import BROKER_RIGHTS, PARTS, rights_of

__all__ = ["acl_lines"]

#: Everything that a connection runs for itself, ``WAIT`` too; not what concerns the connections of others.
_CONNECTION = ("+@connection", "-client|kill", "-client|list", "-client|pause", "-client|unpause")

#: Celery's results of canvases, which lie beside the journal unless SOCKUDO_RESULT_URL names another Redis.
_RESULTS = ("~celery-task-meta-*", "&celery-task-meta-*")

#: By part: keys and channels in the journal's Redis, beside the keys of the journal.
_JOURNAL_PATTERNS: Mapping[str, tuple[str, ...]] = {"caller": _RESULTS, "worker": _RESULTS, "operator": ()}

#: By part: what it runs in the journal's Redis beside the journal's own commands: `info` for the bound on memory,
#: Celery's results, and what ``doctor`` reads.
_BESIDE: Mapping[str, frozenset[str]] = {
    "caller": frozenset({"get", "info", "subscribe", "unsubscribe"}),
    "worker": frozenset({"exec", "get", "info", "multi", "publish", "setex"}),
    "operator": frozenset({"config|get", "info"}),
}

#: By part: keys and channels in the broker's Redis. The queue is `sockudo`, with a namespace `sockudo.NAMESPACE`.
_BROKER_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "caller": ("~sockudo*", "~_kombu.binding*"),
    "worker": ("~sockudo*", "~_kombu.binding*", "~unacked*", "~*celery.pidbox*", "~celeryev*", "&*"),
    "operator": ("~sockudo*", "~_kombu.binding*", "~unacked*", "~*celery.pidbox*", "&*"),
}


def acl_lines(namespace: str = "") -> str:
    """The lines for the journal's Redis and for the broker's, with ``PASSWORD`` in the place of each password.

    ``namespace`` is ``SOCKUDO_NAMESPACE``, ``""`` for none. If one Redis is both, all lines are for it: Redis adds up
    the rules of a user.
    """
    keys = f"~{namespace}:sockudo:*" if namespace else "~sockudo:*"
    lines = ["# in the journal's Redis"]
    for part in PARTS:
        commands = rights_of(part) | _BESIDE[part.name]
        lines.append(_line(part.name, (keys, *_JOURNAL_PATTERNS[part.name]), commands))
    lines.append("# in the broker's Redis: the same one, or another")
    lines += [_line(name, _BROKER_PATTERNS[name], commands) for name, commands in BROKER_RIGHTS.items()]
    return "\n".join(lines) + "\n"


def _line(user: str, patterns: tuple[str, ...], commands: frozenset[str]) -> str:
    allowed = [f"+{one}" for one in sorted(commands)]
    return " ".join(["ACL SETUSER", user, "on", ">PASSWORD", *patterns, *_CONNECTION, *allowed])
