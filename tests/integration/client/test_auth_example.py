"""examples/auth_endpoint.py as it stands, a process of its own: browsers and the real server call it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer, free_ports
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
MASTER_KEY = base64.b64encode(b"01234567890123456789012345678901").decode()
#: Seconds for the example to start, and for a webhook to come, on a machine with a lot to do.
SOON_S = 30.0


@dataclass
class Example:
    """The running example and the server whose app it belongs to."""

    url: str
    server: SockudoServer
    log: Path

    def post(self, path: str, body: bytes, token: str | None) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(self.url + path, body, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=SOON_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def wait_for(self, line: str) -> None:
        """Until it has printed this."""
        deadline = time.monotonic() + SOON_S
        while line not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def example(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    directory = tmp_path_factory.mktemp("example")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    policy = {
        "features": {"enable_user_authentication": True},
        "webhooks": [{"url": f"{url}/webhooks", "event_types": ["channel_occupied", "member_added"]}],
    }
    with SockudoServer(
        directory, [SockudoApp("app", "key", "secret", policy=policy)], program=sockudo.program
    ) as server:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
        environ |= {"SOCKUDO_URL": server.url, "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64": MASTER_KEY}
        with (directory / "example.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "examples/auth_endpoint.py", str(port)],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            running = Example(url, server, directory / "example.log")
            running.wait_for("listening on")
            yield running
        finally:
            process.terminate()
            process.wait(SOON_S)


@pytest.fixture
def socket(example: Example) -> Iterator[Subscriber]:
    with Subscriber(example.server.ws_url()) as subscriber:
        yield subscriber


def form(socket: Subscriber, channel: str) -> bytes:
    return urlencode({"socket_id": socket.socket_id, "channel_name": channel}).encode()


@pytest.mark.parametrize("channel", ["private-room", "private-encrypted-room", "private-mail-of-ada", "presence-room"])
def test_what_it_authorizes_the_server_lets_in(example: Example, socket: Subscriber, channel: str) -> None:
    """Each kind of channel; and the server's webhooks arrive and hold."""
    status, answer = example.post("/pusher/auth", form(socket, channel), "token-of-ada")
    assert status == 200
    assert ("shared_secret" in answer) == ("encrypted" in channel)
    answer.pop("shared_secret", None)
    socket.send({"event": "pusher:subscribe", "data": {"channel": channel, **answer}})
    socket.ping()
    assert socket.errors() == []
    example.wait_for(f"webhook: channel_occupied {channel}")
    if channel.startswith("presence-"):
        example.wait_for("webhook: member_added presence-room ada")


def test_it_signs_the_session_s_user_in(example: Example, socket: Subscriber) -> None:
    """Whatever else the form says."""
    body = urlencode({"socket_id": socket.socket_id, "id": "bob"}).encode()
    status, answer = example.post("/pusher/user-auth", body, "token-of-ada")
    assert (status, json.loads(answer["user_data"])["id"]) == (200, "ada")
    socket.send({"event": "pusher:signin", "data": answer})
    socket.ping()
    assert [frame["event"] for frame in socket.protocol_frames if "signin" in frame["event"]] == [
        "pusher:signin_success"
    ]


@pytest.mark.parametrize(
    ("path", "body", "token", "status"),
    [
        ("/pusher/auth", b"socket_id=1.1&channel_name=private-room", None, 401),
        ("/pusher/auth", b"socket_id=1.1&channel_name=private-mail-of-bob", "token-of-ada", 403),
        ("/pusher/auth", b"socket_id=1.1&channel_name=news", "token-of-ada", 400),
        ("/pusher/auth", b"socket_id=x&channel_name=private-room", "token-of-ada", 400),
        ("/pusher/auth", b"\xff", "token-of-ada", 400),
        ("/pusher/auth", b"", "token-of-ada", 400),
        ("/pusher/user-auth", b"", "token-of-ada", 400),
        ("/webhooks", b'{"time_ms":1,"events":[]}', None, 401),
        ("/elsewhere", b"", None, 404),
    ],
)
def test_what_it_refuses(example: Example, path: str, body: bytes, token: str | None, status: int) -> None:
    """No user, another user's, nonsense; and none of it is an error of the server."""
    answered, answer = example.post(path, body, token)
    assert (answered, list(answer)) == (status, ["error"])


def test_an_answer_is_of_no_use_to_another_socket(example: Example, socket: Subscriber) -> None:
    """The browser cannot pass it on."""
    _, answer = example.post("/pusher/auth", b"socket_id=1.1&channel_name=private-room", "token-of-ada")
    with pytest.raises(SubscriptionRefused):
        socket.subscribe("private-room", auth=answer["auth"])
