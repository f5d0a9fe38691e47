"""The page of docs/fastapi.md in Chromium: its application, and its JavaScript as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from sockudo_publisher import Settings, Sockudo, configure
from sockudo_publisher.contrib.permissions import default_registry
from sockudo_publisher.dev.embedded import SockudoServer
from tests.support.browser import Browser, browser, chromium
from tests.support.pusher_js import pusher_js_modules
from tests.support.web_apps import serve_asgi

from .conftest import MASTER_KEY
from .test_docs import DOCS, run_blocks

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration

HTML = '<!doctype html><meta charset=utf-8><title>Shop</title><link rel=icon href="data:,"><script>{}</script>'


@pytest.fixture
def settings(js_server: SockudoServer) -> Iterator[None]:
    """The real server's, and a registry of this test's own."""
    before = tuple(default_registry)
    default_registry.clear()
    configure(Settings(url=js_server.url, encryption_master_key_base64=MASTER_KEY))
    yield
    configure()
    default_registry.clear()
    for permission in before:
        default_registry._put(permission)


def test_fastapi_page_in_a_browser(settings: None, js_server: SockudoServer, browser: Browser) -> None:
    """The user signs in, the order of that user arrives, and the tokens are in the requests' headers."""
    from fastapi.responses import HTMLResponse

    app = run_blocks("fastapi.md", 1)["app"]
    library = (pusher_js_modules() / "pusher-js" / "dist" / "web" / "pusher.min.js").read_text()
    app.get("/", response_class=HTMLResponse)(lambda: HTML.format(library))
    (block,) = re.findall(r"^```js\n(.*?)^```", (DOCS / "fastapi.md").read_text(), re.MULTILINE | re.DOTALL)
    block = block.replace("new Pusher(key", f"new Pusher({js_server.apps[0].key!r}")
    block = block.replace("wsPort: 6001", f"wsPort: {urlsplit(js_server.url).port}")
    with serve_asgi(app) as url:
        browser.open(url)
        browser.evaluate("window.logged = []; console.log = (text) => logged.push(text); 0")
        browser.call("Runtime.evaluate", expression=block, replMode=True)
        browser.wait_for("pusher.user.user_data?.id === 'ada' && pusher.channel('private-orders.5').subscribed")
        with Sockudo.from_url(js_server.url) as client:
            client.trigger("private-orders.5", "shipped", {"id": 5})
        browser.wait_for("logged.join() === '5'")
    assert browser.complaints == []
