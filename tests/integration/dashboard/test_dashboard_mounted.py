"""The dashboard inside of an application and behind TLS, with an outbox and with two apps: in one browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from fastapi import FastAPI
from sqlalchemy import MetaData, create_engine, update
from sqlalchemy.orm import Session

from scripts.stack import Part
from sockudo_publisher.dashboard import asgi_app, looking
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.outbox.sqlalchemy import Outbox
from tests.integration.dashboard.conftest import TOKEN, URL, Dashboard, Serve, bury, item
from tests.integration.dashboard.page import LIVE, click, wait_rows, wait_text, write
from tests.support.browser import Browser
from tests.support.nginx import is_listening
from tests.support.parts import need
from tests.support.web_apps import send, serve_asgi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def mounted(environ: dict[str, str]) -> Iterator[str]:
    """The address of an application that has the dashboard at `/ops`, with a token."""
    assert environ
    app = FastAPI()
    app.mount("/ops", asgi_app(token=TOKEN))
    with serve_asgi(app) as url:
        yield url


def pause_and_sign_out(browser: Browser, client: redis.Redis, reason: str) -> None:
    """By the page's buttons; the app stays paused, and the page asks for the token again."""
    write(browser, "#pause-reason", reason)
    click(browser, "#pause")
    wait_text(browser, "#pauses", reason)
    assert client.exists("sockudo:{default}:operator_pause")
    click(browser, "#sign-out button")
    browser.wait_for("document.querySelector('#token') !== null")


def test_mounted_page_keeps_to_its_prefix(browser: Browser, mounted: str, client: redis.Redis) -> None:
    """The form, the files, the looks and the actions are below it, and so is the cookie; without a slash too."""
    browser.open(f"{mounted}/ops")
    browser.wait_for("document.querySelector('#token') !== null")
    assert browser.evaluate("location.pathname") == "/ops/login"
    write(browser, "#token", TOKEN)
    click(browser, "button")
    browser.wait_for(LIVE)
    assert browser.evaluate("location.pathname") == "/ops/"
    [cookie] = browser.call("Network.getCookies", urls=[f"{mounted}/ops/"])["cookies"]
    assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (
        "/ops/",
        True,
        "Strict",
        False,
    )
    assert browser.call("Network.getCookies", urls=[f"{mounted}/elsewhere"])["cookies"] == []
    pause_and_sign_out(browser, client, "below a prefix")
    assert browser.evaluate("location.pathname") == "/ops/login"
    assert browser.call("Network.getCookies", urls=[f"{mounted}/ops/"])["cookies"] == []
    # The refusal of a look without a session is the browser's one complaint.
    assert [one for one in browser.complaints if "401" not in one] == []


def test_mounted_dashboard_answers_nothing_elsewhere(mounted: str) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert send(f"{mounted}/ops/api/look", headers=bearer)[0] == 200
    assert send(f"{mounted}/api/look", headers=bearer)[0] == 404
    assert send(f"{mounted}/ops/api/look")[0] == 401


@pytest.mark.parametrize(
    ("headers", "is_secure"),
    [
        ({"Origin": "https://{host}"}, True),
        ({"Origin": "http://{host}"}, False),
        ({"Origin": "http://{host}", "X-Forwarded-Proto": "https"}, True),
        ({"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Proto": "https, http"}, True),
        ({"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Proto": "http"}, False),
    ],
    ids=["TLS in the Origin", "no TLS", "TLS at a proxy", "a program through a proxy", "a proxy without TLS"],
)
def test_cookie_is_for_tls_alone_where_it_came_by_tls(
    guarded: Dashboard, headers: dict[str, str], is_secure: bool
) -> None:
    own = {name: value.replace("{host}", guarded.host) for name, value in headers.items()}
    status, answer, _ = guarded.request("POST", "/login", f"token={TOKEN}".encode(), {**FORM, **own})
    assert status == 303
    given = {one.strip().lower() for one in answer["Set-Cookie"].split(";")}
    assert ("secure" in given) is is_secure
    assert {"httponly", "samesite=strict"} <= given


