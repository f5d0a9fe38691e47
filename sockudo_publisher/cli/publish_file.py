"""``sockudo-publisher publish-file``: queue the events of a file of any size; safe to run again."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import BulkError, IdempotencyConflict, ValidationError
from .exits import ExitCode, exit_code
from .ndjson import LineError
from .output import Output

if TYPE_CHECKING:
    from .csv_rows import CsvFormat
    from .file_events import FileEvents, Records
    from .file_source import Interrupt, Source

__all__ = ["command"]


@dataclass(frozen=True)
class Job:
    """What the arguments say."""

    file: str
    app: str | None
    again: bool
    key_field: str | None
    run_id: str | None
    is_dry_run: bool
    csv: CsvFormat | None

    @property
    def form(self) -> tuple[str, ...]:
        """What makes other events of the same bytes."""
        return () if self.csv is None else self.csv.identity()

    @property
    def is_resumed(self) -> bool:
        """Whether a second run begins where an earlier one has stopped."""
        return not (self.is_dry_run or self.again or self.file == "-")


@click.command("publish-file")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--app", help="The app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")
@click.option("--again", is_flag=True, help="Publish every event again, also those that an earlier run has stored.")
@click.option(
    "--key-field",
    metavar="NAME",
    help="Read each event's key from this field: key, data.id, ...; of a CSV: this column.",
)
@click.option("--run-id", metavar="ID", help="Make the keys from this ID and the lines, not from the file.")
@click.option("--dry-run", is_flag=True, help="Check every event, store nothing. Needs no Redis.")
@click.option("--csv", "is_csv", is_flag=True, help="FILE is a CSV whose first row names the columns.")
@click.option("--channel", metavar="TEXT", help="With --csv: the channel, with columns in braces: 'user-{user_id}'.")
@click.option("--event", metavar="TEXT", help="With --csv: the event name; it may have columns too.")
@click.option("--collapse", metavar="TEXT", help="With --csv: the collapse key, with columns in braces: '{currency}'.")
@click.option("--delimiter", metavar="CHAR", help="With --csv: between two cells; 'tab' for a tab. Default: a comma.")
@click.option("--encoding", metavar="NAME", help="With --csv: of the text. Default: UTF-8, or UTF-16 if it begins so.")
@Output.command
def command(
    out: Output,
    *,
    file: str,
    app: str | None,
    again: bool,
    key_field: str | None,
    run_id: str | None,
    dry_run: bool,
    is_csv: bool,
    **csv_options: str | None,
) -> None:
    r"""Queue the events in FILE, one JSON object per line. "-" reads standard input. Gzip is read as it is.

    \b
    {"channel": "orders", "name": "shipped", "data": {"id": 789}}

    Optional fields: socket_id, tags, extras, delta, collapse and key; user_id may stand in place of channel. Blank
    lines are skipped.

    With --csv, --channel and --event each row is an event: its data is an object of the row's cells, all text.

    After an interruption run the command again: it goes on behind the last event that is stored. Each line has a
    key, made from the file's path, size and modification time, the line's number and its content; an event whose key
    is stored is not stored again (for SOCKUDO_KEY_TTL seconds). Standard input has no path: it needs --key-field,
    --run-id or --again.

    A line that cannot be published ends the run with exit code 1 and the line's number. The lines before it are
    stored; that line and those after it are not. Ctrl-C also ends the run with exit code 1; the lines that were
    read are stored.
    """
    _check_key_options(file, again=again, key_field=key_field, run_id=run_id, is_dry_run=dry_run)
    job = Job(file, app, again, key_field, run_id, dry_run, _csv_format(is_csv, key_field, csv_options))
    from .file_events import FileEvents, keys_for
    from .file_source import Interrupt, StreamDamaged, open_source

    started = time.monotonic()
    with open_source(file) as source:
        interrupt = Interrupt()
        keys = keys_for(file, source.file, again=again or dry_run, key_field=key_field, run_id=run_id, form=job.form)
        try:
            events = FileEvents(_records(job, source, interrupt), keys, interrupt)
            count, already_stored = _run(out, job, source, events)
        except StreamDamaged as error:
            _stop(out, error, LineError(1, str(error)), ExitCode.FAILED, stored=0, job=job)
        except LineError as error:
            _stop(out, error, error, ExitCode.FAILED, stored=0, job=job)
    if events.bad is not None:
        _stop(out, events.bad, events.bad, ExitCode.FAILED, stored=count, already_stored=already_stored, job=job)
    if events.is_cut_short:
        _report_interrupt(out, job, events, count, already_stored)
    _report(out, job, events, count, already_stored, time.monotonic() - started)


def _check_key_options(file: str, *, again: bool, key_field: str | None, run_id: str | None, is_dry_run: bool) -> None:
    """Raise :class:`click.UsageError` for options of which each makes other keys."""
    if sum((again, key_field is not None, run_id is not None)) > 1:
        raise click.UsageError("--again, --key-field and --run-id: give only one of them")
    for option, value in (("--key-field", key_field), ("--run-id", run_id)):
        if value == "":
            # Most likely an unset variable: with the same ID a second run would store nothing.
            raise click.UsageError(f"{option}: empty")
    if file == "-" and not (again or is_dry_run) and key_field is None and run_id is None:
        raise click.UsageError(
            "standard input: needs --key-field NAME or --run-id ID, or --again if a second run may repeat it"
        )


def _csv_format(is_csv: bool, key_field: str | None, options: dict[str, str | None]) -> CsvFormat | None:
    """How the CSV is read; ``None`` without ``--csv``. Raises :class:`click.UsageError`."""
    if not is_csv:
        for name, value in options.items():
            if value is not None:
                raise click.UsageError(f"--{name}: only with --csv")
        return None
    for name in ("channel", "event"):
        if not options[name]:
            raise click.UsageError(f"--csv: needs --{name} TEXT, such as --channel 'user-{{user_id}}' --event score")
    from .csv_rows import CsvFormat, check_encoding
    from .csv_template import Template, TemplateError

    delimiter = options["delimiter"] or ","
    if options["delimiter"] == "":
        raise click.UsageError("--delimiter: empty")
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n\0 ':
        raise click.UsageError(
            "--delimiter: expected one character, neither a quote nor a space nor a line end, or tab"
        )
    try:
        encoding = check_encoding(options["encoding"] or "utf-8")
        channel = Template("--channel", options["channel"] or "")
        event = Template("--event", options["event"] or "")
        collapse = Template("--collapse", options["collapse"]) if options["collapse"] is not None else None
    except TemplateError as error:
        raise click.UsageError(str(error)) from None
    return CsvFormat(channel, event, delimiter, encoding, key_field, collapse)


def _records(job: Job, source: Source, interrupt: Interrupt) -> Records:
    """The file's records. Raises ``LineError`` or ``StreamDamaged``; :class:`click.UsageError` for a wrong template."""
    if job.csv is None:
        from .file_events import JsonLines

        return JsonLines(source.stream, interrupt)
    from .csv_rows import CsvRows
    from .csv_template import TemplateError

    rows = CsvRows(source.stream, job.csv, interrupt)
    try:
        rows.read_header()
    except TemplateError as error:
        raise click.UsageError(str(error)) from None
    return rows


