"""Each page of docs/start/, followed in an empty folder as it stands, up to the event in headless Chromium."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.browser import Browser, browser, chromium
from tests.support.cases import in_depth
from tests.support.parts import need
from tests.support.start_page import Look, follow, steps_of
from tests.support.warm import run_python
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

    def __init__(self, tab: Browser, page: str) -> None:
        self.tab = tab
        self.page = page
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
                self._has_passed(look.here("http://127.0.0.1:6001"))
                self._tells_problems()
            case "open the page":
                self._open(f"{url}/page.html")
                self.tab.wait_for("pusher.allChannels()[0]?.subscribed")
            case "both bars are full":
                self.tab.wait_for(
                    "[...document.querySelectorAll('progress')].map((one) => one.value).join() === '100,100'"
                )
                names = "[...document.querySelectorAll('label')].map((one) => one.id).sort().join()"
                assert self.tab.evaluate(names) == "February,January"
                self._has_passed(look.here("http://127.0.0.1:6001"))
                self._is_diagnosed(look)
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

    def _has_passed(self, devserver: str) -> None:
        """What the dev-server's page shows: the channel with its subscriber, and the events."""
        channel = self.tab.evaluate("pusher.allChannels()[0].name")
        status, state, _ = send(f"{devserver}/dev/state")
        assert status == 200
        (shown,) = [one for one in state["apps"][0]["channels"] if one["name"] == channel]
        assert shown["subscribers"] == 1
        assert [one for one in state["events"] if one["channel"] == channel]

    def _is_diagnosed(self, look: Look) -> None:
        """The doctor with the page's settings: only the two risks of a Redis for development."""
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")},
            "SOCKUDO_URL": look.here("http://app-key:app-secret@127.0.0.1:6001/apps/app-id"),
            "SOCKUDO_REDIS_URL": look.here("redis://127.0.0.1:6379/0"),
        }
        ended = run_python(["-m", "sockudo_publisher.cli", "doctor", "--json"], env=env, timeout=START_S)
        findings = json.loads(ended.stdout)["findings"]
        troubles = {one["name"] for one in findings if one["state"] in ("risk", "broken")}
        assert troubles == {"redis.persistence", "redis.memory"}, findings

    def _tells_problems(self) -> None:
        """An order that is refused (the path does not exist), a subscription that is, and a server that is away."""
        problem = "document.getElementById('problem').textContent"
        complaints = list(self.tab.complaints)
        self.tab.evaluate(
            "window.real = fetch; window.fetch = (url, options) => real('/no-such-path', options);"
            "document.forms[0].item.value = 'A vase'; document.forms[0].requestSubmit()"
        )
        assert self.tab.wait_for(problem) in {"Not ordered, status 404", "Not ordered, status 405"}
        assert self.tab.evaluate("document.forms[0].item.value") == "A vase"
        self.tab.evaluate("window.fetch = () => Promise.reject(new Error('gone')); document.forms[0].requestSubmit()")
        self.tab.wait_for(f"{problem} === 'Not ordered: gone'")
        self.tab.evaluate("pusher.allChannels()[0].emit('pusher:subscription_error', {status: 403}); 0")
        assert self.tab.evaluate(problem) == "Not subscribed, status 403"
        # As pusher-js tells an error frame of the server: without `error`, which its own failures have.
        frame = "{type: 'PusherError', data: {code: 4200, message: 'Server shutting down'}}"
        self.tab.evaluate(f"pusher.connection.emit('error', {frame}); 0")
        assert self.tab.evaluate(problem) == "Sockudo refused: Server shutting down"
        self._connect_to("s => s.replace('app-key', 'no-key')")
        self.tab.wait_for(f"{problem} === 'Sockudo refused: Application key not found or invalid'")
        if self.page == "flask":  # pusher-js takes ten seconds
            self._connect_to("() => 'ws://127.0.0.1:1/'")
            self.tab.wait_for(f"{problem} === 'No connection to Sockudo'")
        self.tab.complaints[:] = complaints  # those that came since are what was asked for

    def _connect_to(self, change: str) -> None:
        """Connect again, to the address that this function makes of the page's."""
        self.tab.evaluate(
            "window.Socket ??= WebSocket;"
            f"window.WebSocket = function (url) {{ return new Socket(({change})(url)) }};"
            "pusher.disconnect(); pusher.connect(); 0"
        )

    def _shows(self, *items: str) -> None:
        listed = "[...document.querySelectorAll('#orders li')].map((one) => one.textContent).join('; ')"
        self.tab.wait_for(f"{listed} === {'; '.join(items)!r}")


@pytest.mark.parametrize("name", in_depth(["celery", "django", "fastapi", "flask"], quick=["flask"]))
def test_page_leads_to_an_event_in_the_browser(name: str, tmp_path: Path, browser: Browser) -> None:
    """Every command and file of the page; every mark is seen; the browser complains about nothing of the page."""
    page = START / f"{name}.md"
    reader = Reader(browser, name)
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
