"""What it means for a user of Redis when rights are missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..facts.rights import PARTS, UNNEEDED, rights_of
from ..facts.values import RightsFacts
from ..finding import Finding, broken, fine, unknown

__all__ = ["judge_rights", "lacking_rights", "missing_text", "rights_text"]


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
