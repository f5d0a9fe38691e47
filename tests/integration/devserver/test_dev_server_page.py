"""The dev-server's page in a browser: shows what passes, orders each fault, serves keys and narrow screens."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sockudo_publisher import Sockudo, SockudoConnectionError, SockudoHTTPError
from sockudo_publisher.dev.devserver import faults as devserver_faults
from sockudo_publisher.dev.embedded import DevServer, SockudoApp
from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.devserver.lively import Client
from tests.support.browser import Browser

pytestmark = pytest.mark.integration

#: A name and data that would do harm as markup; the name with what a server's own rule leaves in it.
HOSTILE = "<img src=x onerror='window.harmed=1'>"
HOSTILE_DATA = "</pre><script>window.harmed=1</script>"
LOADED = "document.querySelector('#link').dataset.link === 'up'"


@pytest.fixture
def server() -> Iterator[DevServer]:
    with DevServer() as server:
        yield server


@pytest.fixture
def once(server: DevServer) -> Iterator[Sockudo]:
    with Sockudo.from_url(server.url, retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def page(browser: Browser, server: DevServer) -> Browser:
    browser.open(server.page_url)
    browser.wait_for(LOADED)
    return browser


def texts(selector: str) -> str:
    """JavaScript: the texts of all such elements."""
    return f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)"


def has(selector: str, *parts: str) -> str:
    """JavaScript: whether one such element has all these texts."""
    return f"{texts(selector)}.some((text) => {json.dumps(parts)}.every((part) => text.includes(part)))"


def press(page: Browser, key: str, text: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text if kind == "keyDown" else "",
                  windowsVirtualKeyCode={"Tab": 9, "Enter": 13}.get(key, 0))  # fmt: skip


def order(page: Browser, fault: str, **options: Any) -> None:
    """As a user does: choose, fill in, press the button, read the answer."""
    page.evaluate(
        f"""(() => {{
          const form = document.querySelector("#order");
          document.querySelector("#answer").textContent = "";
          form.elements.fault.value = {json.dumps(fault)};
          form.elements.fault.dispatchEvent(new Event("change"));
          for (const [name, value] of Object.entries({json.dumps(options)})) form.elements[name].value = value;
          form.querySelector("button").click();
        }})()"""
    )
    page.wait_for("document.querySelector('#answer').textContent !== ''")


def test_channels_and_events_are_shown_as_they_pass(page: Browser, server: DevServer, once: Sockudo) -> None:
    """With who is there; a channel goes with its last subscriber."""
    assert "Nothing was published yet." in page.text("#no-events")
    with Subscriber(server.ws_url(), "news"), Subscriber(server.ws_url(), "news"):
        page.wait_for(has("#channels tr", "news", "2"))
        once.trigger("news", "first", {"a": 1})
        page.wait_for(has("#events li", "news", "first", '{"a":1}', "to 2 subscribers", "7 bytes"))
    page.wait_for(f"!{has('#channels tr', 'news')}")
    once.trigger("other", "second", "x" * 600)
    page.wait_for(has("#events li:first-child", "second", "to 0 subscribers", "600 bytes", "…"))
    page.wait_for(has("#counts div", "accepted", "2"))
    assert page.complaints == []


def test_members_of_a_presence_channel_are_shown(browser: Browser) -> None:
    """By their ids, also where an id is markup."""
    with DevServer([SockudoApp("lively", "lively-key", "lively-secret")]) as server, Client(server.ws_url()) as client:
        browser.open(server.page_url)
        client.join("presence-room", {"user_id": HOSTILE})
        browser.wait_for(has("#channels tr", "presence-room", HOSTILE))
        assert browser.evaluate("window.harmed === undefined")


def test_hostile_names_and_data_are_only_text(page: Browser, server: DevServer, once: Sockudo) -> None:
    """Nothing of them is run or becomes an element."""
    once.trigger("c", HOSTILE, HOSTILE_DATA)
    page.wait_for(has("#events li", HOSTILE, HOSTILE_DATA))
    assert page.evaluate("window.harmed === undefined && !document.querySelector('#events img, #events script')")
    # Even markup that came into the page by a mistake could not run: the policy knows the page's script by its digest.
    page.evaluate(f"document.querySelector('h1').innerHTML = {json.dumps(HOSTILE)}")
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'window.harmed=1'}))")
    assert page.evaluate("window.harmed === undefined")


def test_the_events_can_be_held_and_filtered(page: Browser, once: Sockudo) -> None:
    """To read them; what comes meanwhile is shown when it goes on."""
    once.trigger("c", "one", "1")
    page.wait_for(has("#events li", "one"))
    page.evaluate("document.querySelector('#hold').click()")
    once.trigger("c", "two", "2")
    page.wait_for(has("#counts div", "accepted", "2"))
    assert not page.evaluate(has("#events li", "two"))
    page.evaluate("document.querySelector('#hold').click()")
    page.wait_for(has("#events li", "two"))
    page.evaluate(
        "(() => { const box = document.querySelector('#filter'); box.value = 'ONE';"
        " box.dispatchEvent(new Event('input')); })()"
    )
    assert page.evaluate(texts("#events .event")) == ["one"]


def test_the_page_knows_every_fault(page: Browser) -> None:
    """And each option of it, as the server does."""
    fields = "[...document.querySelectorAll('#options input')].map((one) => one.name)"
    shown = {}
    for fault in page.evaluate("Object.keys(FAULTS)"):
        page.evaluate(f"select.value = {json.dumps(fault)}; showOptions()")
        shown[fault] = sorted(page.evaluate(fields))
    known = {fault: sorted(options) for fault, options in devserver_faults.ORDERS.items() if fault != "clear"}
    assert shown == known


def test_each_fault_is_ordered_by_its_form(page: Browser) -> None:
    """With the values that the form begins with."""
    for fault in sorted(set(devserver_faults.ORDERS) - {"clear", "refuse"}):
        order(page, fault)
        assert page.text("#answer").startswith(f"Ordered: {fault}")
        assert page.evaluate("document.querySelector('#answer').className") == "", fault


def test_an_ordered_fault_happens_and_is_counted(page: Browser, once: Sockudo) -> None:
    """It is shown while it waits; one without a count until it is cleared."""
    order(page, "answer", status=429, count=1)
    page.wait_for(has("#faults li", "answer, status 429, 1 request"))
    with pytest.raises(SockudoHTTPError) as refused:
        once.trigger("c", "e", "d")
    assert refused.value.status == 429
    page.wait_for(f"{has('#counts div', 'spoiled', '1')} && !document.querySelector('#faults li')")

    order(page, "lose_answers", count="")
    page.wait_for(has("#faults li", "lose_answers, until cleared"))
    for _ in range(2):
        with pytest.raises(SockudoConnectionError):
            once.trigger("c", "e", "d")
    page.evaluate("document.querySelector('#clear').click()")
    page.wait_for("!document.querySelector('#faults li')")
    once.trigger("c", "e", "d")


def test_the_clock_is_skewed_and_set_right(page: Browser, once: Sockudo) -> None:
    """The page says by how much it is wrong."""
    order(page, "skew_clock", seconds=1000)
    page.wait_for(has("#counts div", "clock ahead", "1,000"))
    with pytest.raises(SockudoHTTPError) as refused:
        once.trigger("c", "e", "d")
    assert refused.value.status == 401
    order(page, "skew_clock", seconds=0)
    once.trigger("c", "e", "d")


def test_refused_connections_are_accepted_again(page: Browser, server: DevServer) -> None:
    """After the time of the order."""
    order(page, "refuse", seconds=0.2)
    page.wait_for(LOADED)
    with Sockudo.from_url(server.url, timeout=60, retries=8) as client:
        client.trigger("c", "e", "d", message_id="m")
    assert len(server.events) == 1


def test_a_wrong_order_is_answered_on_the_page(page: Browser) -> None:
    """In the server's words."""
    page.evaluate("order({fault: 'shrink_memory', capacity: -1}, 'done')")
    page.wait_for("document.querySelector('#answer').textContent.startsWith('capacity: expected a whole number')")
    assert page.evaluate("document.querySelector('#answer').className") == "bad"


