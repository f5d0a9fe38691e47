"""examples/fastapi-chat as its README starts it: two people, a list of members, an encrypted room, in Chromium."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, browser, chromium
from tests.support.example_app import ExampleApp, copy_example
from tests.support.parts import need
from tests.support.stack import Stack
from tests.support.web_apps import send

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration

MASTER_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def chat(stack: Stack, tmp_path: Path) -> Iterator[ExampleApp]:
    """The running application, with a worker."""
    need("browser")
    need("node")
    key = {"SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64": MASTER_KEY}
    stack.worker(env=key)
    directory = copy_example("fastapi-chat", tmp_path)
    with ExampleApp(directory, ["uvicorn", "app:app"], {**stack.python(), **key}) as app:
        yield app


class Person:
    """Without a browser: the session's cookie, and requests."""

    def __init__(self, app: ExampleApp, name: str) -> None:
        self._url, self._cookie = app.url, ""
        self.post("/sign-in", {"name": name})

    def post(self, path: str, body: dict[str, Any]) -> int:
        headers = {"Content-Type": "application/json", "Cookie": self._cookie}
        status, _, answered = send(self._url + path, json.dumps(body).encode(), headers)
        if cookie := answered["Set-Cookie"]:
            self._cookie = cookie.partition(";")[0]
        return status

    def write(self, room: str, text: str, message_id: str | None = None) -> int:
        return self.post(f"/rooms/{room}/messages", {"id": message_id or str(uuid.uuid4()), "text": text})

    def may_join(self, channel: str) -> int:
        form = f"socket_id=1.2&channel_name={channel}".encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self._cookie}
        return send(self._url + "/pusher/auth", form, headers)[0]


def sign_in(tab: Browser, app: ExampleApp, name: str) -> None:
    tab.open(app.url)
    tab.evaluate(f"document.querySelector('#door input').value = {name!r}")
    tab.evaluate("document.querySelector('#door form').requestSubmit()")
    tab.wait_for(f"document.querySelector('#members')?.innerText.includes('{name} (you)')")


def texts(tab: Browser) -> list[str]:
    found: list[str] = tab.evaluate("[...document.querySelectorAll('#messages li')].map((one) => one.lastChild.data)")
    return found


def test_people_talk_in_rooms(chat: ExampleApp, browser: Browser) -> None:
    """Each message once and in order, on the page too; the encrypted room after its password alone."""
    sign_in(browser, chat, "Ada")
    bob = Person(chat, "Bob")
    assert bob.write("lobby", "hello", same := str(uuid.uuid4())) == 202
    assert bob.write("lobby", "hello", same) == 202
    for number in range(5):
        assert bob.write("lobby", f"line {number} <b>") == 202
    browser.wait_for("document.querySelectorAll('#messages li').length >= 6")
    assert texts(browser) == ["hello", *(f"line {number} <b>" for number in range(5))]

    browser.evaluate("document.querySelector('#write input').value = 'my own'")
    browser.evaluate("document.querySelector('#write').requestSubmit()")
    browser.wait_for("document.querySelector('#messages li.own')?.lastChild.data === 'my own'")

    browser.evaluate("document.querySelector('[data-room=vault]').click()")
    browser.wait_for("document.querySelector('#lock').open")
    browser.evaluate("document.querySelector('#lock input').value = 'open sesame'")
    browser.evaluate("document.querySelector('#lock form').requestSubmit()")
    browser.wait_for("document.querySelector('#members').innerText.includes('Ada') && room === 'vault'")
    channel = "pusher.channel('private-encrypted-room.vault')"
    browser.wait_for(f"{channel}?.subscribed")
    assert bob.write("vault", "psst") == 403
    assert bob.may_join("private-encrypted-room.vault") == bob.may_join("presence-room.vault") == 403
    assert bob.post("/password", {"password": "guess"}) == 403
    assert bob.post("/password", {"password": "open sesame"}) == 200
    assert bob.may_join("private-encrypted-room.vault") == 200
    assert bob.write("vault", "psst") == 202
    browser.wait_for("document.querySelector('#messages li')?.lastChild.data === 'psst'")
    assert [line for line in browser.complaints if "403" not in line] == []


def test_strangers_are_refused(chat: ExampleApp) -> None:
    """No session, no room of that name, no message without text."""
    form = b"socket_id=1.2&channel_name=presence-room.lobby"
    assert send(chat.url + "/pusher/auth", form)[0] == 401
    bob = Person(chat, "Bob")
    assert bob.may_join("presence-room.lobby") == 200
    assert bob.may_join("presence-room.attic") == 403
    assert bob.write("lobby", "") == 422
    assert bob.write("attic", "x") == 403
