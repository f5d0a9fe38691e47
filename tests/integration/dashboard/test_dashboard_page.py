"""The page in a browser: every button, hostile names, a Redis that goes away, narrow and dark screens, the keyboard."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from sockudo_publisher import publish
from sockudo_publisher.dev.embedded import RedisServer
from tests.integration.dashboard.conftest import TOKEN, Dashboard, bury, item, rung
from tests.integration.dashboard.page import LIVE, click, open_page, wait_rows, wait_text, write
from tests.integration.journal.one_lane import OneLane
from tests.support.browser import Browser

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

#: A name and a payload that would do harm as markup; the name with a mark that turns the direction of writing.
HOSTILE = "<img src=x onerror='window.harmed=1'>\u202etxt"
SHOWN_HOSTILE = "<img src=x onerror='window.harmed=1'>\\u202etxt"
HOSTILE_DATA = "</pre><script>window.harmed=1</script>"

#: Every text that is shown, with its contrast, where that is below what WCAG's level AA asks.
LOW_CONTRAST = """(() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  const weights = [0.2126, 0.7152, 0.0722];
  const light = (colour) => weights.reduce((sum, weight, index) => sum + weight * linear(colour[index] / 255), 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const contrast = (one) => {
    const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    return [one.tagName + ' ' + one.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)];
  };
  return [...document.querySelectorAll('h1, h2, h3, p, td, th, label, button, .tag, a, dt, dd')]
    .filter((one) => one.checkVisibility() && !one.disabled && one.textContent.trim())
    .map(contrast).filter(([, ratio]) => ratio < 4.5);
})()"""


def test_pause_and_resume_by_their_buttons(browser: Browser, dashboard: Dashboard, client: redis.Redis) -> None:
    """With a reason and a name; the picture, the state and the audit follow."""
    page = open_page(browser, dashboard)
    write(page, "#actor", "ana")
    click(page, "#pause")  # without a reason
    assert not client.exists("sockudo:{default}:operator_pause")
    write(page, "#pause-reason", "maintenance <b>")
    click(page, "#pause")
    wait_text(page, "#pauses", "maintenance <b>")
    wait_text(page, "#pauses", "ana (dashboard)")
    wait_text(page, "#verdict", "No worker runs")
    wait_text(page, "#audit", "maintenance <b>")
    assert "The app is paused." in page.evaluate("document.querySelector('#flow svg').getAttribute('aria-label')")
    click(page, "#resume")
    wait_text(page, "#sending-result", "Resumed.")
    wait_text(page, "#pauses", "events are sent")
    click(page, "#audit-refresh")
    wait_rows(page, "audit", 2)
    assert page.complaints == []


def test_letters_by_their_buttons(browser: Browser, dashboard: Dashboard, lane: OneLane, client: redis.Redis) -> None:
    """Filter, look, payload, replay and purge with their previews, and the buttons that leave everything as it is."""
    for number in range(3):
        bury(client, str(number), channel="orders", name="shipped")
    conflict = bury(client, "c", reason="conflict", channel="prices")
    page = open_page(browser, dashboard)
    wait_rows(page, "letters", 4)

    write(page, "#f-channel", "prices")
    click(page, "#f-find")
    wait_rows(page, "letters", 1)
    click(page, "#letters tbody button")
    wait_text(page, "#letter-facts", conflict)
    assert page.evaluate("document.querySelector('#letter-payload').hidden"), "not before it is asked for"
    click(page, "#letter-load")
    wait_text(page, "#letter-payload", "the payload")
    click(page, "#letter-close")

    click(page, "#replay")  # what the filter finds
    wait_text(page, "#confirm-text", "1 will be refused")
    wait_text(page, "#confirm-more", conflict)
    assert page.evaluate("document.querySelector('#confirm-yes').disabled"), "nothing would be moved"
    click(page, "#confirm-no")
    click(page, "#f-clear")
    wait_rows(page, "letters", 4)

    click(page, "#letters tbody input")
    wait_text(page, "#chosen", "1 selected")
    click(page, "#replay")
    wait_text(page, "#confirm-text", "1 dead letter will be queued again")
    click(page, "#confirm-no")
    assert client.xlen(f"{lane.base}:dead") == 4
    click(page, "#replay")
    click(page, "#confirm-yes")
    wait_text(page, "#letters-result", "Replayed 1.")
    wait_rows(page, "letters", 3)
    assert rung(client) == 1

    click(page, "#select-all")
    wait_text(page, "#chosen", "3 selected")
    click(page, "#purge")
    wait_text(page, "#confirm-text", "3 dead letters will be deleted for good")
    click(page, "#confirm-yes")
    wait_text(page, "#letters-result", "Purged 3.")
    wait_rows(page, "letters", 0)
    assert client.xlen(f"{lane.base}:dead") == 0
    wait_rows(page, "audit", 2)
    assert page.complaints == []


def test_conflict_is_replayed_with_a_new_id(
    browser: Browser, dashboard: Dashboard, lane: OneLane, client: redis.Redis
) -> None:
    """By the box beside the buttons."""
    bury(client, "c", reason="conflict")
    page = open_page(browser, dashboard)
    wait_rows(page, "letters", 1)
    click(page, "#new-id")
    click(page, "#replay")
    wait_text(page, "#confirm-text", "1 dead letter will be queued")
    click(page, "#confirm-yes")
    wait_text(page, "#letters-result", "Replayed 1.")
    assert json.loads(lane.bodies[0])["message_id"] != "c"


def test_scheduled_event_is_cancelled_by_its_button(browser: Browser, dashboard: Dashboard) -> None:
    """After a question."""
    publish.apply_async(("later", "e", {}), countdown=600)
    page = open_page(browser, dashboard)
    wait_rows(page, "scheduled", 1)
    click(page, "#scheduled tbody button")
    click(page, "#confirm-no")
    click(page, "#scheduled-refresh")
    wait_rows(page, "scheduled", 1)
    click(page, "#scheduled tbody button")
    click(page, "#confirm-yes")
    wait_text(page, "#scheduled-result", "Cancelled.")
    wait_rows(page, "scheduled", 0)


def test_hostile_names_are_text(browser: Browser, dashboard: Dashboard, lane: OneLane, client: redis.Redis) -> None:
    """In every list: letters, held channels, the audit; and a payload. Marks of direction are shown."""
    bury(client, "1", channel=HOSTILE, name=HOSTILE, body=item(HOSTILE, HOSTILE, "1", HOSTILE_DATA))
    lane.append(item(HOSTILE, HOSTILE, "2"), channel=HOSTILE)
    lane.hold_first(lane.acquire(), retry_in_s=60)
    dashboard.act("pause", reason=HOSTILE_DATA, actor=HOSTILE)
    page = open_page(browser, dashboard)
    for table in ("letters", "held", "audit"):
        wait_text(page, f"#{table}", SHOWN_HOSTILE)
    wait_text(page, "#pauses", HOSTILE_DATA)
    click(page, "#letters tbody button")
    click(page, "#letter-load")
    wait_text(page, "#letter-payload", HOSTILE_DATA)
    click(page, "#letter-close")
    click(page, "#purge")
    click(page, "#confirm-no")
    assert page.evaluate("[window.harmed ?? null, document.querySelectorAll('main img, main script').length]") == [
        None,
        0,
    ]
    assert page.complaints == []


def test_page_says_that_redis_is_away_and_recovers(
    browser: Browser, dashboard: Dashboard, redis_server: RedisServer, redis_url: str
) -> None:
    """Without a reload."""
    page = open_page(browser, dashboard)
    redis_server.stop()
    try:
        page.wait_for("!document.querySelector('#away').hidden")
        assert "Redis" in page.text("#away")
        assert page.evaluate("document.querySelector('#link').dataset.state") == "away"
    finally:
        redis_server.start()
    page.wait_for(LIVE)
    page.wait_for("document.querySelector('#away').hidden")


def test_read_only_page_has_no_usable_action(
    browser: Browser, serve: Any, environ: dict[str, str], client: redis.Redis
) -> None:
    """What it shows goes on."""
    bury(client, "1")
    page = open_page(browser, serve(environ)("--read-only"))
    wait_rows(page, "letters", 1)
    page.wait_for("!document.querySelector('#read-only').hidden")
    for id in ("pause", "resume", "replay", "purge"):
        assert page.evaluate(f"document.querySelector('#{id}').disabled"), id


def test_sign_in_and_sign_out(browser: Browser, guarded: Dashboard) -> None:
    """In the browser, whose form sends the Origin."""
    browser.open(guarded.url)
    browser.wait_for("document.querySelector('#token') !== null")
    write(browser, "#token", "wrong")
    click(browser, "button")
    browser.wait_for("document.querySelector('[role=alert]')?.checkVisibility()")
    write(browser, "#token", TOKEN)
    click(browser, "button")
    browser.wait_for(LIVE)
    assert browser.evaluate("document.cookie") == "", "no script reads it"
    click(browser, "#sign-out button")
    browser.wait_for("document.querySelector('#token') !== null")


def test_phone_and_keyboard(browser: Browser, dashboard: Dashboard, client: redis.Redis) -> None:
    """Nothing is wider than the screen; the first key leads to the content, and a focus can be seen."""
    bury(client, "1", channel="a-rather-long-channel-name." * 4)
    browser.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    page = open_page(browser, dashboard)
    wait_rows(page, "letters", 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for kind in ("rawKeyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_texts_can_be_read(browser: Browser, dashboard: Dashboard, client: redis.Redis, colours: str) -> None:
    """Contrast of at least 4.5 to 1 between each text and its ground, in both colour schemes."""
    bury(client, "1")
    page = open_page(browser, dashboard)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
    wait_rows(page, "letters", 1)
    low = page.evaluate(LOW_CONTRAST)
    assert low == []
