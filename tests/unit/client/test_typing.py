"""What a user's type checker says of programs written against the client: nothing."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sockudo_publisher
from sockudo_publisher.client.api import answers
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


#: A project that publishes, authorizes and asks, without a cast or an ignored line.
PROJECT = """
from datetime import datetime, timedelta, timezone
from typing import Any

from sockudo_publisher import (
    AsyncSockudo,
    BulkReceipt,
    ChannelAnswer,
    ChannelAuth,
    ChannelsAnswer,
    HistoryPage,
    PublishOptions,
    PublishResult,
    Receipt,
    Sockudo,
    SockudoConnectionError,
    TriggerAnswer,
    UserAuth,
    apublish_many,
    publish,
    publish_many,
)


def ship(order: int) -> str:
    result: PublishResult = publish.delay("orders", "shipped", {"id": order}, key=f"order-{order}")
    text: str = result.get(timeout=3)
    ready: bool = result.ready()
    print(text, ready)
    return result.id


def later(options: PublishOptions) -> list[str]:
    at = datetime.now(timezone.utc) + timedelta(minutes=1)
    several = [
        publish.apply_async(("orders", "shipped", 1), countdown=3),
        publish.apply_async(("orders", "shipped", 1), {"key": "k"}, eta=at, expires=60.5, link=None),
        publish.apply_async(("orders", "shipped", 1), eta=at.isoformat(), expires=at.isoformat()),
        publish.apply_async(kwargs={"channel": "c", "event": "e", "data": 1}, **options),
    ]
    return [result.id for result in several]


def in_a_transaction() -> tuple[str, str]:
    first: str = publish.delay_on_commit("orders", "shipped", {"id": 1}, key="k", using="default", robust=True)
    second: str = publish.apply_async_on_commit(("orders", "shipped", 1), countdown=3)
    return first, second


def now() -> Receipt:
    return publish(["a", "b"], "news", "text", tags={"kind": "x"})


def many() -> BulkReceipt:
    publish_many([("a", "e", 1)], progress=print)
    publish_many((("a", "e", n) for n in range(9)), total=9, progress=show)
    publish_many([("a", "e", 1)], progress=[1].append)
    publish_many([("a", "e", 1)], progress=lambda stored: print(stored))
    return publish_many([("a", "e", 1)])


def show(stored: int, total: int | None) -> None:
    print(stored, total)


async def from_coroutines(client: AsyncSockudo) -> tuple[PublishResult, BulkReceipt, TriggerAnswer, ChannelAuth]:
    async with AsyncSockudo.from_env(max_concurrency=4, timeout=3) as other:
        async for item in other.iter_channel_history("a", limit=1):
            serial: int = item["serial"]
            print(serial)
    return (
        await publish.adelay("orders", "shipped", {"id": 1}, key="k", tags={"kind": "x"}),
        await apublish_many([("a", "e", 1)], key_prefix="p", progress=print),
        await client.trigger("a", "e", 1, info=["user_count"]),
        await client.authorize_private_channel(b""),
    )


def allow(client: Sockudo, form: dict[str, str], body: bytes) -> tuple[ChannelAuth, ChannelAuth, UserAuth]:
    return (
        client.authorize_private_channel(form),
        client.authorize_presence_channel(body, {"user_id": "1"}),
        client.authenticate_user_form(form, {"id": "1"}),
    )


def ask(client: Sockudo) -> tuple[TriggerAnswer, ChannelsAnswer, ChannelAnswer, HistoryPage]:
    return (
        client.trigger("a", "e", 1, info=["user_count"]),
        client.channels_info("a"),
        client.channel_info("a"),
        client.channel_history("a", limit=1),
    )


def sent(error: SockudoConnectionError) -> bool:
    return error.sent


