"""docs/operate/rotation.md, Master key: the key changes, and pusher-js reads every event, once and in order."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sockudo_publisher import Sockudo, configure, operations, publish
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.auth_endpoint import AuthEndpoint
from tests.support.pusher_js import pusher_js_modules
from tests.support.pusher_page import Page
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

LONG_S = 60.0
OLD, NEW = (base64.b64encode(name * 32).decode() for name in (b"o", b"n"))


class Application:
    """One that publishes to an encrypted channel and authorizes its subscribers: a version with one master key."""

    def __init__(self, stack: Stack, ends: ExitStack) -> None:
        self._stack, self._ends = stack, ends
        self.channel = f"private-encrypted-{stack.unique}"
        self.endpoint: AuthEndpoint | None = None
        self.start(OLD)
        assert self.endpoint is not None

    def start(self, master_key: str) -> None:
        """The version with this key, in place of the other one."""
        settings = {"url": self._stack.server.url, "redis_url": self._stack.redis_server.url}
        configure(**settings, encryption_master_key_base64=master_key)
        client = Sockudo.from_url(self._stack.server.url, encryption_master_key_base64=master_key)
        self._ends.callback(client.close)
        if self.endpoint is None:
            self.endpoint = self._ends.enter_context(AuthEndpoint(client))
        else:
            self.endpoint.client = client

    def publish(self, *numbers: int) -> None:
        for number in numbers:
            publish.delay(self.channel, "n", {"n": number})

    def page(self) -> Page:
        """A page that has subscribed."""
        assert self.endpoint is not None
        app = self._stack.server.apps[0]
        wish: dict[str, Any] = {"token": "token-of-ada", "key": app.key, "port": self._stack.server.port}
        page = self._ends.enter_context(
            Page(pusher_js_modules(), channels=[self.channel], auth=self.endpoint.url, **wish)
        )
        page.wait_for("subscribed", 1)
        return page

    def seen(self, page: Page) -> list[int]:
        return [line["data"]["n"] for line in page.said if line.get("channel") == self.channel and "event" in line]


@pytest.fixture
def application(stack: Stack) -> Iterator[Application]:
    with ExitStack() as ends:
        yield Application(stack, ends)


def test_master_key_changes_without_a_loss(stack: Stack, application: Application) -> None:
    """The page's steps: stop publishing, wait until nothing waits, start the version with the new key."""
    page = application.page()
    worker = stack.worker()
    application.publish(0, 1, 2)
    page.events(3)
    worker.stop()
    application.publish(3, 4)  # a backlog under the old key
    worker = stack.worker()
    operations.wait_until_empty(LONG_S)
    application.start(NEW)
    application.publish(5, 6, 7)
    page.events(8)
    later = application.page()
    application.publish(8)
    later.events(1)
    page.events(9)
    seen = application.seen(page)
    assert (seen[:5], seen[8:]) == ([0, 1, 2, 3, 4], [8]), worker.log_tail()
    assert sorted(seen[5:8]) == [5, 6, 7], "these came while pusher-js asked: once, in the order of the answers"
    assert application.seen(later) == [8]
    assert application.endpoint is not None
    # At each page's subscription, and for each event that came before the first answer with the new key.
    assert 3 <= len(application.endpoint.channels()) <= 5


def test_backlog_of_the_old_key_is_not_read_after_the_new_one(stack: Stack, application: Application) -> None:
    """What the step `wait-empty` is for: the page had the new key when the old backlog came."""
    application.publish(0)  # waits: no worker runs yet
    application.start(NEW)
    page = application.page()
    stack.worker()
    application.publish(1)
    page.events(1)
    assert application.seen(page) == [1]
    assert application.endpoint is not None
    # pusher-js has asked for another key, got the new one again, and dropped the event.
    assert wait_for(lambda: len(application.endpoint.channels()) == 2, LONG_S)


def test_scheduled_event_keeps_the_key_of_its_call(stack: Stack, application: Application) -> None:
    """So it is taken back and published again, which the page says; its key is free then."""
    event = ((application.channel, "n", {"n": 0}), {"key": "reminder"})
    publish.apply_async(*event, countdown=600)
    application.start(NEW)
    assert operations.cancel("reminder").is_cancelled
    publish.apply_async(*event, countdown=0.5)
    page = application.page()
    stack.worker()
    page.events(1)
    assert application.seen(page) == [0]
    assert application.endpoint is not None
    assert application.endpoint.channels() == [application.channel], "the first key opened it"
