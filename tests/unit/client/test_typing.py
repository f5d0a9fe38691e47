"""What a user's type checker says of programs written against the client: nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parts import need_module

pytestmark = pytest.mark.unit

PROGRAM = '''
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler

import requests

from sockudo_publisher import Event, Sockudo, Webhook


class Handler(BaseHTTPRequestHandler):
    client: Sockudo

    def do_POST(self) -> None:
        webhook: Webhook = self.client.webhook(self.headers, b"")
        for event in webhook.events:
            reason: str | None = event.error
            print(reason)


def every_form(
    client: Sockudo,
    message: Message,
    plain: dict[str, str],
    environ: dict[str, object],
    lists: Mapping[str, list[str]],
    response: requests.Response,
    asgi: list[tuple[bytes, bytes]],
) -> list[Webhook]:
    return [
        client.webhook(message, b""),
        client.webhook(plain, b""),
        client.webhook(environ, b""),
        client.webhook(lists, b""),
        client.webhook(response.headers, b""),
        client.webhook(asgi, ""),
        client.webhook(iter(asgi), ""),
        client.webhook(plain.items(), ""),
    ]


class Own(Sockudo):
    """A subclass."""


with Own("a", "k", "s", session=requests.Session()) as client:
    own: Own = client
    own.trigger_batch([Event("c", "e", 1), ("c", "e", 2), {"channel": "c", "name": "e", "data": 3}])
'''
WRONG = """
from sockudo_publisher import Sockudo

Sockudo("a", "k", "s").webhook(5, b"")
"""


def mypy(program: str, directory: Path) -> str:
    """What it prints."""
    need_module("mypy")
    file = directory / "program.py"
    file.write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", directory / "cache", file],
        capture_output=True, text=True, check=False, cwd=directory, timeout=200,
    ).stdout  # fmt: skip


def test_programs_are_well_typed(tmp_path: Path) -> None:
    """Headers of every framework, ``with``, batches of every shape."""
    assert mypy(PROGRAM, tmp_path).startswith("Success: ")
    assert 'incompatible type "int"' in mypy(WRONG, tmp_path), "or the check finds nothing"
