"""Photograph the dashboard, with real parts behind it: docs/images/dashboard*.png.

    python -m scripts.dashboard_pictures [--seconds 60] [--to DIRECTORY]

Starts an embedded Redis, a Sockudo (the real one if it is found), a worker, the dashboard and a headless Chromium,
publishes at a changing rate, lets the server refuse some events, and takes the page light, dark and in a phone's width.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sockudo_publisher import configure, operations, publish
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.dev.embedded import (
    DevServerProcess,
    RedisServer,
    SockudoApp,
    SockudoServer,
    WorkerProcess,
    find_sockudo,
)
from tests.support.browser import Browser, open_tab, running_chromium
from tests.support.parts import need

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"

#: The server refuses larger events, which the publisher lets through.
SERVER_KB = 1

#: Each picture: its name, the colours, the width in pixels, the screen's pixels for each, and the largest height.
PICTURES = (
    ("dashboard", "light", 1280, 1.0, 2200),
    ("dashboard-dark", "dark", 1280, 1.0, 1130),
    ("dashboard-phone", "light", 390, 2.0, 1560),
)


def main() -> None:
    """Take all pictures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0, help="how long events are published before")
    options.add_argument("--to", type=Path, default=IMAGES)
    chosen = options.parse_args()
    with ExitStack() as ends:
        directory = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="dashboard-pictures-")))
        environ = _start_parts(ends, directory)
        url = _start_dashboard(ends, environ)
        home = directory / "chromium"
        home.mkdir()
        address = ends.enter_context(running_chromium(need("browser"), home))
        tab = ends.enter_context(open_tab(address))
        tab.call("Emulation.setScrollbarsHidden", hidden=True)
        tab.open(url)
        _publish(chosen.seconds)
        for name, colours, width, scale, most in PICTURES:
            _photograph(tab, chosen.to / f"{name}.png", colours, width, scale, most)


def _start_parts(ends: ExitStack, directory: Path) -> dict[str, str]:
    app = SockudoApp("shop", "shop-key", "shop-secret", limits={"max_event_payload_in_kb": SERVER_KB})
    redis = RedisServer(directory / "redis")
    server: DevServerProcess | SockudoServer = (
        SockudoServer(directory / "sockudo", [app])
        if find_sockudo()
        else DevServerProcess(directory / "sockudo", [app])
    )
    for part in (redis, server):
        ends.callback(part.stop)
        part.launch()
        part.wait_until_ready()
    configure(Settings(url=server.url, redis_url=redis.url))
    ends.callback(configure)
    settings = {"SOCKUDO_URL": server.url, "SOCKUDO_REDIS_URL": redis.url, "SOCKUDO_DEDUP_WINDOW": "60"}
    worker = WorkerProcess(settings, directory=directory / "worker", name="delivery-1")
    ends.callback(worker.stop)
    worker.launch()
    worker.wait_until_ready()
    others = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
    return {**others, **settings}


def _start_dashboard(ends: ExitStack, environ: dict[str, str]) -> str:
    command = [sys.executable, "-m", "sockudo_publisher.cli", "dashboard", "--port", "0", "--json"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    ends.callback(process.wait)
    ends.callback(process.terminate)
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


def _publish(seconds: float) -> None:
    """Events as of a shop: a wave of updates, some that the server refuses, some for later."""
    for number in range(3):
        data = {"order": 4700 + number, "note": "x" * (1024 * SERVER_KB)}
        publish.delay(f"private-orders.{4700 + number}", "order.updated", data)
    publish.delay("presence-warehouse", "picking.list", {"items": ["x" * 40] * 40 * SERVER_KB})
    for minutes, channel, event in ((20, "private-orders.4711", "feedback.asked"), (90, "offers", "offer.ends")):
        publish.apply_async((channel, event, {}), countdown=60 * minutes)
    operations.pause(reason="deploy of the shop", actor="ana (dashboard)")
    operations.resume(actor="ana (dashboard)")
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        count = int(40 + 30 * math.sin(passed / 6) + (60 if int(passed) % 20 in (5, 6) else 0))
        for index in range(count // 5):
            publish.delay(f"prices.{index % 24}", "price", {"cents": 1999 + index})
        time.sleep(0.2)


def _photograph(tab: Browser, path: Path, colours: str, width: int, scale: float, most: int) -> None:
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
    screen: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": scale, "mobile": width < 600}
    tab.call("Emulation.setDeviceMetricsOverride", **screen)
    for index in range(60):  # so that the picture is not of a page at rest
        publish.delay(f"prices.{index % 24}", "price", {"cents": 1999})
    time.sleep(2.5)
    height = min(most, int(tab.evaluate("document.documentElement.scrollHeight")))
    tab.call("Emulation.setDeviceMetricsOverride", **{**screen, "height": height})
    time.sleep(0.5)
    picture = tab.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
    path.write_bytes(base64.b64decode(picture["data"]))
    print(f"{path} ({path.stat().st_size // 1024} KB)")


if __name__ == "__main__":
    main()
