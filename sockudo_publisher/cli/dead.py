"""``sockudo-publisher dead``: list, show, replay and purge dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import click

from ..redaction import printable
from .exits import ExitCode
from .output import Output, plain
from .target_app import actor_option, app_option, letter_filters, when

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..operations import DeadLetter

__all__ = ["command"]

#: Letters that are named one by one where many could not be replayed.
MAX_REFUSED = 20


@click.group("dead")
def command() -> None:
    """List, show, replay or purge dead letters.

    A dead letter is an event that Sockudo refused, that conflicted, whose delivery stayed uncertain under
    the policy "park", or that cannot be read. It waits, unchanged, for a person.
    """


@command.command("list")
@app_option
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Show at most this many."
)
@letter_filters
@Output.command
def list_(out: Output, app: str | None, limit: int, older_than: float | None, **names: Any) -> None:
    """List dead letters, oldest first, without their payloads."""
    _, name = _settings(app)
    from .. import operations

    letters = operations.dead_letters(name, limit=limit, older_than_s=older_than, **names)
    for letter in letters:
        # Two lines and no table: a narrow terminal would cut the ID, which is copied from here.
        out.print(
            f"[bold]{letter.id}[/]  [red]{plain(letter.reason)}[/]  {when(letter.dead_ms)}, "
            f"{_number(letter.attempts, 'attempt')}, {_number(letter.size, 'byte')}"
            + ("  [yellow]may have been delivered[/]" if letter.maybe_delivered else "")
        )
        out.print(f"    {plain(letter.channel)}  [bold]{plain(letter.name)}[/]  [dim]{plain(letter.message)}[/]")
    if not letters:
        out.print("No dead letters.")
    elif len(letters) == limit:
        out.print(f"The first {limit:,}. See more with --limit.")
    out.print_json(ok=True, app=name, letters=[_values(letter) for letter in letters])


@command.command("show")
@click.argument("id")
@app_option
@click.option("--payload", is_flag=True, help="Show the event's data too.")
@Output.command
def show(out: Output, id: str, app: str | None, payload: bool) -> None:
    """Show one dead letter; its payload only with --payload."""
    settings, name = _settings(app)
    from .. import operations

    letter = operations.dead_find(settings, name, id)
    if letter is None:
        out.print_error("Absent", f"{id} is not, or no longer, a dead letter of {name}", ExitCode.FAILED, absent=1)
        raise SystemExit(ExitCode.FAILED)
    values = _values(letter)
    if payload:
        values["data"] = letter.data
    for field, value in values.items():
        if field == "first_ms" and not value and letter.maybe_delivered:
            shown = "unknown"
        else:
            shown = when(value, "never") if field in ("first_ms", "dead_ms") else str(value)
        out.print(f"[dim]{field.removesuffix('_ms'):>15}[/]  {plain(shown)}")
    out.print_json(ok=True, letter=values)


@command.command("replay")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@app_option
@click.option("--all", "every", is_flag=True, help="Every dead letter of the app.")
@letter_filters
@click.option("--new-id", is_flag=True, help="Give the events new message ids. Needed for conflicts.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@Output.command
def replay(
    out: Output,
    ids: tuple[str, ...],
    app: str | None,
    every: bool,
    new_id: bool,
    dry_run: bool,
    actor: str | None,
    older_than: float | None,
    **names: Any,
) -> None:
    """Queue dead letters again, behind the waiting events: they lose their place in the order of their channels.

    What cannot be replayed stays, is named with the reason, and makes the exit code 1: a conflict without --new-id,
    a letter that does not hold exactly one event, letters of a lane that cannot be read.
    """
    _check_selection(ids, every, older_than, **names)
    _, name = _settings(app)
    from .. import operations

    done = operations.replay(
        ids or None, app=name, all=every, older_than_s=older_than, new_id=new_id, dry_run=dry_run, actor=actor, **names
    )
    out.print(f"Would replay {done.replayed:,}." if dry_run else f"Replayed {done.replayed:,}.")
    for refused in done.refused[:MAX_REFUSED]:
        out.print(f"[yellow]Not replayed[/] [bold]{plain(refused.id)}[/] {plain(refused.reason)}: {plain(refused.why)}")
    if len(done.refused) > MAX_REFUSED:
        out.print(f"[yellow]Not replayed[/] {len(done.refused) - MAX_REFUSED:,} more: see dead list")
    unreadable = sum(refused.why == operations.NOT_ONE_EVENT for refused in done.refused)
    _finish(
        *(out, name, done.absent, bool(done.refused)),
        replayed=done.replayed,
        unreadable=unreadable,
        dry_run=dry_run,
        refused=[asdict(refused) for refused in done.refused],
    )


@command.command("purge")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@app_option
@click.option("--all", "every", is_flag=True, help="Every dead letter of the app.")
@letter_filters
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@Output.command
def purge(
    out: Output,
    ids: tuple[str, ...],
    app: str | None,
    every: bool,
    yes: bool,
    dry_run: bool,
    actor: str | None,
    older_than: float | None,
    **names: Any,
) -> None:
    """Delete dead letters for good. Asks first, and says how many there are."""
    _check_selection(ids, every, older_than, **names)
    _, name = _settings(app)
    if not (yes or dry_run) and out.as_json:
        raise click.UsageError("--json: needs --yes too, as there is no prompt")
    from .. import operations

    chosen: dict[str, Any] = {"app": name, "all": every, "older_than_s": older_than, **names}
    if not (yes or dry_run):
        count = operations.purge(ids or None, dry_run=True, **chosen).purged
        what = f"all {count:,} dead letters" if every else f"{count:,} dead letter(s)"
        click.confirm(f"Delete {what} of {printable(name)} for good?", abort=True, err=True)
    done = operations.purge(ids or None, dry_run=dry_run, actor=actor, **chosen)
    out.print(f"Would purge {done.purged:,}." if dry_run else f"Purged {done.purged:,}.")
    for why in done.failed:
        out.print(f"[yellow]Not purged[/] {plain(why)}")
    _finish(out, name, done.absent, bool(done.failed), purged=done.purged, failed=done.failed, dry_run=dry_run)


def _settings(app: str | None) -> tuple[Settings, str]:
    from ..config.settings import DEFAULT_APP, get_settings

    settings = get_settings()
    settings.url_of(app or DEFAULT_APP)
    return settings, app or DEFAULT_APP


def _check_selection(ids: tuple[str, ...], every: bool, *filters: float | None, **names: Any) -> None:
    has_filter = any(value is not None for value in (*filters, *names.values()))
    if bool(ids) + every + has_filter != 1:
        raise click.UsageError("give one or more IDs, or --all, or filters such as --reason")


def _finish(out: Output, app: str, absent: Sequence[str], is_incomplete: bool, **done: Any) -> None:
    """Write the result as JSON. Exits with 1 if letters stay, or some of the IDs are no dead letters: ``absent``."""
    out.print_json(ok=not (absent or is_incomplete), app=app, **done, absent=len(absent), absent_ids=absent)
    if absent and not out.as_json:
        names = ", ".join(absent[:MAX_REFUSED])
        out.print_error(
            "Absent", f"{len(absent):,} of the IDs are not, or no longer, dead letters: {names}", ExitCode.FAILED
        )
    if absent or is_incomplete:
        raise SystemExit(ExitCode.FAILED)


def _values(letter: DeadLetter) -> dict[str, Any]:
    """The letter's fields, without the item, which contains the payload."""
    return {one.name: getattr(letter, one.name) for one in fields(letter) if one.name != "item"}


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
