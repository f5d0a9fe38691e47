"""The answers to a browser: yes, no, several channels, wrong answers of functions, time, logs."""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.contrib.permissions import (
    Answer,
    Member,
    Registry,
    authorize,
    authorize_async,
    sign_in,
    sign_in_async,
)

pytestmark = pytest.mark.unit

MASTER_KEY = base64.b64encode(b"k" * 32).decode()
CLIENT = Sockudo("app", "key", "secret", encryption_master_key_base64=MASTER_KEY)
Ask = Callable[..., Answer]
LOGGER = "sockudo_publisher.contrib.permissions"


def _sync(*args: Any, **kwargs: Any) -> Answer:
    return authorize(*args, **kwargs)


def _async(*args: Any, **kwargs: Any) -> Answer:
    return asyncio.run(authorize_async(*args, **kwargs))


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """`authorize`, and its asynchronous twin."""
    twin: Ask = request.param
    return twin


def registry_with(pattern: str, answer: Any, *, is_async: bool = False) -> Registry:
    """One pattern, whose function gives that answer, or raises it."""
    registry = Registry()

    def give() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def later(user: object, x: str) -> Any:
        await asyncio.sleep(0)
        return give()

    registry.add(pattern, later if is_async else lambda user, x: give())
    return registry


def form(channel: str, socket_id: str = "1.2") -> bytes:
    return urlencode({"socket_id": socket_id, "channel_name": channel}).encode()


@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine"])
def test_a_yes_is_signed(ask: Ask, is_async: bool) -> None:
    """Functions of both kinds in both worlds."""
    answer = ask(registry_with("private-a.{x}", True, is_async=is_async), CLIENT, form("private-a.1"), "ada")
    assert (answer.status, answer.body) == (200, CLIENT.authenticate("private-a.1", "1.2"))


ID = uuid.uuid4()


@pytest.mark.parametrize(
    ("member", "data"),
    [
        (Member("ada", {"name": "Ada"}), {"user_id": "ada", "user_info": {"name": "Ada"}}),
        (Member(7), {"user_id": "7"}),
        (Member(ID), {"user_id": str(ID)}),
        ({"user_id": 7, "user_info": None}, {"user_id": "7", "user_info": None}),
    ],
)
def test_a_member_is_signed(ask: Ask, member: object, data: dict[str, Any]) -> None:
    """Primary keys become text, which the server needs."""
    answer = ask(registry_with("presence-a.{x}", member), CLIENT, form("presence-a.1"), "ada")
    assert answer.status == 200
    assert json.loads(answer.body["channel_data"]) == data


def test_a_member_elsewhere_is_a_yes(ask: Ask) -> None:
    """One function may serve a private and a presence channel; nothing is signed along."""
    answer = ask(registry_with("private-a.{x}", Member("ada")), CLIENT, form("private-a.1"), "ada")
    assert answer.body == CLIENT.authenticate("private-a.1", "1.2")


def test_a_secret_only_after_a_yes(ask: Ask) -> None:
    """Encrypted channels."""
    yes = ask(registry_with("private-encrypted-{x}", True), CLIENT, form("private-encrypted-a"), "ada")
    no = ask(registry_with("private-encrypted-{x}", False), CLIENT, form("private-encrypted-a"), "ada")
    other = ask(registry_with("private-{x}", True), CLIENT, form("private-encrypted-a"), "ada")
    assert yes.body["shared_secret"] == CLIENT.authenticate("private-encrypted-a", "1.2")["shared_secret"]
    assert [(one.status, one.body) for one in (no, other)] == [(403, {"error": "not allowed"})] * 2
    assert yes.body["shared_secret"] not in repr(yes)


