"""Each page of docs/start/, followed in an empty folder as it stands, up to the event in headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.browser import Browser, browser, chromium
from tests.support.cases import in_depth
from tests.support.parts import need
from tests.support.start_page import Look, follow, steps_of
from tests.support.web_apps import send

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration

START = Path(__file__).resolve().parents[3] / "docs" / "start"
#: Seconds for an application to start, on a machine with a lot to do.
START_S = 90.0


@pytest.fixture(autouse=True)
def parts() -> None:
    """What the pages ask for; the embedded Redis and Sockudo are the package's."""
    need("bash")
    need("node")
    need("browser")


class Reader:
    """Looks at the page at the marks of the documentation."""

    def __init__(self, tab: Browser) -> None:
        self.tab = tab
        self.looks: list[str] = []
        self.user = ""

    def __call__(self, look: Look) -> None:
        self.looks.append(look.name)
        url = look.here("http://127.0.0.1:8000")
        match look.name:
            case "order in the page":
                self._open(f"{url}/")
                if "/admin/login/" in self.tab.evaluate("location.pathname"):
                    self._sign_in()
                self.tab.wait_for("pusher.allChannels()[0]?.subscribed")
                self.user = str(self.tab.evaluate("pusher.allChannels()[0].name")).rpartition(".")[2]
                self.tab.evaluate("document.forms[0].item.value = 'A <b>book'; document.forms[0].requestSubmit()")
                self._shows("A <b>book")
            case "the lamp arrives":
                self._shows("A <b>book", "A lamp")
            case "open the page":
                self._open(f"{url}/page.html")
                self.tab.wait_for("pusher.allChannels()[0]?.subscribed")
            case "both bars are full":
                self.tab.wait_for(
                    "[...document.querySelectorAll('progress')].map((one) => one.value).join() === '100,100'"
                )
                names = "[...document.querySelectorAll('label')].map((one) => one.id).sort().join()"
                assert self.tab.evaluate(names) == "February,January"
            case _:
                raise AssertionError(look)

    def _open(self, url: str) -> None:
        def answers() -> bool:
            try:
                return send(url)[0] < 500
            except OSError:
                return False

        assert wait_for(answers, START_S, 0.2), f"{url} does not answer"
        self.tab.open(url)

    def _sign_in(self) -> None:
        self.tab.evaluate(
            "document.querySelector('#id_username').value = 'ada';"
            "document.querySelector('#id_password').value = 'try-it';"
            "document.querySelector('#login-form').submit()"
        )
        self.tab.wait_for("location.pathname === '/' && document.readyState === 'complete'")

    def _shows(self, *items: str) -> None:
        listed = "[...document.querySelectorAll('#orders li')].map((one) => one.textContent).join('; ')"
        self.tab.wait_for(f"{listed} === {'; '.join(items)!r}")


@pytest.mark.parametrize("name", in_depth(["celery", "django", "fastapi", "flask"], quick=["fastapi"]))
def test_page_leads_to_an_event_in_the_browser(name: str, tmp_path: Path, browser: Browser) -> None:
    """Every command and file of the page; every mark is seen; the browser complains about nothing of the page."""
    page = START / f"{name}.md"
    reader = Reader(browser)
    follow(page, tmp_path, reader, lambda text: text.replace("orders.USER", f"orders.{reader.user}"))
    assert reader.looks == re.findall(r"^<!-- test: (.+) -->$", page.read_text(), re.M)
    assert len(reader.looks) == 2
    assert [line for line in browser.complaints if "favicon" not in line and "404" not in line] == []


def test_every_start_page_is_followed() -> None:
    """A page that is added is followed too, and every fence of a page is read."""
    assert {page.stem for page in START.glob("*.md")} == {"celery", "django", "fastapi", "flask"}
    for page in START.glob("*.md"):
        text = page.read_text()
        blocks = [step for step in steps_of(text) if step.kind != "look"]
        assert len(blocks) * 2 == len(re.findall("^```", text, re.M)), page
