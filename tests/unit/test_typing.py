"""What a user's type checker says of programs written against the package: nothing.

`make types` runs these (the marker `types`): all programs in one run of each checker.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import sockudo_publisher
from sockudo_publisher.client.api import answers
from tests.support.parts import need_module

pytestmark = pytest.mark.unit

#: Kept from run to run: the stubs of the libraries take most of the time.
MYPY_CACHE = Path(__file__).resolve().parents[2] / ".mypy_cache" / "programs"
#: Seconds for a checker that has no cache, on a busy machine.
CHECK_S = 280.0

#: Headers of every framework, `with`, batches of every shape.
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

#: Every public name of the packages for web frameworks, without a cast or an ignored line.
SHOP = """
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from flask import Flask
from starlette.applications import Starlette

from sockudo_publisher import PublishResult, WebhookEvent
from sockudo_publisher.contrib.fastapi import Member, PublisherDep, Registry, WebhookHandlers, channel, lifespan, router
from sockudo_publisher.contrib.flask import FlaskSockudo, blueprint
from sockudo_publisher.contrib.permissions import Answer, authorize
from sockudo_publisher.contrib.starlette import routes
from sockudo_publisher import Sockudo


class User:
    id: int = 1


@channel("private-a.{x}")
def may_join(user: User, x: str) -> bool:
    return user.id == int(x)


registry = Registry()


@registry.channel("presence-a.{x}", "private-b.{x}")
async def may_enter(user: User, x: str) -> Member | bool:
    return Member(user.id, {"x": x})


handlers = WebhookHandlers()


@handlers.on("member_added")
async def note(event: WebhookEvent) -> None:
    user_id: str | None = event.user_id
    print(user_id)


def current_user() -> User:
    return User()


def user_data(user: User) -> dict[str, str]:
    return {"id": str(user.id)}


app = FastAPI(lifespan=lifespan)
app.include_router(router([may_join, registry], user=current_user, user_data=user_data, webhooks=handlers), prefix="/p")


@app.post("/ship")
async def ship(publisher: PublisherDep, user: Annotated[User, Depends(current_user)]) -> str:
    result: PublishResult = await publisher.adelay("a", "b", {"id": user.id}, key="k")
    return result.id


flask_app = Flask("x")
FlaskSockudo(may_join, user=current_user).init_app(flask_app)
flask_app.register_blueprint(blueprint(registry, webhooks=note), url_prefix="/p")
plain = Starlette(routes=routes(may_enter), lifespan=lifespan)


def view(client: Sockudo, body: bytes) -> tuple[int, dict[str, Any]]:
    answer: Answer = authorize(registry, client, body, User())
    still: bool = may_join(User(), "1")
    print(still)
    return answer.status, answer.body
"""
#: One mistake; a checker that finds none checks nothing.
SHOP_MISTAKE = "\nblueprint(user=5)\n"

#: A program of all the mistakes, one a line.
MISTAKEN = HEAD + "\n".join(MISTAKES.values()) + "\n"
PROGRAMS = {
    "program": PROGRAM,
    "wrong": WRONG,
    "project": PROJECT,
    "mistaken": MISTAKEN,
    "shop": SHOP,
    "mistaken_shop": SHOP + SHOP_MISTAKE,
}

#: By program, each complaint with its line, from 1.
Complaints = dict[str, list[tuple[int, str]]]


def complaints_of(directory: Path, *tool: str, programs: list[str]) -> Complaints:
    """What the checker says of these programs."""
    for name in programs:
        (directory / f"{name}.py").write_text(PROGRAMS[name])
    ran = subprocess.run(
        [sys.executable, "-m", *tool, *(f"{name}.py" for name in programs)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=CHECK_S,
        check=False,
    )
    assert ran.returncode == 1, f"there are mistakes to be found\n{ran.stdout}\n{ran.stderr}"
    found: Complaints = defaultdict(list)
    for name, line, text in re.findall(r"(\w+)\.py:(\d+)(?::\d+)?(?:: | - )error: (.*)", ran.stdout):
        found[name].append((int(line), text))
    return found


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> Complaints:
    """Of mypy, under --strict."""
    need_module("mypy")
    tool = ["mypy", "--strict", "--config-file=", "--cache-dir", str(MYPY_CACHE)]
    return complaints_of(tmp_path_factory.mktemp("mypy"), *tool, programs=list(PROGRAMS))


@pytest.fixture(scope="module")
def pyright(tmp_path_factory: pytest.TempPathFactory) -> Complaints:
    """Of pyright, as strict as it can be: the wheel that brings its own Node."""
    need_module("basedpyright")
    directory = tmp_path_factory.mktemp("pyright")
    (directory / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "reportMissingTypeStubs": false}')
    programs = ["project", "mistaken", "shop", "mistaken_shop"]
    return complaints_of(directory, "basedpyright", "--pythonpath", sys.executable, programs=programs)


def mistakes_not_found(complaints: Complaints) -> list[str]:
    lines = {line for line, _ in complaints["mistaken"]}
    return [name for line, name in enumerate(MISTAKES, HEAD.count("\n") + 1) if line not in lines]


@pytest.mark.types
def test_programs_are_well_typed(mypy: Complaints) -> None:
    """And a mistake is found, or the check finds nothing."""
    assert mypy["program"] == []
    [(_, complaint)] = mypy["wrong"]
    assert 'incompatible type "int"' in complaint


@pytest.mark.types
def test_a_project_is_well_typed_for_mypy(mypy: Complaints) -> None:
    """And each mistake is found in its line."""
    assert mypy["project"] == []
    assert mistakes_not_found(mypy) == []


@pytest.mark.types
def test_a_project_is_well_typed_for_pyright(pyright: Complaints) -> None:
    """And each mistake is found in its line."""
    assert pyright["project"] == []
    assert mistakes_not_found(pyright) == []


@pytest.mark.types
def test_an_application_is_well_typed_for_mypy(mypy: Complaints) -> None:
    """With the packages for web frameworks; and its mistake is found."""
    assert mypy["shop"] == []
    [(_, complaint)] = mypy["mistaken_shop"]
    assert "[arg-type]" in complaint


@pytest.mark.types
def test_an_application_is_well_typed_for_pyright(pyright: Complaints) -> None:
    """With the packages for web frameworks; and its mistake is found."""
    assert pyright["shop"] == []
    assert len(pyright["mistaken_shop"]) == 1


def test_every_type_of_an_answer_can_be_imported() -> None:
    """From the package, by its name."""
    names = [*answers.__all__, "ChannelAuth", "UserAuth"]
    assert set(names) <= set(sockudo_publisher.__all__)
    for name in names:
        assert getattr(sockudo_publisher, name).__name__ == name
