"""examples/migrated-pusher: the same poll with both packages, and what differs where its README says."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer, free_port
from tests.support.browser import Browser, browser, chromium
from tests.support.example_app import EXAMPLES, ExampleApp, copy_example
from tests.support.parts import need
from tests.support.stack import DEDUP_TTL_S, Stack
from tests.support.web_apps import send

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration

EXAMPLE = EXAMPLES / "migrated-pusher"
COUNTS = "[...document.querySelectorAll('#options b')].map((one) => one.textContent).join()"


@pytest.fixture(scope="session")
def sockudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """The tests' server, with an app whose id is a number: `pusher` takes no other."""
    need("sockudo")
    app = SockudoApp("4711", "poll-key")
    with SockudoServer(tmp_path_factory.mktemp("poll"), (app,), dedup_ttl_s=DEDUP_TTL_S) as server:
        yield server


@pytest.fixture
def start(stack: Stack, tmp_path: Path) -> Iterator[object]:
    """`start("after", **env)`: the program of that name, running."""
    need("node")
    directory = copy_example("migrated-pusher", tmp_path)
    with ExitStack() as running:

        def start(name: str, **env: str) -> ExampleApp:
            """`url` answers when it returns."""
            app = ExampleApp(directory, ["flask", "--app", name, "run"], {**stack.python(), **env})
            return running.enter_context(app)

        yield start


def vote(app: ExampleApp, option: str = "Coffee") -> int:
    cookie = send(app.url + "/")[2]["Set-Cookie"].partition(";")[0]
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    return send(f"{app.url}/vote", f"option={option}".encode(), headers)[0]


def test_the_shown_change_is_the_whole_change() -> None:
    """The README's diff is that of the two files."""
    before, after = ((EXAMPLE / name).read_text().splitlines(keepends=True) for name in ("before.py", "after.py"))
    change = "".join(difflib.unified_diff(before, after, "before.py", "after.py", n=1))
    assert re.findall(r"^```diff\n(.*?)^```", (EXAMPLE / "README.md").read_text(), re.M | re.S) == [change]


@pytest.mark.parametrize("program", ["before", "after"])
def test_votes_arrive_with_both_programs(start, stack: Stack, browser: Browser, program: str) -> None:
    """The page, its presence channel and the bars; `/watching` with this package alone."""
    need("browser")
    if program == "after":
        stack.worker()
    app = start(program)
    browser.open(app.url)
    browser.wait_for("document.querySelector('#watching').textContent === '1 watching'")
    browser.evaluate("document.querySelector('#options button').click()")
    browser.wait_for(f"{COUNTS} === '1,0,0'")
    assert vote(app) == vote(app) == 200
    browser.wait_for(f"{COUNTS} === '1,0,2'")
    assert vote(app, "Beer") == 400
    (app.log.parent / "poll.png").write_bytes(base64.b64decode(browser.call("Page.captureScreenshot")["data"]))
    status, answer, _ = send(f"{app.url}/watching")
    assert (status, answer) == (200, {"users": 1}) if program == "after" else status == 500
    assert browser.complaints == []


def test_a_vote_without_sockudo(start, stack: Stack) -> None:
    """It fails as it was, and is stored as it is now."""
    away = f"http://app-key:app-secret@127.0.0.1:{free_port()}/apps/4711"
    assert vote(start("before", SOCKUDO_URL=away)) == 500
    assert vote(start("after", SOCKUDO_URL=away)) == 200