def test_the_page_says_that_the_server_is_gone(page: Browser, server: DevServer) -> None:
    """And goes on when it is back."""
    server.stop()
    page.wait_for("document.querySelector('#link').textContent === 'The server does not answer.'")
    server.start()
    page.wait_for(LOADED)


def test_the_page_is_used_by_keys_alone(page: Browser, server: DevServer) -> None:
    """Every control has a name and is reached in order; Enter orders a fault."""
    names = (
        "[...document.querySelectorAll('input, select, button')].filter((one) => !(one.labels?.length"
        " || one.getAttribute('aria-label') || one.textContent.trim()))"
    )
    assert page.evaluate(f"{names}.length") == 0
    seen = []
    for _ in range(6):
        press(page, "Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.name || 'button'"))
    assert seen == ["clear", "fault", "count", "button", "filter", "hold"]
    page.evaluate("document.querySelector('#order button').focus()")
    press(page, "Enter", "\r")
    page.wait_for(has("#faults li", "lose_answers, 1 request"))


def test_nothing_hangs_out_of_the_page(page: Browser, server: DevServer, once: Sockudo) -> None:
    """However long a name or a payload is, and however narrow the screen."""
    channel = "c" * 160
    with Subscriber(server.ws_url(), channel):
        once.trigger(channel, "e" * 150, "x" * 500)
        page.wait_for(f"{has('#events li', channel)} && {has('#channels tr', channel)}")
        for width in (1440, 768, 480, 320):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
            page.call("Emulation.setDeviceMetricsOverride", **size)
            page.wait_for(f"innerWidth === {width}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_nothing_is_loaded_from_elsewhere(page: Browser, server: DevServer) -> None:
    """All requests go to this server, and a foreign name that points here gets no page."""
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => new URL(one.name).host)")
    assert set(loaded) == {f"127.0.0.1:{server.port}"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()
