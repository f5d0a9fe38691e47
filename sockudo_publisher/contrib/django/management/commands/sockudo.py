"""``manage.py sockudo COMMAND``: the ``sockudo-publisher`` command with the project's settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

__all__ = ["Command"]


class Command(BaseCommand):  # type: ignore[misc]
    """Pass all arguments on: ``manage.py sockudo dead list --json``. Output and exit codes are that command's."""

    help = "Runs a command of sockudo-publisher with this project's settings: status, doctor, dead, resume, worker ..."
    requires_system_checks: Sequence[str] = ()

    def run_from_argv(self, argv: Sequence[str]) -> None:
        """Bypass Django's parser, which would read the command's options as its own."""
        self._run(list(argv[2:]), prog_name=f"{argv[0]} {argv[1]}")

    def add_arguments(self, parser: CommandParser) -> None:
        """For ``call_command("sockudo", "status", "--json")``."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *_args: Any, arguments: Sequence[str] = (), **_options: Any) -> None:
        """Run with the arguments of ``call_command``. Raises :class:`CommandError` for an exit code above 0."""
        try:
            self._run(list(arguments), prog_name="manage.py sockudo")
        except SystemExit as error:
            if error.code:
                raise CommandError(
                    f"sockudo {' '.join(arguments[:1])}: exit code {error.code}", returncode=error.code
                ) from None

    def _run(self, arguments: list[str], *, prog_name: str) -> None:
        from .....cli import main

        if arguments[:1] in (["dashboard"], ["status"]):
            _show_outbox()
        main.main(args=arguments, prog_name=prog_name)


def _show_outbox() -> None:
    """Let the dashboard and `status` count the rows of the outbox, once a process."""
    from django.db import router

    from .....outbox.django.models import OutboxRow
    from .....outbox.django.table import read_figures
    from .....outbox.figures import add_table, known_tables

    if not known_tables():
        add_table(partial(read_figures, router.db_for_read(OutboxRow)))
