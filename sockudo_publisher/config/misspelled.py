"""Names that are no setting, with the one that was probably meant. Imports the names of the settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from .environment import FILE
from .kinds import PREFIX, known_variables

__all__ = ["nearest_name", "unknown_variables"]

#: Variables that other parts read: the embedded and the real server, docker-compose.yml, the crash points.
_OF_OTHERS = frozenset(
    {
        "SOCKUDO_APP_ID",
        "SOCKUDO_APP_KEY",
        "SOCKUDO_APP_SECRET",
        "SOCKUDO_BIN",
        "SOCKUDO_DEVSERVER_APPS",
        "SOCKUDO_ENABLE_CLIENT_MESSAGES",
        "SOCKUDO_FAULTPOINT",
        "SOCKUDO_MAX_CONNECTIONS",
        "SOCKUDO_SERVER_ROLE",
        "SOCKUDO_SKIP_INLINE_APPS",
    }
)
_PREFIXES_OF_OTHERS = ("SOCKUDO_ABLY_", "SOCKUDO_DEFAULT_APP_", "SOCKUDO_LOG_", "SOCKUDO_OTEL_")


def nearest_name(name: str, known: Iterable[str]) -> str:
    """``, did you mean ...?``, or an empty text if no name is near."""
    nearest = get_close_matches(name, list(known), n=1)
    return f", did you mean {nearest[0]!r}?" if nearest else ""


def unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """``SOCKUDO_*`` variables that are no settings, each with the one that was probably meant, or ``""``."""
    known = known_variables()
    # Without the prefix: it would make all names similar.
    names = [name.removeprefix(PREFIX) for name in known]
    unknown: dict[str, str] = {}
    for name in sorted(os.environ if environ is None else environ):
        if not name.startswith(PREFIX) or name in known or name in _OF_OTHERS:
            continue
        if not name.startswith(_PREFIXES_OF_OTHERS):
            bare = name.removesuffix(FILE)  # of what is no secret: it has no file
            nearest = [bare] if bare in known else get_close_matches(name.removeprefix(PREFIX), names, n=1)
            unknown[name] = PREFIX + nearest[0].removeprefix(PREFIX) if nearest else ""
    return unknown
