"""The ``sockudo-publisher`` command: one module per command.

``exits`` defines the exit codes, ``output`` writes text or JSON, ``ndjson``, ``csv_*`` and ``file_*`` read files of
events; the other modules are the commands. May import the whole package; no other room imports it.

A command's module is imported when the command runs or shows its help, so that ``--help`` and ``--version`` load
neither Celery nor Redis nor a web server.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from .. import __version__
from ..redaction import printable
from .exits import MEANINGS, ExitCode
from .output import Output

__all__ = ["main"]

#: Command name -> (module, its line in ``--help``), in the order of ``--help``.
_COMMANDS = {
    "demo": ("demo", "See events arrive on a live page. Needs nothing else running."),
    "dev-server": ("dev_server", "Run the embedded Sockudo, for development and tests."),
    "worker": ("worker", "Run a worker, which delivers queued events (takes Celery's options)."),
    "publish": ("publish", "Queue one event, or send it now."),
    "publish-file": ("publish_file", "Queue the events of a file: JSON lines or CSV."),
    "status": ("status", "Show waiting events and whether they are being delivered."),
    "health": ("health", "Check one worker, for probes: exit code 0 or 1."),
    "dashboard": ("dashboard", "Serve a page that shows and operates everything."),
    "doctor": ("doctor", "Check whether this deployment delivers exactly once, in order; say what to change."),
    "config": ("config", "Print a file to deploy with: units, manifests, alerts, configurations."),
    "bench": ("bench", "Measure the speed of this machine or of this deployment."),
    "pause": ("pause", "Let an app's events wait until it is resumed."),
    "resume": ("resume", "End an operator's pause, or a pause whose cause is removed."),
    "wait-empty": ("wait_empty", "Wait until no event waits, before maintenance."),
    "find": ("find", "Show where an event is, by its message id."),
    "audit": ("audit", "Show what operators did."),
    "scheduled": ("scheduled", "List or cancel events that are due later."),
    "dead": ("dead", "List, show, replay or purge dead letters."),
}


class _Commands(click.Group):
    """A group that imports a command at its first use, and writes usage errors as JSON under ``--json``."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """Click's own. Notes first whether ``--json`` is given: click does not read it after a usage error."""
        as_json = _has_json_option(args)
        try:
            context = super().make_context(info_name, args, *rest, **extra)
        except click.UsageError as error:
            raise _usage_error(error, as_json) from None
        context.meta[_AS_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Click's own, with usage errors as JSON under ``--json``."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _usage_error(error, ctx.meta[_AS_JSON]) from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{_COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


_AS_JSON = "sockudo_publisher.as_json"


def _has_json_option(args: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options."""
    options = args[: args.index("--")] if "--" in args else args
    return "--json" in options


def _usage_error(error: click.UsageError, as_json: bool) -> Exception:
    """The error, for click to show; under ``--json`` it is written here, and the exit is returned."""
    error.__dict__["message"] = printable(error.message)  # it may quote an argument
    if not as_json:
        return error
    Output(as_json).print_error(type(error).__name__, error.format_message(), ExitCode.USAGE)
    return click.exceptions.Exit(ExitCode.USAGE)


@click.group(
    name="sockudo-publisher",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code:d}  {text}" for code, text in MEANINGS.items()),
)
@click.version_option(__version__, prog_name="sockudo-publisher")
def main() -> None:
    """Publish events to Sockudo through a durable queue.

    Settings are environment variables: SOCKUDO_URL, SOCKUDO_REDIS_URL and the others in docs/settings.md.
    """
