"""Errors of coroutines and generators carry no local variables, and these functions stay what they are."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from sockudo_publisher import AsyncSockudo, Publish, Sockudo, apublish_many, publish
from sockudo_publisher.client.api import history
from sockudo_publisher.config import settings as settings_module
from sockudo_publisher.config.settings import configure
from sockudo_publisher.redaction.frame_locals import clear_locals, without_locals
from sockudo_publisher.testing import capture_published, sign_webhook
from tests.support.frames import assert_hidden, error_of, errors_in_chain, find_in_frames

pytestmark = pytest.mark.unit

SECRET = "S3CRETS3CRET"
PAYLOAD = "not-for-the-tracker"
URL = f"http://key:{SECRET}@127.0.0.1:9/apps/a"


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Neither Redis nor a server answers."""
    project = settings_module._project
    configure(url=URL, redis_url=f"redis://user:{SECRET}@127.0.0.1:9/0")
    yield
    settings_module._project = project
    configure()


async def _asynchronous(*events: Any) -> AsyncIterator[Any]:
    for event in events:
        yield event


async def _cancelled() -> None:
    task = asyncio.ensure_future(publish.adelay("c", "e", PAYLOAD))
    await asyncio.sleep(0)
    task.cancel()
    await task


PUBLISHING: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "no Redis": lambda: publish.adelay("c", "e", PAYLOAD),
    "no Redis, with a key": lambda: publish.adelay(["c", "d"], "e", PAYLOAD, key="k"),
    "bad channel": lambda: publish.adelay("", "e", PAYLOAD),
    "too large": lambda: publish.adelay("c", "e", PAYLOAD * 1000),
    "no JSON": lambda: publish.adelay("c", "e", {"card": PAYLOAD, "x": object()}),
    "cancelled": _cancelled,
    "bulk": lambda: apublish_many([("c", "e", PAYLOAD)] * 3),
    "bulk of a bad event": lambda: apublish_many([("", "e", PAYLOAD)]),
    "bulk of an asynchronous iterable": lambda: apublish_many(_asynchronous(("c", "e", PAYLOAD), ("", "e", PAYLOAD))),
    "bulk with bad progress": lambda: apublish_many([("c", "e", PAYLOAD)], progress=_cancelled),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", PUBLISHING.values(), ids=PUBLISHING)
def test_failed_coroutine_shows_nothing(call):
    """By every way to publish, in every frame."""
    assert_hidden(error_of(lambda: asyncio.run(call())), SECRET, PAYLOAD)


CLIENT: dict[str, Callable[[AsyncSockudo], Coroutine[Any, Any, Any]]] = {
    "trigger": lambda client: client.trigger("c", "e", PAYLOAD),
    "bad trigger": lambda client: client.trigger("", "e", PAYLOAD),
    "batch": lambda client: client.trigger_batch([("c", "e", PAYLOAD)]),
    "by hand": lambda client: client.send("POST", "/events", body=PAYLOAD.encode()),
    "member": lambda client: client.authenticate("public", "1.1", {"x": PAYLOAD}),
    "webhook": lambda client: client.webhook(
        {"X-Pusher-Key": "key", "X-Pusher-Signature": "0" * 64}, PAYLOAD.encode(), credentials=[("key", SECRET)]
    ),
}


@pytest.mark.parametrize("call", CLIENT.values(), ids=CLIENT)
def test_failed_call_of_the_async_client_shows_nothing(call):
    """In a thread, or at once in the loop."""

    async def run() -> None:
        async with AsyncSockudo.from_url(URL, retries=None) as client:
            await call(client)

    error = error_of(lambda: asyncio.run(run()))
    assert_hidden(error, SECRET, PAYLOAD, "auth_signature")


@pytest.mark.parametrize(
    "make",
    [
        lambda: AsyncSockudo("a", "k", SECRET, port="x"),  # type: ignore[arg-type]
        lambda: AsyncSockudo("a", "k", SECRET, max_concurrency=0),
        lambda: AsyncSockudo("a", "k", SECRET, unknown=1),  # type: ignore[call-arg]
        lambda: AsyncSockudo.from_url(f"http://key:{SECRET}@127.0.0.1:x/apps/a"),
        lambda: AsyncSockudo.from_setting("x", f"http://key:{SECRET}@127.0.0.1:x/apps/a"),
    ],
)
def test_wrong_argument_of_the_async_client_shows_nothing(make):
    """By every constructor."""
    assert_hidden(error_of(make), SECRET)


