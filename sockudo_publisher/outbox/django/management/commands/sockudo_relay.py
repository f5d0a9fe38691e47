"""``manage.py sockudo_relay``: the relay as a process of its own."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError

from .....redaction import printable
from ....relay import INTERVAL_S, MAX_ROWS, run
from ...table import relay

__all__ = ["Command"]


class Command(BaseCommand):  # type: ignore[misc]
    """Run one relay per database, or several: one works, the others wait. SIGTERM ends a relay between two batches."""

    help = "Moves committed events from the outbox to the journal, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options; each has a default."""
        parser.add_argument("--once", action="store_true", help="make one pass and exit; exit code 1 if rows are left")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (%(default)s)")
        parser.add_argument(
            "--interval", type=float, default=INTERVAL_S, metavar="S", help="seconds between two passes (%(default)s)"
        )
        parser.add_argument("--batch", type=int, default=MAX_ROWS, metavar="N", help="rows of a batch (%(default)s)")

    def handle(self, *_args: Any, once: bool, database: str, interval: float, batch: int, **_options: Any) -> None:
        """Run the relay. Raises :class:`CommandError`."""
        if interval <= 0 or batch < 1:
            raise CommandError("--interval: must be above 0" if interval <= 0 else "--batch: must be at least 1")
        if once:
            done = relay(database, batch=batch)
            self.stdout.write(
                f"{done.stored} stored, {done.already_stored} of them by an earlier attempt; {done.parked} parked"
            )
            if done.waiting:
                why = "; ".join(f"app {name}: rows wait: {why}" for name, why in done.waiting.items())
                raise CommandError(printable(why))
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Set the event in a thread: the handler may have interrupted this thread while it holds the event's lock.
            signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
        again = partial(relay, database, batch=batch, stop=stop)
        run(again, failures=(DatabaseError, InterfaceError), every_s=interval, stop=stop)
