"""The composed settings on the real parts: what redis-server, nginx, Sockudo and the worker do with them.

On a shared machine too: no other user can read the stack's files, and subscribers reach the path /app/ alone. All
tests have one stack, which they leave as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
import redis

from scripts import run_stack, stack, stack_check
from sockudo_publisher import publish
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.config.settings import Settings, configure
from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.nginx import is_listening
from tests.support.secrecy import files_that_hold, open_to_others, processes_that_show

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def programs():
    """Where the parts are; without one of them there is nothing to show here."""
    return stack.programs()


@pytest.fixture(scope="module")
def running(programs):
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


@pytest.fixture(scope="module")
def nginx_program():
    """nginx alone, for what it does whatever is behind it."""
    return str(stack.find_nginx())


@pytest.fixture
def nginx(nginx_program, tmp_path_factory):
    """nginx alone with the composed file, before a port on which the test may listen, or no server does."""
    directory = tmp_path_factory.mktemp("nginx")
    directory.chmod(0o755)
    ports = stack.Ports(*stack.free_ports(4))
    part = stack.Part(
        "nginx",
        stack.nginx_command(nginx_program, ports, directory),
        {},
        lambda: is_listening(ports.nginx),
        service={"stop_grace_period": "5s"},
        directory=directory,
    )
    with part:
        yield ports


def url(ports):
    return f"http://key:secret@127.0.0.1:{ports.nginx}/apps/app"


def test_nginx_accepts_its_file(nginx_program, tmp_path):
    """`nginx -t` has no complaint and no warning."""
    command = stack.nginx_command(nginx_program, stack.Ports(1, 2, 3, 4), tmp_path)
    result = subprocess.run(
        [*command[:-2], "-t"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "warn" not in result.stderr


def test_redis_keeps_what_it_was_given(running):
    """The running Redis says it of itself."""
    with redis.Redis.from_url(running.environment["SOCKUDO_REDIS_URL"], decode_responses=True) as client:
        configured = {**client.config_get("append*"), **client.config_get("maxmemory*")}
    assert configured["appendonly"] == "yes"
    assert configured["appendfsync"] == "everysec"
    assert configured["maxmemory-policy"] == "noeviction"
    assert int(configured["maxmemory"]) > 0


def test_a_batch_of_2000_is_taken_and_2001_is_not(running):
    """The limit is the configured app's own: Sockudo has read the file."""
    assert stack_check.post(running.url, stack_check.batch("limits", 2000)).status == 200
    refused = stack_check.post(running.url, stack_check.batch("limits", 2001))
    assert (refused.status, b"limit_exceeded" in refused.body) == (400, True)


def test_a_burst_reaches_its_subscriber_whole(running):
    """20,000 events as fast as they can be sent, to one subscriber."""
    with stack_check.subscribed(running, ["burst"]) as seen:
        for _ in range(10):
            assert stack_check.post(running.url, stack_check.batch("burst", 2000)).status == 200
        seen.wait_for_count(20_000, 60.0)
    assert [int(data[:5]) for data in seen.data()] == 10 * list(range(2000))


def test_metrics_are_there(running):
    """Where compose publishes them."""
    assert stack.http_answers(f"http://127.0.0.1:{running.ports.metrics}/metrics")


@pytest.mark.parametrize("after_s", stack_check.CUTS_S)
def test_nginx_finishes_a_batch_whose_client_is_gone(running, after_s):
    """All of it is seen, and its last id is remembered."""
    assert stack_check.cut_after_arrival(running, after_s) == (2000, True)


def test_without_nginx_the_server_stops_in_the_middle(running):
    """The danger is real: the same cuts straight to Sockudo leave batches half delivered."""
    direct = running.direct_url
    cuts = [stack_check.cut_in_the_middle(running, direct, after_s, within_s=0.5) for after_s in stack_check.CUTS_S]
    assert [seen for seen, remembered in cuts if 0 < seen < 2000 and not remembered]


def test_502_of_a_server_that_is_away_says_that_nothing_was_sent(nginx):
    """No server listens there: the header is 0, once."""
    answer = stack_check.post(url(nginx), stack_check.batch("c", 1))
    assert (answer.status, answer.headers["X-Upstream-Bytes-Sent"]) == (502, "0")