def _run(out: Output, job: Job, source: Source, events: FileEvents) -> tuple[int, int]:
    """Store the events, or check them only: the number of those stored (or checked), and of those stored before."""
    from .file_progress import show_progress

    options: dict[str, Any] = {} if job.app is None else {"app": job.app}
    with ExitStack() as stack:
        if job.is_dry_run:
            from ..publishing.dry_run import check_many

            stack.enter_context(events.ended_by_interrupt())
            try:
                return check_many(events, **options), 0
            except ValidationError as error:
                if error.index is None:
                    raise
                _stop(
                    out, error, LineError(events.line_of(error.index), str(error)), ExitCode.FAILED, stored=0, job=job
                )
        from ..publishing.bulk import publish_many

        save: Callable[[int], object] | None = None
        if job.is_resumed:
            from .file_position import FilePosition

            how = (*job.form, "field", job.key_field or "", "run", job.run_id or "")
            position = FilePosition.of(job.app, job.file, source, events, form=how)
            position.resume()
            save = position.save
        show = stack.enter_context(show_progress(out, source, events))
        stack.enter_context(events.ended_by_interrupt())

        def progress(stored: int) -> None:
            for call in (save, show):
                if call is not None:
                    call(stored)

        before = events.skipped
        try:
            receipt = publish_many(events, progress=progress, **options)
        except (ValidationError, IdempotencyConflict) as error:
            if error.index is None:
                raise
            reason = LineError(events.line_of(error.index), str(error))
            _stop(out, error, reason, ExitCode.FAILED, stored=before + error.stored, job=job)
        except BulkError as error:
            reason = LineError(events.line_of(error.index), str(error.cause))
            _stop(out, error, reason, exit_code(error), stored=before + error.stored, job=job)
        return before + receipt.count, before + receipt.already_stored


def _report(out: Output, job: Job, events: FileEvents, count: int, already_stored: int, seconds: float) -> None:
    """The summary of a run that read the whole file."""
    channels = events.channels
    told = "very many" if channels is None else f"{channels:,}"
    where = f" on {told} channel{'' if channels == 1 else 's'}" if count > events.skipped else ""
    rate = f"{(count - events.skipped) / max(seconds, 1e-9):,.0f}/s"
    if job.is_dry_run:
        out.print(f"[green]Checked[/] {count:,} events{where}, stored nothing ({seconds:.1f} s, {rate})")
    else:
        known = f", {already_stored:,} of them by an earlier run" if already_stored else ""
        out.print(f"[green]Stored[/] {count:,} events{where}{known} ({seconds:.1f} s, {rate})")
    out.print_json(
        ok=True,
        count=count,
        already_stored=already_stored,
        skipped=events.skipped,
        channels=channels,
        lines=events.lines,
        seconds=round(seconds, 3),
        dry_run=job.is_dry_run,
    )


def _report_interrupt(out: Output, job: Job, events: FileEvents, count: int, already_stored: int) -> None:
    """Write how far the run came before Ctrl-C, and exit."""
    told = (
        f"{count:,} events are {'valid, none is stored' if job.is_dry_run else 'stored'}, up to line {events.lines:,}"
    )
    go_on = "" if job.again or job.is_dry_run else "; run the same command again to go on"
    stored = 0 if job.is_dry_run else count
    out.print_error(
        "Interrupted",
        f"interrupted: {told}{go_on}",
        ExitCode.FAILED,
        line=events.lines,
        stored=stored,
        already_stored=already_stored,
    )
    raise SystemExit(ExitCode.FAILED)


def _stop(
    out: Output,
    error: Exception,
    where: LineError,
    code: ExitCode,
    *,
    stored: int,
    job: Job,
    already_stored: int = 0,
) -> NoReturn:
    """Write the error with its line and the number of stored events, and exit."""
    if job.is_dry_run:
        stored, told = 0, "Nothing is stored"
    else:
        told = f"{stored:,} events before it are stored"
    out.print_error(
        type(error).__name__,
        f"{where}. {told}" + ("; run the same command again to go on" if code is ExitCode.UNREACHABLE else ""),
        code,
        line=where.number,
        stored=stored,
        already_stored=already_stored,
    )
    raise SystemExit(code)