signature: Any = publish.s("orders", "shipped") | publish.si("orders", "shipped", 1)
client = Sockudo("a", "k", "s", host="h", path_prefix="/ws", encryption_master_key_base64=b"x")
"""
#: Each of these is a mistake that a checker has to find; the words are those that mypy and pyright share.
MISTAKES = {
    "misspelt option": 'publish.apply_async(("c", "e", 1), cuntdown=3)',
    "misspelt option in a transaction": 'publish.apply_async_on_commit(("c", "e", 1), cuntdown=3)',
    "type of an option": 'publish.apply_async(("c", "e", 1), countdown="soon")',
    "field of the event as an option": 'publish.apply_async(("c", "e", 1), key="k")',
    "misspelt method": 'publish.dely("c", "e", 1)',
    "missing data": 'publish.delay("c", "e")',
    "missing data in a transaction": 'publish.delay_on_commit("c", "e")',
    "unknown field": 'publish.delay("c", "e", 1, tag={})',
    "unknown field in a transaction": 'publish.delay_on_commit("c", "e", 1, tag={})',
    "type of a field": 'publish.delay("c", "e", 1, key=5)',
    "type of a result": 'number: int = publish.delay("c", "e", 1).id',
    "type of a receipt": 'text: str = publish("c", "e", 1)',
    "positional argument": 'Sockudo("a", "k", "s", True)',
    "misspelt argument": 'Sockudo("a", "k", "s", hots="h")',
    "misspelt key of an answer": 'Sockudo("a", "k", "s").authenticate("private-c", "1.1")["oauth"]',
    "missing data in a coroutine": 'coroutine = publish.adelay("c", "e")',
    "result of a coroutine": 'made: str = publish.adelay("c", "e", 1)',
    "unknown argument of a coroutine": 'answer = AsyncSockudo("a", "k", "s").trigger("c", "e", 1, tag={})',
    "answer of a coroutine": 'number_of: int = AsyncSockudo("a", "k", "s").trigger("c", "e", 1)',
    "misspelt option of the coroutines' client": 'AsyncSockudo("a", "k", "s", hots="h")',
    "type of a total": 'publish_many([], total="9")',
    "type of a progress": "publish_many([], progress=5)",
    "form of another type": 'Sockudo("a", "k", "s").authorize_private_channel(5)',
}
HEAD = "from sockudo_publisher import AsyncSockudo, Sockudo, publish, publish_many\n\n"


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`mypy(program)`: what it prints. The stubs of the libraries are read once: their cache is kept."""
    need_module("mypy")
    directory = tmp_path_factory.mktemp("mypy")
    cache = Path(__file__).resolve().parents[3] / ".mypy_cache" / "programs"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(cache), "program.py"]

    def check(program: str) -> str:
        (directory / "program.py").write_text(program)
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory, timeout=200).stdout

    return check


def test_programs_are_well_typed(mypy: Callable[[str], str]) -> None:
    """Headers of every framework, ``with``, batches of every shape."""
    assert mypy(PROGRAM).startswith("Success: ")
    assert 'incompatible type "int"' in mypy(WRONG), "or the check finds nothing"


def mistakes_found(output: str) -> set[int]:
    """The lines of the program that are complained about, from 1."""
    return {int(line) for line in re.findall(r"program\.py:(\d+)(?::\d+)?(?:: | - )error", output)}


#: A program of all the mistakes, one a line.
MISTAKEN = HEAD + "\n".join(MISTAKES.values()) + "\n"


def test_a_project_is_well_typed_for_mypy(mypy: Callable[[str], str]) -> None:
    """Under --strict; and each mistake is found in its line."""
    assert mypy(PROJECT).startswith("Success: ")
    lines = range(3, 3 + len(MISTAKES))
    found = mistakes_found(mypy(MISTAKEN))
    assert [name for name, line in zip(MISTAKES, lines, strict=True) if line not in found] == []


@pytest.mark.long
def test_a_project_is_well_typed_for_pyright(tmp_path: Path) -> None:
    """As strict as it can be, by the wheel that brings its own Node."""
    pytest.importorskip("basedpyright")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "reportMissingTypeStubs": false}')

    def pyright(program: str) -> str:
        file = tmp_path / "program.py"
        file.write_text(program)
        command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, str(file)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=200
        ).stdout  # fmt: skip

    assert "0 errors" in (printed := pyright(PROJECT)), printed
    found = mistakes_found(printed := pyright(MISTAKEN))
    lines = range(3, 3 + len(MISTAKES))
    assert [name for name, line in zip(MISTAKES, lines, strict=True) if line not in found] == [], printed


def test_every_type_of_an_answer_can_be_imported() -> None:
    """From the package, by its name."""
    names = [*answers.__all__, "ChannelAuth", "UserAuth"]
    assert set(names) <= set(sockudo_publisher.__all__)
    for name in names:
        assert getattr(sockudo_publisher, name).__name__ == name
