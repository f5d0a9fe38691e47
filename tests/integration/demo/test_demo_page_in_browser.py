"""The page in a real browser: shows what arrives, notices what should not have, comes back when cut off.

The server behind it is scripted, so that it can misbehave on purpose.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from sockudo_publisher.dev.demo.page import PageServer, bind_from, page_app
from tests.support.browser import Browser
from tests.support.cases import in_depth

pytestmark = pytest.mark.integration

AIRPORTS = {"EWR": "Newark", "JFK": "Kennedy", "LGA": "LaGuardia"}


def flight(seq: int, number: int, status: str = "scheduled", **more: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": "2013-03-08T09:00",
        "id": number,
        "flight": f"B6 {number}",
        "airline": "JetBlue Airways",
        "from": "JFK",
        "to": "BOS",
        "city": "Boston",
        "airport": "Logan",
        "tail": None,
        "scheduled": "2013-03-08T09:10",
        "status": status,
        "expected": "2013-03-08T09:10",
        **more,
    }


class ScriptedSockudo:
    """Speaks the Pusher protocol; what it sends, and when it hangs up, the test decides."""

    def __init__(self) -> None:
        self.snapshot_flights: list[dict[str, Any]] = []
        self.snapshot_seq: dict[str, int] = {}
        self.run = "one"
        self._connections: set[ServerConnection] = set()
        self.accepted = 0
        self._server: Server = serve(self._serve, "127.0.0.1", 0, compression=None)
        self.port: int = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _serve(self, connection: ServerConnection) -> None:
        established = json.dumps({"socket_id": f"1.{self.accepted}", "activity_timeout": 120})
        connection.send(json.dumps({"event": "pusher:connection_established", "data": established}))
        waiting = 4
        try:
            for text in connection:
                message = json.loads(text)
                if message["event"] == "pusher:subscribe":
                    channel = message["data"]["channel"]
                    succeeded = {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"}
                    connection.send(json.dumps(succeeded))
                    waiting -= 1
                    if not waiting:
                        self._connections.add(connection)
                        self.accepted += 1
        except ConnectionClosed:
            pass
        self._connections.discard(connection)

    def send(self, channel: str, event: str, data: dict[str, Any]) -> None:
        for connection in list(self._connections):
            connection.send(json.dumps({"event": event, "channel": channel, "data": json.dumps(data)}))

    def hang_up(self) -> None:
        for connection in list(self._connections):
            connection.close()

    def snapshot(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "socket": {"port": self.port, "key": "a key"},
            "speed": 30,
            "airports": [
                {"code": code, "name": name, "channel": f"departures-{code}"} for code, name in AIRPORTS.items()
            ],
            "carriers": ["carrier-B6"],
            "parts": "scripted",
            "clock": "2013-03-08T09:00:00",
            "seq": self.snapshot_seq,
            "flights": self.snapshot_flights,
        }

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def sockudo() -> Iterator[ScriptedSockudo]:
    server = ScriptedSockudo()
    yield server
    server.close()


@pytest.fixture
def page(sockudo) -> Iterator[PageServer]:
    with PageServer(page_app(sockudo.snapshot, sockudo.port), bind_from(18_000)) as server:
        yield server


CONNECTED = "document.querySelector('#link').dataset.link === 'up'"
VERDICT = "document.querySelector('#verdict').textContent"


def open_still(browser: Browser, page: PageServer) -> None:
    """Where motion is not the subject: falling flaps cost the machine more than all the rest."""
    browser.open(page.url, reduced_motion=True)
    browser.wait_for(CONNECTED)


def row(number: int) -> str:
    """JavaScript: the row of a flight, as it is read aloud."""
    return (
        "[...document.querySelectorAll('#rows tr')].map((row) => [...row.querySelectorAll('.sr')]"
        f".map((cell) => cell.textContent).join('|')).find((text) => text.includes('JetBlue Airways B6 {number}|'))"
    )


def flaps(number: int) -> str:
    """JavaScript: the same row, as it is seen once its flaps have fallen."""
    return (
        "[...document.querySelectorAll('#rows tr')].map((row) => [...row.querySelectorAll('.flaps')]"
        ".map((cell) => cell.textContent.trim()).join('|'))"
        f".find((text) => text.includes('|B6 {number}|'))"
    )


def test_events_appear_on_the_board_as_they_arrive(browser, sockudo, page):
    """What was there before comes from the snapshot, what happens then over the WebSocket."""
    sockudo.snapshot_flights = [flight(1, 15)]
    sockudo.snapshot_seq = {"departures-JFK": 1}
    browser.open(page.url)
    browser.wait_for(CONNECTED)
    assert browser.wait_for(row(15)) == "09:10|Boston, Logan|JetBlue Airways B6 15|JFK|On time|"

    sockudo.send("departures-JFK", "status", flight(2, 15, "delayed", expected="2013-03-08T11:45"))
    browser.wait_for(f"{row(15)} === '09:10|Boston, Logan|JetBlue Airways B6 15|JFK|Delayed|11:45'")
    browser.wait_for(f"{flaps(15)} === '09:10|BOSTON|B6 15|JFK|DELAYED|11:45'")

    sockudo.send("departures-JFK", "schedule", flight(3, 16))
    sockudo.send("departures-JFK", "status", flight(4, 16, "cancelled", expected=None))
    browser.wait_for(f"{row(16)} === '09:10|Boston, Logan|JetBlue Airways B6 16|JFK|Cancelled|'")

    ticker = {"seq": 1, "flight": "B6 16", "airline": "JetBlue Airways", "city": "Boston", "status": "cancelled"}
    sockudo.send("carrier-B6", "status", {**ticker, "at": "2013-03-08T09:00", "from": "JFK", "delay_min": None})
    browser.wait_for("document.querySelector('#ticker').textContent === 'JetBlue 16 Boston cancelled'")

    browser.wait_for("document.querySelector('#total').textContent === '4'")
    browser.wait_for(f"{VERDICT} === 'Every event once and in order'")
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        pytest.param([7, 8, 8], "1 twice, 0 late, 0 missing", id="twice"),
        pytest.param([7, 9], "0 twice, 0 late, 1 missing", id="gap"),
        pytest.param([7, 9, 8], "0 twice, 1 late, 0 missing", id="swapped"),
        # The quick tests of arriving events and of a lost connection end with this verdict too.
        pytest.param([7, 8, 9], "Every event once and in order", id="right", marks=pytest.mark.long),
    ],
)
def test_what_should_not_happen_is_said(browser, sockudo, page, numbers, verdict):
    """A repeat, a gap and a swap are distinguished, and never called good."""
    open_still(browser, page)
    for seq in numbers:
        sockudo.send("departures-JFK", "status", flight(seq, seq, "boarding"))
    browser.wait_for(f"document.querySelector('#total').textContent === '{len(numbers)}'")
    browser.wait_for(f"{VERDICT} === '{verdict}'")


def test_a_lost_connection_comes_back_and_catches_up(browser, sockudo, page):
    """What passed meanwhile is on the board, from the snapshot, and is not called missing."""
    open_still(browser, page)
    sockudo.send("departures-JFK", "status", flight(1, 15, "boarding"))
    browser.wait_for(row(15))

    sockudo.snapshot_flights = [flight(4, 15, "departed"), flight(3, 16, "boarding")]
    sockudo.snapshot_seq = {"departures-JFK": 4}
    sockudo.hang_up()
    browser.wait_for(f"{CONNECTED} && {row(16)} !== undefined")
    assert sockudo.accepted == 2
    assert "Departed" in browser.evaluate(row(15))
    assert browser.text("#link-note").startswith("3 events passed meanwhile")

    sockudo.send("departures-JFK", "status", flight(5, 16, "departed"))
    browser.wait_for("document.querySelector('#total').textContent === '2'")
    browser.wait_for(f"{VERDICT} === 'Every event once and in order'")


def test_the_viewer_can_cut_the_connection(browser, sockudo, page):
    """To see it come back."""
    open_still(browser, page)
    browser.evaluate("document.querySelector('#cut').click()")
    browser.wait_for("document.querySelector('#link-words').textContent === 'Cut by you'")
    browser.wait_for(CONNECTED)
    assert sockudo.accepted == 2


def test_another_run_of_the_demo_starts_the_page_anew(browser, sockudo, page):
    """Its numbers start at one again, which must not look like repeats."""
    open_still(browser, page)
    sockudo.send("departures-JFK", "status", flight(9, 15, "boarding"))
    browser.wait_for("document.querySelector('#total').textContent === '1'")
    sockudo.run = "two"
    sockudo.hang_up()
    browser.wait_for(f"{CONNECTED} && document.querySelector('#total').textContent === '0'")


def test_without_motion_the_letters_are_simply_there(browser, sockudo, page):
    """``prefers-reduced-motion``: no flap falls."""
    open_still(browser, page)
    falls = "new MutationObserver((all) => { window.fell = (window.fell || 0) + all.length; })"
    browser.evaluate(f"{falls}.observe(document.body, {{subtree: true, attributeFilter: ['class']}})")
    sockudo.send("departures-JFK", "status", flight(1, 15, "boarding"))
    browser.wait_for(f"{flaps(15)} === '09:10|BOSTON|B6 15|JFK|BOARDING|09:10'")
    assert browser.evaluate("document.querySelectorAll('.fall').length") == 0


def test_one_airport_can_be_chosen(browser, sockudo, page):
    """The board then shows that airport's flights alone."""
    sockudo.snapshot_flights = [flight(1, 15), {**flight(1, 77), "from": "EWR"}]
    open_still(browser, page)
    browser.wait_for(f"{row(15)} && {row(77)}")
    browser.evaluate(
        "[...document.querySelectorAll('#tabs button')].find((b) => b.textContent.includes('EWR')).click()"
    )
    browser.wait_for(f"!{row(15)} && {row(77)}")
    assert browser.evaluate("document.querySelector('#tabs [aria-pressed=true]').textContent") == "EWRNewark"


