"""The page beside a real worker and a real server: what it shows is what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from sockudo_publisher import publish
from tests.integration.dashboard.conftest import Serve
from tests.integration.dashboard.page import click, open_page, wait_text, write
from tests.support.browser import Browser
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def environ(stack: Stack) -> dict[str, str]:
    """The settings of the stack."""
    return stack.python()


def test_pause_holds_events_back_and_resume_lets_them_go(
    browser: Browser, serve: Callable[[Mapping[str, str]], Serve], environ: dict[str, str], stack: Stack
) -> None:
    """Both by their buttons; the picture counts what waits, and what is delivered."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    stack.worker()
    page = open_page(browser, serve(environ)())
    wait_text(page, "#verdict", "All is well")
    write(page, "#pause-reason", "maintenance")
    click(page, "#pause")
    wait_text(page, "#verdict", "Paused by an operator")
    for n in range(5):
        publish.delay(channel, "n", {"n": n})
    page.wait_for("document.querySelector('#flow svg').getAttribute('aria-label').includes('5 events in')")
    assert len(seen.events()) == 0
    click(page, "#resume")
    seen.wait_for_count(5, 60)
    page.wait_for("document.querySelector('#flow svg').getAttribute('aria-label').includes(' 0 events in')")
    wait_text(page, "#workers", "since")
    assert page.complaints == []
