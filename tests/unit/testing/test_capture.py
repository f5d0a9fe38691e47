"""`capture_published()` as a block, a decorator, in unittest and with asyncio; its end; forks."""

from __future__ import annotations

import asyncio
import os
import unittest

import pytest

from sockudo_publisher import publish
from sockudo_publisher.client.http.calls import Calls
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.testing import Published, capture_published

pytestmark = pytest.mark.unit


@capture_published()
def test_decorated_function_gets_the_recorder(published: Published) -> None:
    publish.delay("a", "e", 1)
    published.assert_one("a")


@capture_published()
class TestDecoratedClass(unittest.TestCase):
    def test_with_recorder(self, published: Published) -> None:
        publish.delay("a", "e", 1)
        published.assert_one("a")

    @capture_published(immediate_on_commit=True)
    def test_with_its_own(self, published: Published) -> None:
        assert published.immediate_on_commit

    def test_without_recorder(self) -> None:
        publish.delay("a", "e", 1)


class TestInUnittest(unittest.TestCase):
    def setUp(self) -> None:
        capture = capture_published()
        self.published = capture.__enter__()
        self.addCleanup(capture.__exit__, None, None, None)

    def test_records(self) -> None:
        publish.delay("a", "e", 1)
        self.published.assert_one("a", "e", data=1)


def test_coroutine_functions_are_decorated() -> None:
    @capture_published()
    async def test(published: Published) -> int:
        await asyncio.sleep(0)
        publish.delay("a", "e", 1)
        return len(published.events)

    assert asyncio.run(test()) == 1


def test_everything_is_put_back() -> None:
    before = dict(vars(Producer)), dict(vars(Calls)), dict(vars(type(publish)))

    @capture_published()
    def fail() -> None:
        assert vars(Producer)["append"] is not before[0]["append"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (dict(vars(Producer)), dict(vars(Calls)), dict(vars(type(publish)))) == before
    with capture_published() as published:  # another one may begin
        publish.delay("a", "e", 1)
    published.assert_one("a")


def test_a_forked_process_is_refused_and_counted() -> None:
    with capture_published() as published:
        child = os.fork()
        if child == 0:
            try:
                publish.delay("a", "e", 1)
            except RuntimeError as error:
                os._exit(7 if "forked under a recorder" in str(error) else 8)
            os._exit(9)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        with pytest.raises(AssertionError, match="1 calls came from processes forked"):
            published.assert_one("a")
