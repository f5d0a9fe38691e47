"""Judge unknown ``SOCKUDO_*`` variables: a misspelled one has no effect, and the default stays in force. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..finding import CheckFinding, fine, risk

__all__ = ["SETTINGS_CHECKS", "judge_variables"]

SETTINGS_CHECKS = ("settings",)


def judge_variables(unknown: Mapping[str, str], ignored: Sequence[str] = ()) -> list[CheckFinding]:
    """A finding for each of :data:`SETTINGS_CHECKS`.

    ``unknown``: names of ``SOCKUDO_*`` variables that are no settings, each with the nearest known one or ``""``;
    ``ignored``: names of Celery's own variables, which configure other Celery apps and not this package.
    """
    [name] = SETTINGS_CHECKS
    beside = f"; ignored here, because they configure other Celery apps: {', '.join(ignored)}" if ignored else ""
    if not unknown:
        return [fine(name, f"every SOCKUDO_* variable is a setting{beside}")]
    change = "; ".join(
        f"rename {given} to {nearest}" if nearest else f"unset {given}, which is no setting"
        for given, nearest in unknown.items()
    )
    return [risk(name, f"unknown: {', '.join(unknown)}{beside}", change)]
