"""docs/cookbook.md: its JavaScript in Chromium, then its Python, and what the page shows, recipe by recipe."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, send_from_directory

from sockudo_publisher import Sockudo, configure
from sockudo_publisher.contrib.flask import FlaskSockudo, Member, Registry, blueprint
from sockudo_publisher.dev.embedded import RedisServer, SockudoApp, SockudoServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.browser import Browser, chromium, open_tab
from tests.support.parts import need
from tests.support.pusher_js import pusher_js_modules
from tests.support.stack import DEDUP_TTL_S, Stack
from tests.support.warm import start_python
from tests.support.web_apps import serve_wsgi

__all__ = ["chromium"]

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cookbook.md").read_text()
HEAD, *RECIPES, WEBHOOKS = re.split(r"^## ", PAGE, flags=re.M)

HTML = """<!doctype html><meta charset=utf-8><title>Cookbook</title><link rel=icon href="data:,">
<p id=bell></p><progress id=bar max=100 value=0></progress><p id=table></p><pre id=chat></pre><p id=people></p>
<p id=eur></p><p id=invoice></p><p id=mails></p><script src="/vendor/pusher.min.js"></script>"""

#: Each recipe: what the page has to show in the end, as text or as the value of an expression.
SHOWN: dict[str, list[str]] = {
    "Notify a user": ["#bell = Your invoice is ready"],
    "Progress bar": ["document.querySelector('#bar').value === 100"],
    "Live table": ["#table = tea 11, pot 4"],
    "Chat": ["#chat = bob: Tea?\n", "#people = 1 here"],
    "Prices": ["#eur = 1.09"],
    "Fan-out": [],
    "After the commit": ["#invoice = 7 is paid"],
    "Undo": ["#mails = 1"],
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def application() -> Flask:
    """The reader's application: the page, the rows, who may subscribe, and user 42."""
    permissions = Registry()

    @permissions.channel("private-job.{job}", "presence-room.{room}")
    def may_join(user: str, **_: Any) -> Member:
        return Member(user, {"name": user})

    app = Flask(__name__)
    sockudo = FlaskSockudo(permissions, user=lambda: "42", user_data=lambda user: {"id": user})
    sockudo.init_app(app, url_prefix="/pusher")
    app.add_url_rule("/", "page", lambda: HTML)
    rows = [{"id": "tea", "version": 2, "left": 12}, {"id": "pot", "version": 1, "left": 4}]
    app.add_url_rule("/rows", "rows", lambda: rows)
    vendor = pusher_js_modules() / "pusher-js" / "dist" / "web"
    app.add_url_rule("/vendor/<name>", "vendor", lambda name: send_from_directory(vendor, name))
    return app


@pytest.fixture(scope="session")
def sockudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """The tests' server, with an app whose users may sign in."""
    need("sockudo")
    app = SockudoApp("cookbook", "cookbook-key", policy={"features": {"enable_user_authentication": True}})
    with SockudoServer(tmp_path_factory.mktemp("cookbook"), (app,), dedup_ttl_s=DEDUP_TTL_S) as server:
        yield server


@pytest.fixture(scope="module")
def python() -> dict[str, Any]:
    """What the page's Python has defined so far."""
    return {"__name__": "cookbook"}


@pytest.fixture(scope="module")
def kitchen(
    redis_server: RedisServer,
    sockudo: SockudoServer,
    chromium: str,
    tmp_path_factory: pytest.TempPathFactory,
    python: dict[str, Any],
) -> Iterator[Browser]:
    """An open page with the head's JavaScript, and a worker: the reader's, who goes from recipe to recipe."""
    directory = tmp_path_factory.mktemp("kitchen")
    with ExitStack() as ends:
        ends.callback(configure)  # when the variables are as they were
        here = ends.enter_context(pytest.MonkeyPatch.context())
        stack = Stack(redis_server, sockudo, directory, ends)
        stack.redis.flushall()
        for name in [name for name in os.environ if name.startswith("SOCKUDO_") and name != "SOCKUDO_BIN"]:
            here.delenv(name)
        for name, value in stack.environ.items():
            here.setenv(name, value)
        configure()
        here.chdir(directory)
        stack.worker()
        tab = ends.enter_context(open_tab(chromium))
        tab.call("Network.clearBrowserCookies")
        tab.open(ends.enter_context(serve_wsgi(application())))
        (head,) = blocks(HEAD, "js")
        port = re.search(r":(\d+)/", stack.server.url)
        assert port
        head = head.replace("6001", port[1]).replace("app-key", stack.server.apps[0].key)
        tab.call("Runtime.evaluate", expression=head, replMode=True)
        tab.wait_for("pusher.connection.state === 'connected'")
        exec(compile(blocks(HEAD, "python")[0], "cookbook.md", "exec"), python)
        yield tab


@pytest.mark.parametrize("recipe", RECIPES, ids=[text.partition("\n")[0] for text in RECIPES])
def test_recipe_does_what_it_says(kitchen: Browser, recipe: str, python: dict[str, Any]) -> None:
    """Subscribed first, then published: the page shows the result, and nothing is published twice."""
    for block in blocks(recipe, "js"):
        kitchen.call("Runtime.evaluate", expression=block, replMode=True)
    kitchen.wait_for("pusher.allChannels().every((one) => one.subscribed)")
    if "signin" in recipe:
        kitchen.wait_for("pusher.user.user_data?.id === '42'", 30)
    for block in blocks(recipe, "python"):
        exec(compile(block, "cookbook.md", "exec"), python)
    for expected in SHOWN[recipe.partition("\n")[0]]:
        selector, is_text, text = expected.partition(" = ")
        element = f"document.querySelector('{selector}')?.textContent"
        kitchen.wait_for(f"{element} === {text!r}" if is_text else expected)
    assert kitchen.complaints == []


def test_webhooks_arrive_in_development() -> None:
    """The last section: its command with this test's ports, and its handlers in an application."""
    (command,) = blocks(WEBHOOKS, "sh")
    module: dict[str, Any] = {}
    exec(compile(blocks(WEBHOOKS, "python")[0], "cookbook.md", "exec"), module)
    app = Flask(__name__)
    made = blueprint(Registry(), webhooks=module["webhooks"], client=Sockudo("app-id", "app-key", "app-secret"))
    app.register_blueprint(made, url_prefix="/pusher")
    with serve_wsgi(app) as url:
        command = command.replace("http://127.0.0.1:8000", url).replace("--redis", "--port 0 --json")
        program, *arguments = command.split()
        assert program == "sockudo-publisher"
        env = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
        server = start_python(["-m", "sockudo_publisher.cli", *arguments], env=env, stdout=subprocess.PIPE)
        try:
            assert server.stdout
            port = json.loads(server.stdout.readline())["port"]
            with Subscriber(f"ws://127.0.0.1:{port}/app/app-key?protocol=7", "stock"):
                assert wait_for(lambda: module["occupied"] == {"stock"}, 30)
            assert wait_for(lambda: module["occupied"] == set(), 30)
        finally:
            server.terminate()
            server.communicate(timeout=30)


def test_every_recipe_is_known() -> None:
    """Eight jobs, each with its result, and webhooks."""
    assert [text.partition("\n")[0] for text in RECIPES] == list(SHOWN)
    known = len(blocks(PAGE, "js")) + len(blocks(PAGE, "python")) + len(blocks(WEBHOOKS, "sh"))
    assert len(re.findall("^```", PAGE, re.M)) == 2 * known
