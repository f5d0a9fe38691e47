"""The ``sockudo-publisher`` command: one module per command, imported when it is asked for.

``exits`` gives exit codes their meaning, ``output`` speaks to people or to programs, ``ndjson`` reads
lines; the other modules are the commands. May import the whole package; nothing imports it.

A command's module is imported only when the command runs or explains itself, so that ``--help`` and
``--version`` do not load Celery, Redis or a web server.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from .. import __version__
from .exits import MEANINGS, ExitCode
from .output import Output

__all__ = ["main"]

#: Command name -> (module, what it does in a line). The order is that of ``--help``.
_COMMANDS = {
    "demo": ("demo", "See events arrive on a live page; nothing else need be running."),
    "dev-server": ("dev_server", "Run the embedded Sockudo, for development and tests."),
    "worker": ("worker", "Run a worker: deliver what is queued (takes Celery's options)."),
    "publish": ("publish", "Queue one event, or send it now."),
    "publish-file": ("publish_file", "Queue a file of events, one JSON object a line."),
    "status": ("status", "Show what is waiting, and whether it flows."),
    "doctor": ("doctor", "Say whether this deployment can keep the promise, and what to change."),
    "bench": ("bench", "Measure what this machine, or this deployment, can do."),
    "resume": ("resume", "End a pause, once its cause is mended."),
    "dead": ("dead", "List, show, replay or purge dead letters."),
}


class _Commands(click.Group):
    """A group whose commands are imported on first use, and whose usage errors are JSON where that is asked for."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """As click does it; remembers whether JSON is asked for, which an error keeps click from reading."""
        as_json = _asks_for_json(args)
        try:
            context = super().make_context(info_name, args, *rest, **extra)
        except click.UsageError as error:
            raise _told(error, as_json) from None
        context.meta[_AS_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _told(error, ctx.meta[_AS_JSON]) from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{_COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in _COMMANDS.items()])


_AS_JSON = "sockudo_publisher.as_json"


def _asks_for_json(args: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options."""
    options = args[: args.index("--")] if "--" in args else args
    return "--json" in options


def _told(error: click.UsageError, as_json: bool) -> Exception:
    """The error itself, for click to show; or the end, once it is written as JSON."""
    if not as_json:
        return error
    Output(as_json).complain(type(error).__name__, error.format_message(), ExitCode.USAGE)
    return click.exceptions.Exit(ExitCode.USAGE)


@click.group(
    name="sockudo-publisher",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code:d}  {words}" for code, words in MEANINGS.items()),
)
@click.version_option(__version__, prog_name="sockudo-publisher")
def main() -> None:
    """Publish to Sockudo through a durable queue.

    Settings come from the environment: SOCKUDO_URL, SOCKUDO_REDIS_URL and the others of docs/settings.md.
    """