def test_failed_page_shows_no_page(monkeypatch):
    """The frames of an iteration held the page before the one that failed."""

    def fetch(query: Any) -> dict[str, Any]:
        if "cursor" in query:
            raise LookupError
        return {"items": [{"message": PAYLOAD}], "next_cursor": "2"}

    assert_hidden(error_of(lambda: [None for _ in history.every_item(fetch, {})]), PAYLOAD)
    monkeypatch.setattr(
        AsyncSockudo, "_of_test", lambda self: self._iterate(history.every_item(fetch, {})), raising=False
    )

    async def run() -> None:
        client: Any = AsyncSockudo.from_url(URL)
        items = client._of_test()
        assert await items.__anext__()
        await items.__anext__()

    assert_hidden(error_of(lambda: asyncio.run(run())), PAYLOAD)


def test_recorded_call_shows_nothing():
    """The recorder runs the same code, and `--showlocals` prints variables into the log of a build."""
    with capture_published():
        assert not find_in_frames(error_of(lambda: publish.delay("", "e", PAYLOAD)), [PAYLOAD])
        assert not find_in_frames(error_of(lambda: asyncio.run(publish.adelay("", "e", PAYLOAD))), [PAYLOAD])
    assert_hidden(error_of(lambda: sign_webhook([{"x": PAYLOAD}], key="k", secret=SECRET)), PAYLOAD, SECRET)


def test_functions_stay_what_they_are():
    """Coroutine functions, generator functions and their signatures."""
    assert inspect.iscoroutinefunction(publish.adelay)
    assert inspect.iscoroutinefunction(apublish_many)
    assert inspect.iscoroutinefunction(AsyncSockudo.trigger)
    assert inspect.isgeneratorfunction(history._every_page)
    assert list(inspect.signature(publish.adelay).parameters)[:3] == ["channel", "event", "data"]
    assert inspect.signature(AsyncSockudo.trigger) == inspect.signature(Sockudo.trigger)
    assert Publish.adelay.__doc__


def test_generator_passes_everything_on():
    """What is sent, thrown, returned and closed."""
    ended = []

    @without_locals
    def give() -> Iterator[Any]:
        try:
            got = yield 1
            with pytest.raises(KeyError):
                yield got
            yield 3
            return 4
        finally:
            ended.append(True)

    given: Any = give()
    assert next(given) == 1
    assert given.send("sent") == "sent"
    assert given.throw(KeyError("thrown")) == 3
    with pytest.raises(StopIteration) as end:
        next(given)
    assert end.value.value == 4
    given = give()
    next(given)
    given.close()
    assert ended == [True, True]


def test_coroutine_keeps_the_error_that_its_caller_handles():
    """It is the context, with its frames; afterwards nothing is being handled."""

    async def run() -> BaseException:
        try:
            kept = "kept"
            raise LookupError(kept)
        except LookupError:
            try:
                await publish.adelay("", "e", PAYLOAD)
            except Exception as error:
                return error
        raise AssertionError

    error = asyncio.run(run())
    earlier = errors_in_chain(error)[-1]
    assert isinstance(earlier, LookupError)
    assert earlier.__traceback__ is not None
    assert earlier.__traceback__.tb_frame.f_code.co_name == "run"
    assert sys.exc_info() == (None, None, None)


class Group(Exception):
    """Before Python 3.11, a group is a library's class with the same attribute."""

    def __init__(self, text: str, exceptions: list[Exception]) -> None:
        super().__init__(text)
        self.exceptions = tuple(exceptions)


@pytest.mark.parametrize("group", [getattr(builtins, "ExceptionGroup", Group), Group])
def test_errors_of_a_group_are_cleared(group: Any):
    """A task group raises them."""

    @without_locals
    def inner(secret: str) -> None:
        try:
            int(secret[:0])
        except ValueError as error:
            raise group("several", [error]) from None

    error = error_of(lambda: inner(SECRET))
    assert_hidden(error, SECRET)
    clear_locals(error)


def test_refused_insert_of_the_outbox_shows_nothing():
    """SQLAlchemy's error has the parameters in its text, in an attribute and in its frames."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.orm import Session

    from sockudo_publisher.outbox.sqlalchemy import Outbox

    outbox = Outbox(sqlalchemy.MetaData())  # its table is not created
    with Session(sqlalchemy.create_engine("sqlite://")) as session:
        error: Any = error_of(lambda: outbox.add(session, "c", "e", PAYLOAD))
    assert "no such table" in str(error)
    assert error.params is None
    assert "parameters" not in str(error)
    assert_hidden(error, PAYLOAD)
