"""examples/django-orders as its README starts it, with PostgreSQL: two people at the desk, a customer, in Chromium."""
# ruff: noqa: RUF001 -- the multiplication sign is what the pages show

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.browser import Browser, browser, chromium
from tests.support.example_app import ExampleApp, ExampleProcess, copy_example, run_example
from tests.support.parts import need
from tests.support.postgres import Postgres
from tests.support.stack import Stack
from tests.support.web_apps import send

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration


class Desk:
    """The running project, and requests of its users without a browser."""

    def __init__(self, directory: Path, env: dict[str, str], database: str) -> None:
        self.directory, self.env, self.database = directory, env, database
        self.app = ExampleApp(directory, ["manage.py", "runserver", "--noreload", "{port}"], env)

    def manage(self, *arguments: str) -> str:
        return run_example(self.directory, ["manage.py", *arguments], self.env)

    def count(self, table: str) -> int:
        with psycopg.connect(self.database) as connection:
            ((number,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
            return int(number)


class Person:
    """A user with a session, and no browser."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._url, self._csrf = desk.app.url, "0" * 32
        self._cookie = f"csrftoken={self._csrf}"
        form = f"csrfmiddlewaretoken={self._csrf}&username={name}&password={name}"
        headers = {"Cookie": self._cookie, "Content-Type": "application/x-www-form-urlencoded"}
        # Not by `send`, which follows the redirect: the session's cookie is in the answer to the form.
        address = urlsplit(self._url)
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=60)) as connection:
            connection.request("POST", "/sign-in/", form, headers)
            answer = connection.getresponse()
            assert answer.status == 302
            cookies = answer.headers.get_all("Set-Cookie") or []
        pairs = [one.partition(";")[0] for one in cookies]
        self._csrf = next((one.partition("=")[2] for one in pairs if one.startswith("csrftoken")), self._csrf)
        self._cookie = "; ".join(pairs)

    def post(self, path: str, form: str) -> tuple[int, Any]:
        headers = {"Cookie": self._cookie, "X-CSRFToken": self._csrf}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return send(self._url + path, form.encode(), headers)[:2]

    def order(self, sku: str, quantity: int) -> tuple[int, Any]:
        return self.post("/orders/", f"sku={sku}&quantity={quantity}")

    def may_join(self, channel: str) -> int:
        return self.post("/sockudo/auth/", f"socket_id=1.2&channel_name={channel}")[0]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    need("postgres")
    server = Postgres(need("postgres"))
    server.initialize()
    try:
        with server:
            yield server
    finally:
        server.remove()


@pytest.fixture
def desk(stack: Stack, postgres: Postgres, tmp_path: Path) -> Iterator[Desk]:
    need("browser")
    need("node")
    database = f"desk_{stack.unique}"
    postgres.run(f"CREATE DATABASE {database}")
    env = {**stack.python(), "DESK_DATABASE": postgres.url(database)}
    desk = Desk(copy_example("django-orders", tmp_path), env, postgres.url(database))
    desk.manage("migrate", "-v0")
    desk.manage("demo")
    with ExitStack() as running:
        parts = {("sockudo", "worker"): "[queues]", ("sockudo_relay", "--listen"): "sockudo_outbox"}
        for arguments, ready in parts.items():
            process = ExampleProcess(desk.directory, ["manage.py", *arguments], env, ready)
            running.enter_context(process)
        running.enter_context(desk.app)
        yield desk


def sign_in(tab: Browser, desk: Desk, name: str) -> None:
    tab.open(desk.app.url)
    tab.evaluate(
        f"document.querySelector('[name=username]').value = document.querySelector('[name=password]').value = '{name}';"
        "document.querySelector('#sign-in').submit()"
    )
    tab.wait_for("location.pathname !== '/sign-in/' && document.readyState === 'complete'")


def cards(column: str) -> str:
    return f"[...document.querySelectorAll('[data-column={column}] .order b')].map((one) => one.textContent).join('; ')"


def test_orders_move_over_the_desk(desk: Desk, browser: Browser) -> None:
    """Placed by others, packed and shipped on the board; a refused order leaves no row and no event."""
    sign_in(browser, desk, "desk")
    browser.wait_for("document.querySelectorAll('#stock li').length === 4 && people.subscribed")
    assert browser.evaluate("document.querySelector('#people').children.length") == 1
    ada = Person(desk, "ada")
    assert ada.order("tea", 2)[0] == ada.order("cup", 1)[0] == 201
    browser.wait_for(f"{cards('new')} === '1 × Blue cup; 2 × Green tea'")
    browser.wait_for("document.querySelector('[data-sku=tea] b').textContent === '118'")
    assert ada.order("pot", 26) == (409, {"error": "Only 25 left of Cast-iron pot."})
    assert ada.order("pot", 0)[0] == 409
    status, pots = ada.order("pot", 25)
    assert status == 201
    browser.wait_for(f"{cards('new')} === '25 × Cast-iron pot; 1 × Blue cup; 2 × Green tea'")
    browser.wait_for("document.querySelector('[data-sku=pot]').className === 'low'")
    browser.evaluate("document.querySelector('[data-order=\"1\"] button').click()")
    browser.wait_for(f"{cards('packed')} === '2 × Green tea'")
    browser.evaluate("document.querySelector('[data-order=\"1\"] button').click()")
    browser.wait_for(f"{cards('shipped')} === '2 × Green tea'")
    # Not 3: the refused order has used a number of the sequence.
    browser.evaluate(f"document.querySelector('[data-order=\"{pots['id']}\"] .plain').click()")
    browser.wait_for(f"{cards('new')} === '1 × Blue cup'")
    browser.wait_for("document.querySelector('[data-sku=pot] b').textContent === '25'")
    (desk.directory.parent / "desk.png").write_bytes(base64.b64decode(browser.call("Page.captureScreenshot")["data"]))
    assert desk.count("orders_order") == 3
    assert ada.post("/orders/2/move/", "state=packed")[0] == 403
    assert [line for line in browser.complaints if "favicon" not in line] == []


@pytest.mark.long
def test_customers_follow_their_own_order(desk: Desk, browser: Browser) -> None:
    """The customer's page moves when the admin's action ships; other customers see neither page nor channel."""
    sign_in(browser, desk, "ada")
    browser.evaluate("document.querySelector('#place').requestSubmit()")
    browser.wait_for("location.pathname === '/orders/1/' && document.querySelector('.now')?.textContent === 'Received'")
    grace, packer = Person(desk, "grace"), Person(desk, "desk")
    assert [grace.may_join(name) for name in ("private-order.1", "private-desk", "presence-desk")] == [403] * 3
    assert [packer.may_join(name) for name in ("private-order.1", "private-desk", "presence-desk")] == [200] * 3
    assert grace.may_join("private-order.1x") == grace.may_join("private-order.9") == 403
    assert packer.post("/admin/orders/order/", "action=pack&_selected_action=1")[0] == 200
    browser.wait_for("document.querySelector('.now').textContent === 'Packed'")
    assert packer.post("/orders/1/move/", "state=shipped") == (200, {"version": 3})
    browser.wait_for("document.querySelector('.now').textContent === 'On its way'")
    (desk.directory.parent / "track.png").write_bytes(base64.b64decode(browser.call("Page.captureScreenshot")["data"]))
    assert packer.post("/orders/1/move/", "state=packed")[0] == 409
    browser.open(f"{desk.app.url}/orders/2/")
    assert "Page not found (404)" in browser.text("body")
    assert [line for line in browser.complaints if "404" not in line] == []