async def _never_awaited() -> bool:
    return True


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (False, None),
        (None, None),
        (1, "answered a int"),
        ("yes", "answered a str"),
        (1.5, "answered a float"),
        ({}, "answered a mapping without user_id"),
        (["ada"], "answered a list"),
        (RuntimeError("db\x1b[31m down"), "error=RuntimeError"),
        (TimeoutError(), "error=TimeoutError"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("channel", ["private-a.1", "presence-a.1"])
def test_all_else_is_a_no(
    ask: Ask, channel: str, answer: Any, logged: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A truthy object that is no True too. What is wrong with a function is logged with channel and user."""
    caplog.set_level(logging.INFO)
    pattern = channel.replace("1", "{x}")
    denied = ask(registry_with(pattern, answer), CLIENT, form(channel), {"id": 42, "password": "hush"})
    assert (denied.status, denied.body) == (403, {"error": "not allowed"})
    if logged is None:
        assert caplog.text == ""
    else:
        assert logged in caplog.text
        assert f"channel={channel} user=42" in caplog.text
    assert "hush" not in caplog.text
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize(
    ("member", "fault"),
    [
        (True, "answered True for a presence channel"),
        ({"user_id": ""}, "user_id: empty"),
        ({"user_id": 1.5}, "user_id: a float"),
        ({"user_id": "x" * 201}, "201 bytes, limit 200"),
        (Member("ada", {1, 2}), "not JSON"),
        (Member("ada", float("nan")), "JSON"),
    ],
)
def test_what_is_no_member_is_a_no(ask: Ask, member: Any, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """And says in the log what is wrong."""
    answer = ask(registry_with("presence-a.{x}", member), CLIENT, form("presence-a.1"), "ada")
    assert answer.status == 403
    assert fault in caplog.text


def test_a_missing_master_key_is_a_no(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """An operator's mistake is no 500 of a browser's request."""
    client = Sockudo("app", "key", "secret")
    answer = ask(registry_with("private-encrypted-{x}", True), client, form("private-encrypted-a"), "ada")
    assert answer.status == 403
    assert "master" in caplog.text.lower()


def test_a_channel_without_a_pattern_is_a_no(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """And one that two patterns match."""
    registry = registry_with("private-a.{x}", True)
    assert ask(registry, CLIENT, form("private-b.1"), "ada").status == 403
    assert "no pattern matches channel=private-b.1 user=ada" in caplog.text
    registry.add("private-{y}.1", lambda user, y: True)
    assert ask(registry, CLIENT, form("private-a.1"), "ada").status == 403
    assert "2 patterns match channel=private-a.1" in caplog.text


def test_a_plain_no_is_logged_at_debug(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """With pattern, function, channel and user: nothing else says which function it was."""
    caplog.set_level(logging.DEBUG, LOGGER)
    registry = registry_with("private-a.{x}", False)
    assert ask(registry, CLIENT, form("private-a.1"), {"id": "a\x1b[31m", "password": "hush"}).status == 403
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "said no pattern=private-a.{x} permission=" in caplog.text
    assert r"channel=private-a.1 user=a\x1b[31m" in caplog.text
    assert "hush" not in caplog.text
    assert "\x1b" not in caplog.text
    caplog.clear()
    assert ask(registry_with("private-a.{x}", True), CLIENT, form("private-a.1"), "ada").status == 200
    assert caplog.text == ""


def test_no_user_is_logged_at_debug(ask: Ask, sign: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """A page that posts without its token, and a user who may not sign in."""
    caplog.set_level(logging.DEBUG, LOGGER)
    assert ask(registry_with("private-a.{x}", True), CLIENT, form("private-a.1"), None).status == 401
    assert sign(CLIENT, b"socket_id=1.2", "ada", lambda user: None).status == 403
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, "denied: no user, or one who has not signed in user=none"),
        (logging.DEBUG, "sign-in refused: user_data said no user=ada"),
    ]


def test_patterns_are_logged_once_per_set(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """A channel that matches nothing: the reader sees what the endpoint knows, and each refusal has one line."""
    caplog.set_level(logging.INFO)

    def named() -> list[str]:
        return [one.getMessage() for one in caplog.records if one.levelno == logging.INFO]

    registry = Registry()
    ask(registry, CLIENT, form("private-b.1"), "ada")
    assert named() == ["permissions of this endpoint patterns=none"]
    registry.add("private-a.{x}", lambda user, x: True)
    for _ in range(3):
        ask(registry, CLIENT, form("private-b.1"), "ada")
    assert named()[1:] == ["permissions of this endpoint patterns=private-a.{x}"]
    for number in range(50):
        registry.add(f"presence-{number}.{{x}}", lambda user, x: True)
    ask(registry, CLIENT, form("private-b.1"), "ada")
    assert len(named()) == 3
    assert named()[2].endswith("presence-48.{x}, and 1 more")
    assert len(caplog.records) - len(named()) == 5


@dataclass
class FrameworkUser:
    """As of Django, Starlette and Flask-Login."""

    is_authenticated: bool
    pk: int = 7
    token: str = "hush"


@pytest.mark.parametrize("user", [None, FrameworkUser(is_authenticated=False)])
def test_no_user_is_401_unless_allowed(ask: Ask, user: object) -> None:
    """Then the function gets the user as it is."""
    registry, asked = Registry(), []
    registry.add("private-a.{x}", lambda user, x: asked.append(user) or True)
    answer = ask(registry, CLIENT, form("private-a.1"), user)
    assert (answer.status, answer.body, asked) == (401, {"error": "sign in first"}, [])
    assert ask(registry, CLIENT, form("private-a.1"), user, allow_anonymous=True).status == 200
    assert asked == [user]


def batch(*channels: str, style: str = "[{}]") -> bytes:
    fields = [("socket_id", "1.2"), *((f"channel_name{style.format(i)}", name) for i, name in enumerate(channels))]
    return urlencode(fields).encode()


@pytest.mark.parametrize("style", ["[{}]", "[]"])
def test_several_channels_in_one_request(ask: Ask, style: str) -> None:
    """As pusher-js-auth sends them: each channel has its own answer."""
    registry = registry_with("private-a.{x}", True)
    registry.add("private-encrypted-{x}", lambda user, x: False)
    channels = ("private-a.1", "private-encrypted-x", "nothing-private", "private-a.1", "private-b", "private-a.2")
    answer = ask(registry, CLIENT, batch(*channels, style=style), "ada")
    assert (answer.status, answer.body) == (
        200,
        {
            "private-a.1": {"status": 200, "data": CLIENT.authenticate("private-a.1", "1.2")},
            "private-encrypted-x": {"status": 403},
            "nothing-private": {"status": 400},
            "private-b": {"status": 403},
            "private-a.2": {"status": 200, "data": CLIENT.authenticate("private-a.2", "1.2")},
        },
    )


@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine"])
def test_a_slow_permission_is_a_no(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    """In the asynchronous world, of both kinds; the bound is of the whole request."""
    registry, release = Registry(), threading.Event()

    def wait(user: object, x: str) -> bool:
        return release.wait(60)

    async def sleep(user: object, x: str) -> bool:
        await asyncio.sleep(60)
        return True

    registry.add("private-a.{x}", sleep if is_async else wait)

    async def ask() -> tuple[Answer, float]:
        start = time.monotonic()
        answer = await authorize_async(registry, CLIENT, batch("private-a.1", "private-a.2"), "ada", timeout_s=0.2)
        took = time.monotonic() - start
        release.set()
        return answer, took

    answer, took_s = asyncio.run(ask())
    assert answer.body == {"private-a.1": {"status": 403}, "private-a.2": {"status": 403}}
    assert took_s < 20
    assert "too slow" in caplog.text


def test_a_slow_coroutine_is_a_no_for_sync_code(caplog: pytest.LogCaptureFixture) -> None:
    """Its loop is ours."""
    registry = Registry()

    async def sleep(user: object, x: str) -> bool:
        await asyncio.sleep(60)
        return True

    registry.add("private-a.{x}", sleep)
    assert authorize(registry, CLIENT, form("private-a.1"), "ada", timeout_s=0.1).status == 403
    assert "too slow" in caplog.text


def test_a_synchronous_permission_does_not_block_the_loop() -> None:
    """It runs in a thread: the loop sets what it waits for."""
    registry, told = Registry(), threading.Event()
    registry.add("private-a.{x}", lambda user, x: told.wait(30))

    async def ask() -> Answer:
        asyncio.get_running_loop().call_later(0.05, told.set)
        return await authorize_async(registry, CLIENT, form("private-a.1"), "ada", timeout_s=60)

    assert asyncio.run(ask()).status == 200


def test_sync_code_inside_of_a_loop_may_ask_coroutines() -> None:
    """A synchronous view that an ASGI server runs in the loop's own thread."""
    registry = registry_with("private-a.{x}", True, is_async=True)

    async def view() -> Answer:
        return authorize(registry, CLIENT, form("private-a.1"), "ada")

    assert asyncio.run(view()).status == 200


def test_coroutine_functions_in_disguise(ask: Ask) -> None:
    """Partials, instances and lambdas that return a coroutine are awaited, not taken for a yes."""

    async def no(user: object, x: str, extra: int = 0) -> bool:
        return False

    class Callable_:
        async def __call__(self, user: object, x: str) -> bool:
            return False

    for function in (functools.partial(no, extra=1), Callable_(), lambda user, x: no(user, x)):  # noqa: PLW0108
        registry = Registry()
        registry.add("private-a.{x}", function)
        assert ask(registry, CLIENT, form("private-a.1"), "ada").status == 403


def _sign_in(*args: Any) -> Answer:
    return sign_in(*args)


def _sign_in_async(*args: Any) -> Answer:
    return asyncio.run(sign_in_async(*args))


@pytest.fixture(params=[_sign_in, _sign_in_async], ids=["sync", "async"])
def sign(request: pytest.FixtureRequest) -> Ask:
    twin: Ask = request.param
    return twin


@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine"])
def test_users_sign_in(sign: Ask, is_async: bool) -> None:
    """With the data of the session's user, whatever the form says."""

    async def later(user: Any) -> Any:
        return {"id": user["id"], "watchlist": ["bob"]}

    def now(user: Any) -> Any:
        return {"id": user["id"], "watchlist": ["bob"]}

    answer = sign(CLIENT, b"socket_id=1.2&id=bob", {"id": 7}, later if is_async else now)
    assert (answer.status, answer.body) == (
        200,
        CLIENT.authenticate_user("1.2", {"id": "7", "watchlist": ["bob"]}),
    )


@pytest.mark.parametrize(
    ("answer", "status", "logged"),
    [
        (None, 403, ""),
        (False, 403, ""),
        ({}, 403, "user_data.id: missing"),
        ("ada", 403, "user_data: a str"),
        ({"id": ""}, 403, "user_data.id: empty"),
        (ZeroDivisionError("secret text"), 403, "error=ZeroDivisionError"),
    ],
)
def test_sign_ins_that_are_refused(
    sign: Ask, answer: Any, status: int, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Never a 500."""

    def user_data(user: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert sign(CLIENT, b"socket_id=1.2", "ada", user_data).status == status
    assert logged in caplog.text
    assert sign(CLIENT, b"socket_id=1.2", None, user_data).status == 401


def test_the_twins_have_the_same_parameters() -> None:
    """Except for the function that runs the other world."""
    for one, other in ((authorize, authorize_async), (sign_in, sign_in_async)):
        names = [list(inspect.signature(function).parameters) for function in (one, other)]
        assert [name for name in names[0] if name != "call_async"] == [name for name in names[1] if name != "call_sync"]
