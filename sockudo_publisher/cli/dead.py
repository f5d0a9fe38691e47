"""``sockudo-publisher dead``: the events that could not be delivered, and what to do with them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from .output import Output, plain

if TYPE_CHECKING:
    from ..operations import DeadLetter
    from ..settings import Settings

__all__ = ["command"]

#: Dead letters shown, and handed on in one call by ``--all``.
LIMIT = 1000

_app = click.option("--app", help="The app's name in SOCKUDO_APPS; by default that of SOCKUDO_URL.")


@click.group("dead")
def command() -> None:
    """List, show, replay or purge dead letters.

    A dead letter is an event that Sockudo refused, that conflicted, or whose delivery stayed uncertain under
    the policy "hold". It waits, unchanged, for a person.
    """


@command.command("list")
@_app
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="The most to show.")
@Output.command
def list_(out: Output, app: str | None, limit: int) -> None:
    """List dead letters, oldest first, without their payloads."""
    from rich.table import Table

    settings, name = _settings(app)
    from .. import operations

    letters = operations.dead_list(settings, name, limit)
    if letters:
        table = Table(pad_edge=False)
        for heading in ("id", "died", "reason", "channel", "event", "attempts", "bytes", "words"):
            table.add_column(heading, justify="right" if heading in ("attempts", "bytes") else "left", overflow="fold")
        for letter in letters:
            table.add_row(
                letter.id, _when(letter.dead_ms), f"[red]{plain(letter.reason)}[/]", plain(letter.channel),
                plain(letter.name), str(letter.attempts), f"{letter.size:,}", plain(letter.words),
            )  # fmt: skip
        out.say(table)
        if len(letters) == limit:
            out.say(f"The first {limit:,}; more with --limit.")
    else:
        out.say("No dead letters.")
    out.emit(ok=True, app=name, letters=[_values(letter) for letter in letters])


@command.command("show")
@click.argument("id")
@_app
@click.option("--payload", is_flag=True, help="Show the event's data too.")
@Output.command
def show(out: Output, id: str, app: str | None, payload: bool) -> None:
    """Show one dead letter; its payload only with --payload."""
    settings, name = _settings(app)
    from .. import operations

    letter = operations.dead_show(settings, name, id)
    values = _values(letter)
    if payload:
        values["data"] = json.loads(letter.item).get("data")
    for field, value in values.items():
        shown = _when(value) if field in ("first_ms", "dead_ms") else str(value)
        out.say(f"[dim]{field.removesuffix('_ms'):>11}[/]  {plain(shown)}")
    out.emit(ok=True, letter=values)


@command.command("replay")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_app
@click.option("--all", "every", is_flag=True, help="All of the app's dead letters.")
@click.option("--new-id", is_flag=True, help="Give them new message ids: needed for conflicts.")
@Output.command
def replay(out: Output, ids: tuple[str, ...], app: str | None, every: bool, new_id: bool) -> None:
    """Queue dead letters again, at the end of their lanes: their order towards their channels is given up."""
    _either(ids, every)
    settings, name = _settings(app)
    from .. import operations

    if every:
        replayed = 0
        # What is replayed leaves the list; what cannot be stays and would be met again, hence the bound.
        while letters := operations.dead_list(settings, name, LIMIT):
            moved = operations.dead_replay(settings, name, [letter.id for letter in letters], new_id=new_id)
            replayed += moved
            if moved < len(letters):
                break
    else:
        replayed = operations.dead_replay(settings, name, list(ids), new_id=new_id)
    out.say(f"Replayed {replayed:,}.")
    out.emit(ok=True, app=name, replayed=replayed)


@command.command("purge")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_app
@click.option("--all", "every", is_flag=True, help="All of the app's dead letters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@Output.command
def purge(out: Output, ids: tuple[str, ...], app: str | None, every: bool, yes: bool) -> None:
    """Delete dead letters for good."""
    _either(ids, every)
    settings, name = _settings(app)
    if not yes:
        if out.as_json:
            raise click.UsageError("--json does not ask: give --yes too")
        what = "all dead letters" if every else f"{len(ids):,} dead letter(s)"
        click.confirm(f"Delete {what} of {name} for good?", abort=True, err=True)
    from .. import operations

    purged = operations.dead_purge(settings, name, None if every else list(ids))
    out.say(f"Purged {purged:,}.")
    out.emit(ok=True, app=name, purged=purged)


def _settings(app: str | None) -> tuple[Settings, str]:
    from ..settings import DEFAULT_APP, get_settings

    settings = get_settings()
    settings.url_of(app or DEFAULT_APP)
    return settings, app or DEFAULT_APP


def _either(ids: tuple[str, ...], every: bool) -> None:
    if bool(ids) == every:
        raise click.UsageError("give one or more IDs, or --all")


def _values(letter: DeadLetter) -> dict[str, Any]:
    """Everything but the item, which holds the payload."""
    names = ("id", "app", "channel", "name", "message_id", "reason", "words", "attempts", "first_ms", "dead_ms", "size")
    return {name: getattr(letter, name) for name in names}


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