def test_502_of_a_server_that_hung_up_says_how_much_was_sent(nginx):
    """It took the whole request and closed: that is unknown, and one attempt."""
    taken = []

    def hang_up(listener):
        connection, _ = listener.accept()
        with connection:
            taken.append(connection.recv(65536))
        listener.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            taken.append(listener.accept())

    with socket.create_server(("127.0.0.1", nginx.sockudo)) as listener:
        server = threading.Thread(target=hang_up, args=[listener])
        server.start()
        answer = stack_check.post(url(nginx), stack_check.batch("c", 1))
        server.join()
    assert answer.status == 502
    assert int(answer.headers["X-Upstream-Bytes-Sent"]) == len(taken[0]) > 0
    assert len(taken) == 1


def test_the_signed_request_line_arrives_unchanged(nginx):
    """nginx decodes and encodes nothing, or the signature would not fit."""
    line = []

    def read(listener):
        connection, _ = listener.accept()
        with connection:
            line.append(connection.recv(65536).split(b"\r\n")[0])

    target = "/apps/a%20b%2Fc/events?x=%7e&y=a+b&&z=%C3%BC"
    with socket.create_server(("127.0.0.1", nginx.sockudo)) as listener:
        server = threading.Thread(target=read, args=[listener])
        server.start()
        with socket.create_connection(("127.0.0.1", nginx.nginx)) as client:
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            while client.recv(65536):
                pass
        server.join()
    assert line == [f"GET {target} HTTP/1.1".encode()]


def test_the_whole_stack_does_what_it_is_there_for(running, monkeypatch, capsys):
    """`make stack ARGS=--check`, on this stack: from the journal through the worker and nginx to a subscriber."""
    monkeypatch.setattr(run_stack, "running", lambda: contextlib.nullcontext(running))
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)  # a check sets them, for good
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = run_stack.main(["--check"])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert len(re.findall(r"^ok ", printed, re.MULTILINE)) == len(stack_check.CHECKS)
    assert f"SOCKUDO_URL  {running.url}" in printed


def secrets_of(running):
    """The app's secret, Redis' password and the master key."""
    environment = running.environment
    return [
        Credentials.from_url(running.url).secret,
        str(urlsplit(environment["SOCKUDO_REDIS_URL"]).password),
        environment["SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"],
    ]


def test_no_file_of_the_stack_is_open_to_others(running):
    """Append-only file, logs, secrets, requests that nginx keeps: 0700 and 0600."""
    assert list(running.directory.rglob("*.aof")), "there is an append-only file"
    assert open_to_others(running.directory) == []


def test_no_process_of_the_stack_shows_a_secret(running):
    """Redis, Sockudo, nginx and the worker: in no command line, and in no file but those of the secrets."""
    secrets = secrets_of(running)
    assert all(len(secret) >= 32 for secret in secrets)
    assert processes_that_show(*secrets) == []
    names = {"redis_password", "sockudo_app_secret", "sockudo_url", "sockudo_redis_url", "sockudo_master_key"}
    assert files_that_hold(running.directory, secrets) == names | {"application.env"}


def test_the_stack_wants_its_password(running):
    """As composed: every start has another one."""
    port = running.ports.redis
    with redis.Redis(port=port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.fixture(scope="module")
def front(running, tmp_path_factory):
    """The nginx of docs/deployment.md for subscribers; its port."""
    tmp_path = tmp_path_factory.mktemp("front")
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


def test_subscribers_come_through_the_documented_front(running, front):
    """They receive events through it."""
    with Subscriber(f"ws://127.0.0.1:{front}/app/{running.key}?protocol=7", "front") as seen:
        publish.delay("front", "n", "1")
        seen.wait_for_count(1, 60)


@pytest.mark.parametrize("path", ["/stats", "/usage", "/up", "/up/app", "/apps/app/channels", "/metrics", "/"])
def test_nothing_else_passes_the_documented_front(front, path):
    """Neither the HTTP API nor statistics."""
    connection = http.client.HTTPConnection("127.0.0.1", front, timeout=30)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.long
def test_the_check_starts_a_stack_and_ends_it(programs):
    """The same as a command."""
    result = subprocess.run(
        [sys.executable, "-m", "scripts.run_stack", "--check"],
        cwd=stack.ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(re.findall(r"^ok ", result.stdout, re.MULTILINE)) == len(stack_check.CHECKS)
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", result.stdout)}
    assert not any(is_listening(port) for port in ports)


@pytest.mark.long
def test_ctrl_c_ends_all_that_was_started(programs):
    """SIGINT, exit 0, and no process listens any more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.run_stack"], cwd=stack.ROOT, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        printed = []
        for text in process.stdout:
            printed.append(text)
            if text.startswith("Ctrl-C"):
                break
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", "".join(printed))}
        assert len(ports) == 4, "".join(printed)
        assert all(is_listening(port) for port in ports)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=150) == 0
        assert wait_for(lambda: not any(is_listening(port) for port in ports), 60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
