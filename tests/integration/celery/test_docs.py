"""The blocks of docs/publishing.md and docs/celery.md, run as a reader would: copied one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded import RedisServer
from tests.support.celery_worker import ForeignWorker
from tests.support.parts import need_module
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

#: A request to the application of the page, as a server hands it over.
REQUEST = """
async def request(path):
    said = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        said.append(message)
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path}
    await api({**scope, "raw_path": path.encode(), "query_string": b"", "headers": [], "scheme": "http"}, receive, send)
    import json
    return said[0]["status"], json.loads(said[1]["body"])["message_id"]

print(*asyncio.run(request("/orders/12/ship")))
"""

DOCS = Path(__file__).resolve().parents[3] / "docs"


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def run(source: str, environ: dict[str, str], directory: Path) -> str:
    """What it prints."""
    environ = {**environ, "PYTHONPATH": f"{directory}:{DOCS.parent}"}
    done = run_python(["-c", source], env=environ, cwd=directory, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_publishing_page(stack: Stack, tmp_path: Path) -> None:
    """Every block runs; what the comments promise is printed, and everything arrives."""
    need_module("fastapi")
    seen = stack.subscribe("orders", "customer-12", "chat", "prices", *(f"prices-{n}" for n in range(8)))
    stack.worker()
    page = [*blocks("publishing.md"), REQUEST]
    assert len(page) >= 8
    printed = run("\n".join(page), stack.python(), tmp_path).splitlines()
    assert printed[0] == printed[1]
    assert printed[2] == "SUCCESS"
    receipts = [line for line in printed if line.startswith("BulkReceipt")]
    assert receipts == ["BulkReceipt(count=2, already_stored=0)"]
    assert "10000" in printed
    assert "1000" in printed
    assert printed[-4:-2] == ["2", "1 1"]
    assert "orders" in printed[-2]
    assert printed[-1] == "200 order-12-shipped"
    # 30 s and a minute are not waited for; of the two with one key one is stored.
    seen.wait_for_count(1 + 2 + 1 + 1 + 1 + 1 + 1 + 1_000 + 10_000 + 2 + 1 + 1 + 1, 30)
    assert seen.data("chat") == ["hello"]


def test_celery_page(stack: Stack, tmp_path: Path) -> None:
    """The application of the page with a worker and a broker of its own, then every other block in one process."""
    module, *others = blocks("celery.md")
    assert module.startswith("# shop.py\n")
    assert len(others) >= 3
    (tmp_path / "shop.py").write_text(module)
    seen = stack.subscribe("orders", "invoices")
    with RedisServer(tmp_path / "their-broker", appendonly=False) as broker:
        environ = {**stack.python(), "MY_BROKER": broker.url}
        stack.worker()
        with ForeignWorker("shop", "celery", {**environ, "PYTHONPATH": str(DOCS.parent)}, tmp_path, tmp_path):
            printed = run("\n".join(others), environ, tmp_path).splitlines()
            # invoice, linked, group, chord, paid and reminder, from another program, eager
            seen.wait_for_count(1 + 1 + 3 + 3 + 2 + 1 + 1, 30)
    assert printed[0].startswith("stored ")
    assert printed[1] == "True"
    assert seen.data("invoices") == ['{"total":30.0}']
