"""The blocks of docs/permissions.md, fastapi.md and flask.md, run as they stand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher import Settings, Sockudo, configure
from sockudo_publisher.contrib.permissions import authorize, default_registry
from sockudo_publisher.testing import sign_webhook
from tests.support.web_apps import send, serve_asgi, serve_wsgi

from .conftest import MASTER_KEY

pytestmark = pytest.mark.integration

DOCS = Path(__file__).resolve().parents[3] / "docs"
ADA = {"Authorization": "Bearer token-of-ada", "Content-Type": "application/x-www-form-urlencoded"}
URL = "http://key:secret@127.0.0.1:6001/apps/app"


def blocks(page: str) -> list[str]:
    found = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


def run_blocks(page: str, count: int) -> dict[str, Any]:
    """The first blocks of the page, one after the other, as one module."""
    module: dict[str, Any] = {"__name__": f"docs_{page.removesuffix('.md')}"}
    for block in blocks(page)[:count]:
        exec(compile(block, page, "exec", dont_inherit=True), module)
    return module


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """Nothing of a page stays in the default registry, and its settings are the page's."""
    before = tuple(default_registry)
    default_registry.clear()
    configure(Settings(url=URL, encryption_master_key_base64=MASTER_KEY))
    yield
    configure()
    default_registry.clear()
    for permission in before:
        default_registry._put(permission)


def auth(url: str, channel: str, headers: dict[str, str] = ADA) -> tuple[int, Any]:
    status, content, _ = send(f"{url}/pusher/auth", f"socket_id=1.2&channel_name={channel}".encode(), headers)
    return status, content


def check_shop(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the first block of both pages promises."""
    client = Sockudo.from_url(URL, encryption_master_key_base64=MASTER_KEY)
    assert auth(url, "private-orders.5") == (200, client.authenticate("private-orders.5", "1.2"))
    assert auth(url, "private-encrypted-orders.5")[1]["shared_secret"]
    assert auth(url, "presence-shop.main")[0] == 200
    assert auth(url, "private-orders.6")[0] == 403
    assert auth(url, "private-orders.5", {**ADA, "Authorization": "Bearer x"})[0] == 401
    assert send(f"{url}/pusher/user-auth", b"socket_id=1.2", ADA)[0] == 200
    headers, body = sign_webhook([{"name": "channel_occupied", "channel": "c"}], key="key", secret="secret")
    assert send(f"{url}/pusher/webhook", body, dict(headers))[0] == 200
    assert "channel_occupied c" in capsys.readouterr().out


def test_fastapi_page(published: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The application, its session variant, Starlette, and the test at the end."""
    from sockudo_publisher.contrib.fastapi import get_publisher

    assert len(blocks("fastapi.md")) == 6
    module = run_blocks("fastapi.md", 5)
    with serve_asgi(module["app"]) as url:
        check_shop(url, capsys)
        assert send(f"{url}/orders/5/remind?minutes=1", b"")[0] == 202
    published.assert_one("private-orders.5", "reminder", data={"id": 5}, countdown=60.0, via="apply_async")
    published.clear()
    with serve_asgi(module["plain"]) as url:
        assert auth(url, "private-orders.5", {"x-token": "token-of-ada"})[0] == 200
        assert auth(url, "private-orders.5", {})[0] == 401
    module |= {"asyncio": asyncio, "get_publisher": get_publisher}
    exec(blocks("fastapi.md")[5], module)
    module["test_shipping"](published)


def test_flask_page(published: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The application factory."""
    module = run_blocks("flask.md", 2)
    app = module["create_app"]()
    assert app.extensions["sockudo"] is module["sockudo"]
    with serve_wsgi(app) as url:
        check_shop(url, capsys)
        assert send(f"{url}/orders/5/ship", b"")[0] == 202
    published.assert_one("private-orders.5", "shipped", data={"id": 5})


def test_permissions_page() -> None:
    """The functions, and a framework of one's own."""
    module = run_blocks("permissions.md", 4)
    user = {"id": 7, "name": "Ada", "orders": {"5"}, "rooms": {"r"}}
    client = Sockudo.from_url(URL, encryption_master_key_base64=MASTER_KEY)
    for channel, status in {
        "private-orders.5": 200,
        "private-orders.6": 403,
        "presence-room.r": 200,
        "private-encrypted-room.r": 200,
        "presence-room.s": 403,
    }.items():
        assert module["auth_view"](client, f"socket_id=1.2&channel_name={channel}".encode(), user)[0] == status
    assert authorize(default_registry, client, b"socket_id=1.2&channel_name=presence-room.r", None).status == 401


def test_settings_of_a_flask_application() -> None:
    """`app.config["SOCKUDO"]` counts, and a wrong name is refused when the application is made."""
    from flask import Flask

    from sockudo_publisher import ConfigurationError
    from sockudo_publisher.config import settings as settings_module
    from sockudo_publisher.config.settings import get_settings
    from sockudo_publisher.contrib.flask import FlaskSockudo

    configure()
    before = settings_module._project
    try:
        app = Flask("shop")
        app.config["SOCKUDO"] = {"URL": URL, "LANES": 4}
        FlaskSockudo().init_app(app)
        assert (get_settings().url, get_settings().lanes) == (URL, 4)
        app = Flask("other")
        app.config["SOCKUDO"] = {"URL": URL, "LANE": 4}
        with pytest.raises(ConfigurationError, match="LANE"):
            FlaskSockudo().init_app(app)
    finally:
        settings_module._project = before
        configure()
