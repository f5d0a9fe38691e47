"""The Python blocks of docs/migrating.md, run one after the other; what they print is what they promise."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from tests.support.stack import SubscriberFactory

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[3] / "docs" / "migrating.md"
APP = SockudoApp("your-app-id", "your-app-key", "your-app-secret")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMISE = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.fixture
def server(sockudo: SockudoServer, tmp_path: Path) -> Iterator[SockudoServer]:
    with SockudoServer(tmp_path, (APP,), program=sockudo.program) as server:
        yield server


def test_blocks_run_and_what_they_publish_arrives(
    server: SockudoServer, subscriber: SubscriberFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one program, as a reader would go through the page."""
    monkeypatch.setenv("SOCKUDO_URL", server.url)
    seen = subscriber(server, "my-channel")
    text = PAGE.read_text().replace("6001", str(server.port))
    blocks = BLOCK.findall(text)
    assert len(blocks) == 4
    program = "\n".join(blocks)
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, str(PAGE), "exec"), names)
    assert printed.getvalue().splitlines() == PROMISE.findall(program)
    assert len(PROMISE.findall(program)) == 3
    wanted = ['{"message":"hello world"}', '{"hello":"world"}', "text", '{"message":"hello"}', "1", "2"]
    assert seen.take(len(wanted)) == wanted


def test_calls_of_the_right_columns_exist() -> None:
    """What a table says one has here is a method of the client, or its constructor."""
    page = PAGE.read_text()
    ours = page.split("| `sockudo-http-python` 2.2 | here |", 1)[1].split("Two more things differ", 1)[0]
    named = {
        name
        for row in ours.splitlines()
        if row.startswith("| ") and row.count(" | ") >= 1
        for name in re.findall(r"`\**(\w+)(?:\(|`)", row.rsplit(" | ", 1)[1])
    }
    methods = {name for name in named if not name[0].isupper() and name not in ("dict", "message_id")}
    assert len(methods) >= 12
    assert [name for name in sorted(methods) if not hasattr(Sockudo, name)] == []
