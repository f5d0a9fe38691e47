"""examples/flask-bell as its README starts it: a task of its own Celery app moves a bar and rings the bell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded import RedisServer
from tests.support.browser import Browser, browser, chromium
from tests.support.celery_worker import ForeignWorker
from tests.support.example_app import ExampleApp, copy_example
from tests.support.parts import need
from tests.support.stack import Stack
from tests.support.web_apps import send

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration


@pytest.fixture
def bell(stack: Stack, tmp_path: Path) -> Iterator[ExampleApp]:
    """The running application, its own broker and worker, and a worker that delivers."""
    need("browser")
    need("node")
    stack.worker()
    directory = copy_example("flask-bell", tmp_path)
    with RedisServer(tmp_path / "their-broker", appendonly=False) as broker:
        env = {**stack.python(), "BELL_BROKER": broker.url, "BELL_STEP_S": "0.05"}
        with (
            ForeignWorker("tasks", "bell", env, tmp_path, directory),
            ExampleApp(directory, ["flask", "--app", "app:create_app", "run"], env) as app,
        ):
            yield app


def test_the_bell_rings_at_the_end(bell: ExampleApp, browser: Browser) -> None:
    """The bar moves in steps that never go back, and ends before the bell rings."""
    browser.open(bell.url)
    browser.wait_for("document.body.dataset.ready")
    browser.evaluate("""
        window.seen = [];
        mutations = new MutationObserver(() => seen.push(document.querySelector('#exports progress')?.value ?? 0));
        mutations.observe(document.querySelector('main'), { subtree: true, childList: true, attributes: true });
        document.querySelector('.start').click()
    """)
    browser.wait_for("document.querySelector('#bell b').textContent === '1'")
    assert browser.text("#exports li.ready em") == "Your export is ready."
    seen = browser.evaluate("seen")
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    assert seen[-1] == 100
    assert browser.complaints == []


def test_a_user_s_channel_is_for_that_user(bell: ExampleApp) -> None:
    """Another session, or none, is refused; and a form of another site starts no export."""
    form = b"socket_id=1.2&channel_name=private-user.other"
    assert send(bell.url + "/pusher/auth", form)[0] == 401
    _, _, headers = send(bell.url + "/")
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    assert send(bell.url + "/pusher/auth", form, cookie)[0] == 403
    user_id = send(bell.url + "/config", headers=cookie)[1]["user_id"]
    own = f"socket_id=1.2&channel_name=private-user.{user_id}".encode()
    assert send(bell.url + "/pusher/auth", own, cookie)[0] == 200
    assert send(bell.url + "/exports", b"", cookie)[0] == 403
