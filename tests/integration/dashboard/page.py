"""The dashboard's page in a browser, used as a person uses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.browser import Browser

if TYPE_CHECKING:
    from tests.integration.dashboard.conftest import Dashboard

#: The page has a look of Redis.
LIVE = "document.querySelector('#link')?.dataset.state === 'up'"


def click(page: Browser, selector: str) -> None:
    """As a person: only what is visible and enabled."""
    text = json.dumps(selector)
    page.wait_for(f"(one => one && one.checkVisibility() && !one.disabled)(document.querySelector({text}))")
    page.evaluate(f"document.querySelector({text}).click()")


def write(page: Browser, selector: str, text: str) -> None:
    """Into a field."""
    page.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
    page.call("Input.insertText", text=text)


def wait_text(page: Browser, selector: str, text: str) -> None:
    page.wait_for(f"document.querySelector({json.dumps(selector)}).textContent.includes({json.dumps(text)})")


def rows(page: Browser, table: str) -> int:
    return int(page.evaluate(f"document.querySelectorAll('#{table} tbody tr').length"))


def wait_rows(page: Browser, table: str, count: int) -> None:
    page.wait_for(f"document.querySelectorAll('#{table} tbody tr').length === {count}")


def open_page(browser: Browser, dashboard: Dashboard) -> Browser:
    browser.open(dashboard.url)
    browser.wait_for(LIVE)
    return browser
