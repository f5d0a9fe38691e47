"""The blocks of docs/features.md, run as a reader would: published by its Python, subscribed by its frames."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from sockudo_publisher import publish
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.features.conftest import SETTINGS, Native
from tests.support.stack import Stack
from tests.support.warm import run_python

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "features.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_blocks_of_the_page(stack: Stack, native: Native) -> None:
    """Each filter gets what the page says; the user, the cache channel and the others get their events."""
    *publishing, receivers = blocks("python")
    assert receivers.startswith("# receivers.py\n")
    user = native("protocol=7")
    user.sign_in({"id": "42"})
    equal, joined_filters = native(), native()
    for socket, frame in zip((equal, joined_filters), blocks("json"), strict=True):
        socket.send_text(frame.strip())
        socket.until("sockudo_internal:subscription_succeeded")
        socket.settle()
    others = native()
    for channel in ("cursors", "document"):
        others.subscribe(channel)
    others.settle()
    stack.worker()
    done = run_python(["-c", "\n".join(publishing)], env=stack.python(), timeout=60)
    assert done.returncode == 0, done.stderr

    assert [json.loads(text) for text in user.wait_for_texts(3)] == [{"unread": n} for n in (3, 4, 5)]
    assert equal.wait_for_texts(1) == ['{"eur":1.09}']
    assert joined_filters.wait_for_texts(1) == ['{"eur":1.09}']
    publish.delay("prices", "tick", "for both", tags={"currency": "eur"})
    assert (equal.wait_for_texts(1), joined_filters.wait_for_texts(1)) == (["for both"], ["for both"])
    assert sorted(others.wait_for_texts(2)) == ['{"text":"…"}', '{"x":7}']
    late = native()
    late.subscribe("cache-prices")
    assert late.wait_for_texts(1) == ['{"eur":1.09}']


def test_settings_of_the_page_are_those_of_the_test() -> None:
    """Filters are switched on as the page says."""
    for block in blocks("toml"):
        for section, values in tomllib.loads(block).items():
            assert SETTINGS[section] == values


def test_receiver_of_the_page(stack: Stack) -> None:
    """In a worker with the option of the page."""
    (stack.directory / "receivers.py").write_text(blocks("python")[-1])
    (command,) = [line for block in blocks("sh") for line in block.splitlines()]
    assert "--include receivers " in command
    worker = stack.worker(args=["--include", "receivers"], env={"PYTHONPATH": str(stack.directory)})
    refused = publish.delay(stack.channel(), "ai-output", "the payload")
    line = f"app=default channel={stack.channel()} id={refused.id} reason=refused"
    assert wait_for(lambda: line in worker.log_text(), 30)
    assert "the payload" not in worker.log_text()
