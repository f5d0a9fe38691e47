"""``sockudo-publisher publish``: one event, queued or sent now."""

from __future__ import annotations

import re
import sys
from typing import Any

import click

from ..errors import JournalUnavailable
from .exits import exit_code
from .output import Output, plain

__all__ = ["command"]

#: What may be an option; anything else that begins with a dash is a piece of DATA, and is not repeated.
_OPTION = re.compile(r"--?[a-z][a-z-]{0,30}")

_HINT = 'DATA that begins with "-" goes behind "--", as in: publish [OPTIONS] -- CHANNEL EVENT DATA'

_TOO_MANY = 'more than CHANNEL EVENT DATA: DATA with spaces needs quotes, and options go before "--"'


class _Publish(click.Command):
    """Says what to do about DATA that looks like an option, or like several arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, with other words where its own would repeat DATA."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = f" {error.option_name}" if _OPTION.fullmatch(error.option_name) else ""
            raise click.UsageError(f"no such option{name}; {_HINT}", ctx) from None
        except click.UsageError as error:
            if not isinstance(error, click.BadParameter) and error.message.startswith("Got unexpected extra"):
                raise click.UsageError(_TOO_MANY, ctx) from None
            raise


@click.command("publish", cls=_Publish)
@click.argument("channel")
@click.argument("event")
@click.argument("data")
@click.option("--key", help="Idempotency key: the same key stores nothing twice.")
@click.option("--app", help="The app's name in SOCKUDO_APPS; by default that of SOCKUDO_URL.")
@click.option("--socket-id", help="Do not deliver to this socket.")
@click.option("--now", is_flag=True, help="Send it from here, without the queue, and wait for the answer.")
@Output.command
def command(
    out: Output,
    *,
    channel: str,
    event: str,
    data: str,
    key: str | None,
    app: str | None,
    socket_id: str | None,
    now: bool,
) -> None:
    """Queue one EVENT with DATA for CHANNEL.

    DATA goes to the subscribers as it is: text, or JSON text. "-" reads it from standard input, to its
    last byte: a line end belongs to it. What begins with a dash goes behind "--". Done means stored: a
    worker delivers it. With --now it means delivered.

    When Redis fails, the message id is told: with --key and that id, the command can be repeated and
    stores nothing twice.
    """
    from ..tasks.publish import publish

    payload = sys.stdin.buffer.read() if data == "-" else data
    options: dict[str, Any] = {"key": key, "app": app, "socket_id": socket_id}
    options = {name: value for name, value in options.items() if value is not None}
    if now:
        receipt = publish(channel, event, payload, **options)
        out.say(f"Delivered to [bold]{plain(channel)}[/], message id {plain(receipt.message_id)}")
        out.emit(ok=True, message_id=receipt.message_id, acknowledgement_ids=dict(receipt.acknowledgement_ids))
    else:
        try:
            result = publish.delay(channel, event, payload, **options)
        except JournalUnavailable as error:
            code = exit_code(error)
            out.complain(
                type(error).__name__,
                str(error) if out.as_json else f"{error}. {_what_to_do(error)}",
                code,
                message_id=error.message_id,
                stored=error.stored,
            )
            raise SystemExit(code) from None
        out.say(f"Stored for [bold]{plain(channel)}[/], message id {plain(result.id)}")
        out.emit(ok=True, message_id=result.id)


def _what_to_do(error: JournalUnavailable) -> str:
    stored = "Nothing is stored" if error.stored is False else "It may be stored or not"
    return f"{stored}: repeat with --key {error.message_id}" if error.message_id else stored