@pytest.fixture
def behind_tls(guarded: Dashboard, tmp_path: Path) -> Iterator[str]:
    """The address of an nginx with TLS, as docs/dashboard.md has it, in front of a dashboard with a token."""
    place = tmp_path / "tls"
    place.mkdir()
    key, certificate = place / "key.pem", place / "certificate.pem"
    command = [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    page = (Path(__file__).parents[3] / "docs" / "dashboard.md").read_text()
    location = page.partition("```nginx\n")[2].partition("```")[0].replace(":8700", f":{guarded.port}")
    port = free_port()
    paths = "".join(
        f"  {kind}_temp_path {place}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (place / "nginx.conf").write_text(
        f"pid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\nhttp {{\n  access_log off;\n{paths}"
        f"  server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {certificate};\n"
        f"    ssl_certificate_key {key};\n{location}  }}\n}}\n"
    )
    nginx = [str(need("nginx")), "-p", str(place), "-c", str(place / "nginx.conf"), "-g", "daemon off;"]
    with ExitStack() as ends:
        service = {"stop_grace_period": "5s"}
        ends.enter_context(Part("tls", nginx, {}, lambda: is_listening(port), service=service, directory=place))
        yield f"https://127.0.0.1:{port}"


def test_browser_signs_in_behind_tls(browser: Browser, behind_tls: str, client: redis.Redis) -> None:
    """Its cookie goes to TLS alone, and its actions come from the dashboard's own origin."""
    browser.call("Security.setIgnoreCertificateErrors", ignore=True)
    browser.open(behind_tls)
    browser.wait_for("document.querySelector('#token') !== null")
    write(browser, "#token", TOKEN)
    click(browser, "button")
    browser.wait_for(LIVE)
    [cookie] = browser.call("Network.getCookies", urls=[behind_tls])["cookies"]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    pause_and_sign_out(browser, client, "through TLS")
    assert browser.call("Network.getCookies", urls=[behind_tls])["cookies"] == []


def test_outbox_card_counts_rows_and_says_when_it_cannot(
    browser: Browser, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a real table; a database that fails is said on the card, and the rest of the page goes on."""
    monkeypatch.setattr(looking, "OUTBOX_FRESH_S", 0.2)
    outbox = Outbox(metadata := MetaData())
    engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}")
    metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        ids = [outbox.add(session, "orders", "placed", number) for number in range(4)]
    with engine.begin() as connection:
        table = outbox.table
        connection.execute(update(table).where(table.c.message_id == ids[0]).values(parked="conflict: of a test"))
    with serve_asgi(asgi_app(outbox=[partial(outbox.figures, engine)])) as url:
        browser.open(url)
        browser.wait_for(LIVE)
        browser.wait_for("document.querySelector('#outbox-section').checkVisibility()")
        facts = "[...document.querySelectorAll('#outbox dd')].map((one) => one.textContent)"
        browser.wait_for(f"{facts}[0] === '3' && {facts}[2] === '1'")
        assert browser.evaluate("[...document.querySelectorAll('#outbox dt')].map((one) => one.textContent)") == [
            "Waiting rows",
            "Oldest",
            "Parked, for a person",
        ]
        metadata.drop_all(engine)
        wait_text(browser, "#outbox", "the database does not answer")
        assert browser.evaluate(LIVE)
        metadata.create_all(engine)
        browser.wait_for(f"{facts}[0] === '0'")
    engine.dispose()
    assert browser.complaints == []


def test_page_without_a_database_has_no_outbox_card(browser: Browser, dashboard: Dashboard) -> None:
    browser.open(dashboard.url)
    browser.wait_for(LIVE)
    assert not browser.evaluate("document.querySelector('#outbox-section').checkVisibility()")
    assert not browser.evaluate("document.querySelector('#app-chooser').checkVisibility()"), "one app alone"


def test_chooser_shows_and_acts_on_one_app(
    browser: Browser,
    serve: Callable[[Mapping[str, str]], Serve],
    environ: dict[str, str],
    client: redis.Redis,
) -> None:
    """The default app first; the lists, the figures and the actions are then the chosen app's."""
    two = {**environ, "SOCKUDO_APPS": json.dumps({"eu": URL.replace("/apps/app", "/apps/eu")})}
    bury(client, "of-default", channel="of-default")
    for number in range(2):
        fields: dict[Any, Any] = {"channel": "of-eu", "reason": "refused", "message": "", "attempts": 1, "first_ms": 0}
        client.xadd(lane_keys("eu", 0).dead, {**fields, "expiry": 0, "item": item("of-eu", "e", str(number))})
    browser.open(serve(two)().url)
    browser.wait_for(LIVE)
    browser.wait_for("document.querySelector('#app-chooser').checkVisibility()")
    options = browser.evaluate("[...document.querySelector('#app').options].map((one) => one.value)")
    assert (set(options), browser.evaluate("document.querySelector('#app').value")) == ({"default", "eu"}, "default")
    wait_rows(browser, "letters", 1)
    wait_text(browser, "#letters", "of-default")
    browser.evaluate(
        "(one => { one.value = 'eu'; one.dispatchEvent(new Event('change', { bubbles: true })); })"
        "(document.querySelector('#app'))"
    )
    wait_rows(browser, "letters", 2)
    wait_text(browser, "#letters", "of-eu")
    write(browser, "#pause-reason", "eu alone")
    click(browser, "#pause")
    wait_text(browser, "#pauses", "eu alone")
    assert client.exists("sockudo:{eu}:operator_pause")
    assert not client.exists("sockudo:{default}:operator_pause")
    click(browser, "#purge")
    wait_text(browser, "#confirm-text", "2 dead letters will be deleted")
    click(browser, "#confirm-yes")
    wait_rows(browser, "letters", 0)
    assert client.xlen(lane_keys("eu", 0).dead) == 0
    assert client.xlen(lane_keys("default", 0).dead) == 1
    browser.wait_for("document.querySelector('#app').value === 'eu'")
    assert browser.complaints == []


def test_page_outlives_a_restart_of_the_dashboard(
    browser: Browser, serve: Callable[[Mapping[str, str]], Serve], environ: dict[str, str]
) -> None:
    """It says that it is not up to date, and goes on without a reload and without another sign-in."""
    start = serve(environ)
    port = str(free_port())
    first = start("--port", port, SOCKUDO_DASHBOARD_TOKEN=TOKEN)
    browser.open(first.url)
    browser.wait_for("document.querySelector('#token') !== null")
    write(browser, "#token", TOKEN)
    click(browser, "button")
    browser.wait_for(LIVE)
    first.process.terminate()
    first.process.wait(timeout=30)
    wait_text(browser, "#away", "the dashboard does not answer")
    start("--port", port, SOCKUDO_DASHBOARD_TOKEN=TOKEN)
    browser.wait_for(LIVE)
    browser.wait_for("document.querySelector('#away').hidden")
