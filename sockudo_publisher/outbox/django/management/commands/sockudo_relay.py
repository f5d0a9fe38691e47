"""``manage.py sockudo_relay``: the relay as a process of its own."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from .....errors import ConfigurationError
from .....redaction import printable
from .... import django as outbox
from ....relay import INTERVAL_S, MAX_ROWS, Relayed, describe_parked, relayed_apps, run
from ...models import OutboxRow
from ...table import FAILURES, has_notifications, open_listener, read_figures, relay

__all__ = ["Command"]


class Command(BaseCommand):  # type: ignore[misc]
    """Run one relay per database, or several: one works, the others wait. SIGTERM ends a relay between two batches.

    Prints a line at its start and one at its end. With ``--once`` the exit code is 1 if rows wait or are parked, also
    by an earlier relay; the start is then announced on stderr.
    """

    help = "Moves committed events from the outbox to the journal, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options; each has a default."""
        parser.add_argument(
            "--once", action="store_true", help="make one pass and exit; exit code 1 if rows are left or parked"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (%(default)s)")
        parser.add_argument(
            "--interval", type=float, default=INTERVAL_S, metavar="S", help="seconds between two passes (%(default)s)"
        )
        parser.add_argument(
            "--listen",
            action="store_true",
            help='let each commit wake the relay (PostgreSQL, with SOCKUDO = {"OUTBOX_NOTIFY": True})',
        )
        parser.add_argument("--batch", type=int, default=MAX_ROWS, metavar="N", help="rows of a batch (%(default)s)")

    def handle(
        self,
        *_args: Any,
        once: bool,
        database: str,
        interval: float,
        batch: int,
        listen: bool = False,
        **_options: Any,
    ) -> None:
        """Run the relay. Raises :class:`CommandError`."""
        if database not in connections:
            raise CommandError(f"--database: no database has the alias {printable(database)}")
        if listen and not has_notifications(database):
            raise CommandError(f"--listen: needs PostgreSQL, the database is {connections[database].vendor}")
        if interval <= 0 or batch < 1:
            raise CommandError("--interval: must be above 0" if interval <= 0 else "--batch: must be at least 1")
        where = f"table={OutboxRow._meta.db_table} database={database} apps={relayed_apps()}"
        start = f"relay started {printable(where)}"
        if once:
            self.stderr.write(f"{start} once", self.style.NOTICE)
            done = relay(database, batch=batch)
            self.stdout.write(_summary(done))
            left = [f"app {name}: rows wait: {why}" for name, why in done.waiting.items()]
            if parked := _parked(database):
                left.append(f"rows are parked: {parked}")
            if left:
                raise CommandError(printable("; ".join(left)))
            return
        self.stdout.write(f"{start} every_s={interval:g} batch={batch}{' listens' if listen else ''}")
        self.stdout.flush()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Set the event in a thread: the handler may have interrupted this thread while it holds the event's lock.
            signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
        again = partial(relay, database, batch=batch, stop=stop)
        listener = open_listener(database, stop) if listen else None
        try:
            done = run(
                again,
                failures=FAILURES,
                every_s=interval,
                stop=stop,
                wait=None if listener is None else listener.wait,
                read_figures=partial(read_figures, database),
            )
        except ConfigurationError as error:  # its port is taken
            raise CommandError(printable(str(error))) from None
        finally:
            if listener is not None:
                listener.close()
        self.stdout.write(f"relay ended: {_summary(done)}")
        try:
            parked = _parked(database)
        except FAILURES as error:
            parked = f"unknown, the database failed ({type(error).__name__})"
        if parked:
            self.stderr.write(printable(f"rows are parked: {parked}"))


def _summary(done: Relayed) -> str:
    return f"{done.stored} stored, {done.already_stored} of them by an earlier attempt; {done.parked} parked"


def _parked(database: str) -> str:
    """The rows that no relay tries again, of this run or an earlier one; ``""``: none."""
    count = OutboxRow.objects.using(database).filter(parked__isnull=False).count()
    return describe_parked(count, outbox.parked(using=database)) if count else ""
