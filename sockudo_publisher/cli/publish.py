"""``sockudo-publisher publish``: queue one event, or send it now."""

from __future__ import annotations

import re
import sys

import click

from ..errors import JournalUnavailable
from ..publishing.call import PublishCall
from .exits import exit_code
from .output import Output, plain

__all__ = ["command"]

#: The form of an option. Any other word that begins with a dash is part of DATA, which no error repeats.
_OPTION = re.compile(r"--?[a-z][a-z-]{0,30}")

_HINT = 'put "--" before DATA that begins with "-": publish [OPTIONS] -- CHANNEL EVENT DATA'

_TOO_MANY = 'too many arguments, expected CHANNEL EVENT DATA: DATA with spaces needs quotes; options go before "--"'


class _Publish(click.Command):
    """Adds a hint to the error for DATA that looks like an option, or like several arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's own, with other error texts where click would repeat DATA."""
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
@click.option("--key", help="Idempotency key: an event with the same key is stored once.")
@click.option("--collapse", help="Replace an earlier event with this collapse key that still waits on the channel.")
@click.option("--app", help="The app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")
@click.option("--socket-id", help="Do not deliver to this connection (its socket id).")
@click.option(
    "--now", is_flag=True, help="Send the event from here, without the queue, and wait for the server's answer."
)
@Output.command
def command(
    out: Output,
    *,
    channel: str,
    event: str,
    data: str,
    key: str | None,
    collapse: str | None,
    app: str | None,
    socket_id: str | None,
    now: bool,
) -> None:
    """Queue one EVENT with DATA for CHANNEL.

    DATA is text or JSON text, sent unchanged. "-" reads it from standard input, including a final line end.
    Put "--" before DATA that begins with a dash. Exit code 0 means that the event is stored and a worker will
    deliver it; with --now, that the server has accepted it.

    If Redis fails, the error shows the message id: repeat the command with --key and that id, and the event is
    stored once.
    """
    payload = sys.stdin.buffer.read() if data == "-" else data
    call = PublishCall(channel, event, payload, key, socket_id, app=app, collapse=collapse)
    if now:
        from ..publishing.direct import send_now

        receipt = send_now(call)
        out.print(f"Delivered to [bold]{plain(channel)}[/], message id {plain(receipt.message_id)}")
        out.print_json(ok=True, message_id=receipt.message_id, acknowledgement_ids=dict(receipt.acknowledgement_ids))
    else:
        try:
            message_id = _store(call)
        except JournalUnavailable as error:
            code = exit_code(error)
            out.print_error(
                type(error).__name__,
                str(error) if out.as_json else f"{error}. {_advice(error)}",
                code,
                message_id=error.message_id,
                stored=error.stored,
            )
            raise SystemExit(code) from None
        out.print(f"Stored for [bold]{plain(channel)}[/], message id {plain(message_id)}")
        out.print_json(ok=True, message_id=message_id)


def _store(call: PublishCall) -> str:
    """As ``publish.delay``, without the Celery task, which takes longer to load than the rest. Returns the id."""
    from ..publishing.prepare import prepare
    from ..publishing.store import store_event
    from ..wiring.app import app_named

    app = app_named(call.app)
    prepared = prepare(app, call)
    store_event(app, prepared)
    return prepared.message_id


def _advice(error: JournalUnavailable) -> str:
    stored = "Nothing is stored" if error.stored is False else "The event may be stored"
    return f"{stored}: repeat with --key {error.message_id}" if error.message_id else stored
