"""Judge which rights a user of Redis lacks. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..facts.rights import PARTS, UNNEEDED, rights_of
from ..facts.values import RightsFacts
from ..finding import CheckFinding, broken, fine, unknown

__all__ = ["judge_rights", "lacking_rights", "missing_text", "rights_text"]


def judge_rights(facts: RightsFacts) -> CheckFinding:
    """Judge whether this user has all rights of the parts that it is meant for, and of at least one part.

    A user who may run commands that no part needs (:data:`UNNEEDED`) is meant for all parts. Another user is meant for
    each part of whose exclusive rights it has more than half.
    """
    name = "redis.rights"
    if facts.eval_denied:
        return broken(
            name, "this user may not run EVAL: nothing can be published or delivered", "`ACL SETUSER <user> +eval`"
        )
    if facts.denied is None:
        how = "`redis-cli ACL GETUSER <user>`: it must allow the commands and keys of the documented rights" + _PAGE
        return unknown(name, "Redis does not report the rights of this user", how)
    needed = {part.name: rights_of(part) for part in PARTS}
    lacking = lacking_rights(facts.denied, needed)
    if lacking:
        return broken(name, missing_text(lacking), f"{rights_text(lacking)}, and the keys ~{facts.pattern}{_PAGE}")
    able = ", ".join(f"{part}s" for part, rights in needed.items() if not rights & facts.denied)
    return fine(name, f"this user has the rights of {able}")


def lacking_rights(denied: frozenset[str], needed: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The missing rights, by part, of the parts that the user is meant for; empty: none is missing."""
    missing = {part: rights & denied for part, rights in needed.items()}
    meant = [part for part in needed if not UNNEEDED & denied or _has_most(_exclusive_rights(part, needed), denied)]
    lacking = {part: missing[part] for part in meant if missing[part]}
    if not lacking and all(missing.values()):
        lacking = {"caller": missing["caller"]}
    return lacking


def _has_most(rights: frozenset[str], denied: frozenset[str]) -> bool:
    # More than half, not any: where one Redis is journal and broker, the user has some rights for the broker.
    return 2 * len(rights - denied) > len(rights)


def _exclusive_rights(part: str, needed: Mapping[str, frozenset[str]]) -> frozenset[str]:
    others: frozenset[str] = frozenset().union(*(rights for other, rights in needed.items() if other != part))
    return needed[part] - others


def missing_text(lacking: Mapping[str, frozenset[str]]) -> str:
    """The parts that lack rights, and the commands in upper case."""
    commands = ", ".join(one.upper() for one in sorted(frozenset().union(*lacking.values())))
    return f"missing for {', '.join(f'{part}s' for part in lacking)}: {commands}"


def rights_text(lacking: Mapping[str, frozenset[str]]) -> str:
    """The ``ACL SETUSER`` line that adds the rights."""
    commands = " ".join(f"+{one}" for one in sorted(frozenset().union(*lacking.values())))
    return f"`ACL SETUSER <user> {commands}`"


#: The documentation on the web: an installed package has none.
_PAGE = " (https://github.com/sockudo/sockudo-publisher/blob/main/docs/deployment.md#rights-in-redis)"
