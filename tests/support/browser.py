"""A headless Chromium, driven over its own debugging protocol with the WebSocket client that the demo needs anyway.

A conftest imports the two fixtures.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from sockudo_publisher.dev.embedded import lifeline
from tests.support.parts import need, part_is_absent

__all__ = ["Browser", "browser", "chromium", "open_tab", "running_chromium"]

#: Seconds for Chromium to start on a busy machine.
START_S = 90.0
#: Seconds that a condition on the page may take.
WAIT_S = 60.0

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1440,900",
)


class Browser:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self.complaints: list[str] = []
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the debugging protocol; collects what the page complains about meanwhile."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT_S))
            if message.get("id") == self._last:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"]["text"])
            elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"]["text"])

    def open(self, url: str, *, reduced_motion: bool = False) -> None:
        """Go there."""
        motion = "reduce" if reduced_motion else "no-preference"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": motion}])
        self.evaluate("window.isLeft = true")
        self.call("Page.navigate", url=url)
        self.wait_for("!window.isLeft && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", "?"))
        return answer["result"].get("value")

    def wait_for(self, expression: str, wait_s: float = WAIT_S) -> Any:
        """Wait until the expression is true, and return its value."""
        until = time.monotonic() + wait_s
        while not (value := self._evaluate_or_none(expression)):
            if time.monotonic() > until:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"not so within {wait_s} s: {expression}\n{self.complaints}\n{text[:3000]}")
            time.sleep(0.05)
        return value

    def _evaluate_or_none(self, expression: str) -> Any:
        try:
            return self.evaluate(expression)
        except RuntimeError:  # the page is just being replaced
            return None

    def text(self, selector: str) -> str:
        """What a reader sees or hears of an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent"))


#: Of the Chromium that runs for this process: a fixture that each of several files imports is made for each.
ADDRESS = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The debugging address of a running Chromium, one for all files of a process."""
    config = request.config
    if ADDRESS not in config.stash:
        ends = ExitStack()
        config.stash[ADDRESS] = ends.enter_context(
            running_chromium(need("browser"), tmp_path_factory.mktemp("chromium"))
        )
        config.add_cleanup(ends.close)
    return config.stash[ADDRESS]


@contextmanager
def running_chromium(binary: Path | str, home: Path) -> Iterator[str]:
    """The debugging address of a Chromium with this empty directory for its files; ended with the block."""
    log = home.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(binary), *FLAGS, f"--user-data-dir={home}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    lifeline.tie(process.pid)  # a killed test process cannot end it, and its pages would go on
    try:
        told = home / "DevToolsActivePort"
        until = time.monotonic() + START_S
        while not (told.exists() and told.read_text().count("\n")):
            if process.poll() is not None or time.monotonic() > until:
                part_is_absent("browser", f"{binary} does not start here: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{told.read_text().splitlines()[0]}"
    finally:
        # The whole group: Debian's `chromium-headless-shell` is a script, and its end alone would leave the browser.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        lifeline.untie(process.pid)


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    """A tab of its own for each test, without cookies: they are of 127.0.0.1, whatever the port."""
    with open_tab(chromium) as tab:
        tab.call("Network.clearBrowserCookies")
        yield tab


@contextmanager
def open_tab(chromium: str) -> Iterator[Browser]:
    """A new tab of a running Chromium; closed with the block."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    new = urllib.request.Request(f"{chromium}/json/new?about:blank", method="PUT")
    with direct.open(new, timeout=START_S) as answer:
        tab = json.load(answer)
    with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
        yield Browser(socket)
    with direct.open(f"{chromium}/json/close/{tab['id']}", timeout=START_S):
        pass
