"""``sockudo-publisher publish``: one event, queued or sent now."""

from __future__ import annotations

import sys
from typing import Any

import click

from .output import Output, plain

__all__ = ["command"]


@click.command("publish")
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

    DATA goes to the subscribers as it is: text, or JSON text. "-" reads it from standard input.
    Done means stored: a worker delivers it. With --now it means delivered.
    """
    from ..tasks import publish

    payload = sys.stdin.buffer.read() if data == "-" else data
    options: dict[str, Any] = {"key": key, "app": app, "socket_id": socket_id}
    options = {name: value for name, value in options.items() if value is not None}
    if now:
        receipt = publish(channel, event, payload, **options)
        out.say(f"Delivered to [bold]{plain(channel)}[/], message id {plain(receipt.message_id)}")
        out.emit(ok=True, message_id=receipt.message_id, acknowledgement_ids=dict(receipt.acknowledgement_ids))
    else:
        result = publish.delay(channel, event, payload, **options)
        out.say(f"Stored for [bold]{plain(channel)}[/], message id {plain(result.id)}")
        out.emit(ok=True, message_id=result.id)
