"""`make stack` on a shared machine: no other user can read its files. Subscribers reach the path /app/ alone."""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from scripts import stack
from sockudo_publisher import publish
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.config.settings import Settings, configure
from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.nginx import is_listening
from tests.support.secrecy import files_that_hold, open_to_others, processes_that_show

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def running() -> Iterator[stack.Stack]:
    """The whole stack, started where files are readable by default, after it has stored an event."""
    before = os.umask(0o022)
    try:
        with stack.running() as started:
            configure(Settings(url=started.url, redis_url=started.environment["SOCKUDO_REDIS_URL"]))
            publish.delay("private", "n", "the payload of this event")
            yield started
    finally:
        configure()
        os.umask(before)


def secrets_of(running: stack.Stack) -> list[str]:
    """The app's secret, Redis' password and the master key."""
    environment = running.environment
    return [
        Credentials.from_url(running.url).secret,
        str(urlsplit(environment["SOCKUDO_REDIS_URL"]).password),
        environment["SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"],
    ]


def test_no_file_of_the_stack_is_open_to_others(running: stack.Stack) -> None:
    """Append-only file, logs, secrets, requests that nginx keeps: 0700 and 0600."""
    assert list(running.directory.rglob("*.aof")), "there is an append-only file"
    assert open_to_others(running.directory) == []


def test_no_process_of_the_stack_shows_a_secret(running: stack.Stack) -> None:
    """Redis, Sockudo, nginx and the worker: in no command line, and in no file but those of the secrets."""
    secrets = secrets_of(running)
    assert all(len(secret) >= 32 for secret in secrets)
    assert processes_that_show(*secrets) == []
    names = {"redis_password", "sockudo_app_secret", "sockudo_url", "sockudo_redis_url", "sockudo_master_key"}
    assert files_that_hold(running.directory, secrets) == names | {"application.env"}


def test_the_stack_wants_its_password(running: stack.Stack) -> None:
    """As composed: every start has another one."""
    port = running.ports.redis
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.fixture
def front(running: stack.Stack, tmp_path: Path) -> Iterator[int]:
    """The nginx of docs/deployment.md for subscribers; its port."""
    page = (stack.ROOT / "docs" / "deployment.md").read_text()
    [block] = re.findall(r"```nginx\n(location /app/ .*?)```", page, re.DOTALL)
    port = free_port()
    block = block.replace("127.0.0.1:6001", f"127.0.0.1:{running.ports.sockudo}")
    temporary = "".join(f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"pid nginx.pid; error_log stderr; events {{}} http {{ access_log off; {temporary} "
        f"server {{ listen 127.0.0.1:{port}; {block} }} }}"
    )
    command = [
        str(stack.find_nginx()),
        "-p",
        f"{tmp_path}/",
        "-c",
        "nginx.conf",
        "-g",
        f"daemon off; {stack.nginx_user()}",
    ]
    service = {"stop_grace_period": "5s"}
    with stack.Part("front", command, {}, lambda: is_listening(port), service=service, directory=tmp_path):
        yield port


def test_subscribers_come_through_the_documented_front(running: stack.Stack, front: int) -> None:
    """They receive events through it."""
    with Subscriber(f"ws://127.0.0.1:{front}/app/{running.key}?protocol=7", "front") as seen:
        publish.delay("front", "n", "1")
        seen.wait_for_count(1, 60)


@pytest.mark.parametrize("path", ["/stats", "/usage", "/up", "/up/app", "/apps/app/channels", "/metrics", "/"])
def test_nothing_else_passes_the_documented_front(front: int, path: str) -> None:
    """Neither the HTTP API nor statistics."""
    connection = http.client.HTTPConnection("127.0.0.1", front, timeout=30)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()