def test_the_board_can_be_held_still(browser, sockudo, page):
    """To read it. Events are counted and checked meanwhile, and shown when it goes on."""
    sockudo.snapshot_flights = [flight(1, 15)]
    open_still(browser, page)
    browser.wait_for(row(15))
    browser.evaluate("document.querySelector('#hold').click()")
    sockudo.send("departures-JFK", "status", flight(2, 15, "boarding"))
    sockudo.send("departures-JFK", "status", flight(3, 16, "boarding"))
    browser.wait_for("document.querySelector('#total').textContent === '2'")
    assert "On time" in browser.evaluate(row(15))
    assert browser.evaluate(f"{row(16)} === undefined")
    browser.evaluate("document.querySelector('#hold').click()")
    browser.wait_for(f"{row(15)}.includes('Boarding') && {row(16)} !== undefined")


WIDTHS = {str(width): width for width in (360, 640, 680, 681, 760, 820, 1180, 1440, 1920)}


@pytest.mark.parametrize("width", in_depth(WIDTHS, quick=["360", "681", "1440"]))
def test_nothing_hangs_out_at_any_width(browser, sockudo, page, width):
    """No sideways scrolling, from a phone to a wall."""
    sockudo.snapshot_flights = [flight(1, number, "delayed", city="Martha's Vineyd") for number in range(30)]
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 700)
    open_still(browser, page)
    browser.wait_for(row(1))
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.evaluate(
        "document.querySelector('.housing').scrollWidth <= document.querySelector('.housing').clientWidth"
    )
