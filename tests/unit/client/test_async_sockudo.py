"""`AsyncSockudo` is `Sockudo` in coroutines: the same methods, arguments, options and errors."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from sockudo_publisher import AsyncSockudo, ConfigurationError, Sockudo, ValidationError
from sockudo_publisher.client.async_sockudo import ClientOptions

pytestmark = pytest.mark.unit


def public_methods(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")}


def test_every_method_of_the_client_is_there() -> None:
    """A method that is added to `Sockudo` fails here until it is added to `AsyncSockudo`."""
    assert public_methods(AsyncSockudo).keys() - {"aclose"} == public_methods(Sockudo).keys()


@pytest.mark.parametrize("name", sorted(public_methods(Sockudo).keys() - {"from_url", "from_env", "from_setting"}))
def test_method_has_the_arguments_of_the_client(name: str) -> None:
    ours, theirs = public_methods(AsyncSockudo)[name], public_methods(Sockudo)[name]
    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters
    assert ours.__name__ == theirs.__name__, "an alias is of the same method"
    assert inspect.iscoroutinefunction(ours) != name.startswith("iter_")
    assert ours.__doc__


def test_options_are_those_of_the_client() -> None:
    by_position = {"self", "app_id", "key", "secret"}
    assert (
        set(ClientOptions.__annotations__) - {"max_concurrency"}
        == set(inspect.signature(Sockudo.__init__).parameters) - by_position
    )


def test_constructors_make_the_same_client(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://key:secret@127.0.0.1:6001/apps/app"
    monkeypatch.setenv("SOCKUDO_URL", url)
    clients = [
        AsyncSockudo("app", "key", "secret", host="127.0.0.1", port=6001),
        AsyncSockudo.from_url(url, max_concurrency=2),
        AsyncSockudo.from_env(timeout=3.0),
        AsyncSockudo.from_setting("SOCKUDO_URL", url),
    ]
    assert {repr(client) for client in clients} == {"AsyncSockudo(app_id='app', 'http://127.0.0.1:6001')"}

    class Own(AsyncSockudo):
        pass

    assert type(Own.from_env()) is Own


@pytest.mark.parametrize("threads", [0, -1, 1001, True, "32", None, 2.0])
def test_wrong_concurrency_is_refused(threads: object) -> None:
    with pytest.raises(ConfigurationError, match="max_concurrency: expected a whole number from 1 to 1000"):
        AsyncSockudo("app", "key", "secret", max_concurrency=threads)


def test_wrong_options_raise_as_in_the_client() -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        AsyncSockudo("app", "key", "secret", timeout=-1)
    with pytest.raises(TypeError):
        AsyncSockudo("app", "key", "secret", unknown=1)
    with pytest.raises(ConfigurationError, match="MY_URL: not set"):
        AsyncSockudo.from_env("MY_URL")


def test_authentication_runs_in_the_loop() -> None:
    """It makes no request, so it never waits behind calls that do."""
    client, sync = AsyncSockudo("app", "key", "secret"), Sockudo("app", "key", "secret")

    async def sign() -> None:
        assert await client.authenticate("private-c", "1.2") == sync.authenticate("private-c", "1.2")
        assert await client.validate_webhook("key", "wrong", b"{}") is None

    before = threading.active_count()
    asyncio.run(sign())
    assert threading.active_count() == before


def test_bad_arguments_raise_the_errors_of_the_client() -> None:
    async def call() -> None:
        async with AsyncSockudo("app", "key", "secret") as client:
            with pytest.raises(ValidationError, match="channel"):
                await client.trigger("", "e", 1)
            with pytest.raises(ValidationError):
                client.iter_channel_history("c", limit=0)  # before the first page, as in the client

    asyncio.run(call())
