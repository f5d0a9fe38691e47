"""pusher-js, unmodified, takes the same 23 steps with the real server and the embedded one, and sees the same."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.embedded import DevServerProcess, SockudoApp, SockudoServer, find_sockudo
from tests.support.pusher_js import pusher_js_modules

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parent / "node" / "steps.cjs"
APP = SockudoApp(
    "steps",
    "steps-key",
    "steps-secret",
    policy={"features": {"enable_client_messages": True, "enable_user_authentication": True}},
)
#: Seconds for all steps, on a machine with a lot to do.
STEPS_S = 200.0
STEPS = 23


def steps_with(modules: Path, port: int) -> list[dict[str, Any]]:
    """What each step gave."""
    app = {"id": APP.id, "key": APP.key, "secret": APP.secret}
    wish = {"modules": str(modules), "port": port, "name": "steps", **app}
    command = ["node", str(SCRIPT), json.dumps(wish)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=STEPS_S, check=False)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_pusher_js_sees_the_same_on_both(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Connect, each kind of channel, client event, sign-in, ping, large message, reconnect."""
    modules = pusher_js_modules()
    with DevServerProcess(tmp_path / "devserver", [APP]) as devserver:
        embedded = steps_with(modules, devserver.port)
    assert [one["step"] for one in embedded] == list(range(1, STEPS + 1))
    if find_sockudo() is None:
        request.getfixturevalue("sockudo")  # skips, or fails in CI
    with SockudoServer(tmp_path / "sockudo", [APP]) as sockudo:
        real = steps_with(modules, sockudo.port)
    assert embedded == real
