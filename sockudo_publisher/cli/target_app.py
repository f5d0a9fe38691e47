"""The options that commands of an operator share: the app, and who acts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import click

__all__ = ["actor_option", "app_option", "letter_filters", "when"]

#: ``--app``: the name of one app.
app_option = click.option("--app", help="The app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")

#: ``--actor``: who acts, for the audit.
actor_option = click.option("--actor", metavar="WHO", help="Who does this, for the audit. Default: user@host.")


def letter_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that select dead letters: ``reason``, ``channel``, ``event``, ``older_than``."""
    for option in (
        click.option("--older-than", type=float, metavar="SECONDS", help="Only letters that died that long ago."),
        click.option("--event", help="Only this event name."),
        click.option("--channel", help="Only this channel."),
        click.option("--reason", help="Only this reason, such as refused or conflict."),
    ):
        command = option(command)
    return command


def when(ms: int, unknown: str = "unknown") -> str:
    """A time of Redis, in UTC; ``unknown`` for 0."""
    if not ms:
        return unknown
    try:
        return datetime.fromtimestamp(ms / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # an id that Redis did not make
        return f"{ms} ms"
