"""The composed settings on the real parts: what redis-server, nginx and Sockudo do with the files in worker/."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
import redis

from scripts import stack, stack_check
from sockudo_publisher.dev.embedded.process import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def programs():
    """Where the parts are; without one of them there is nothing to show here."""
    return stack.programs()


@pytest.fixture(scope="module")
def servers(programs):
    """Redis, Sockudo and nginx with the composed settings, no worker."""
    with stack.running(with_worker=False) as started:
        yield started


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
        lambda: listens(ports.nginx),
        service={"stop_grace_period": "5s"},
        directory=directory,
    )
    with part:
        yield ports


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


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


def test_redis_keeps_what_it_was_given(servers):
    """The running Redis says it of itself."""
    with redis.Redis.from_url(servers.environment["SOCKUDO_REDIS_URL"], decode_responses=True) as client:
        configured = {**client.config_get("append*"), **client.config_get("maxmemory*")}
    assert configured["appendonly"] == "yes"
    assert configured["appendfsync"] == "everysec"
    assert configured["maxmemory-policy"] == "noeviction"
    assert int(configured["maxmemory"]) > 0


def test_a_batch_of_2000_is_taken_and_2001_is_not(servers):
    """The limit is the configured app's own: Sockudo has read the file."""
    assert stack_check.post(servers.url, stack_check.batch("limits", 2000)).status == 200
    refused = stack_check.post(servers.url, stack_check.batch("limits", 2001))
    assert (refused.status, b"limit_exceeded" in refused.body) == (400, True)


def test_twenty_thousand_ids_are_remembered(servers):
    """Twice what a server by default holds before it remembers no new id."""
    stack_check.check_memory(servers)


def test_a_burst_reaches_its_subscriber_whole(servers):
    """20,000 events as fast as they can be sent, to one subscriber."""
    with stack_check.subscribed(servers, ["burst"]) as seen:
        for _ in range(10):
            assert stack_check.post(servers.url, stack_check.batch("burst", 2000)).status == 200
        seen.wait_for_count(20_000, 60.0)
    assert [int(data[:5]) for data in seen.data()] == 10 * list(range(2000))


def test_metrics_are_there(servers):
    """Where compose publishes them."""
    assert stack.http_answers(f"http://127.0.0.1:{servers.ports.metrics}/metrics")


@pytest.mark.parametrize("after_s", stack_check.CUTS_S)
def test_nginx_finishes_a_batch_whose_client_is_gone(servers, after_s):
    """All of it is seen, and its last id is remembered."""
    assert stack_check.cut_in_the_middle(servers, servers.url, after_s) == (2000, True)


def test_without_nginx_the_server_stops_in_the_middle(servers):
    """The danger is real: the same cuts straight to Sockudo leave batches half delivered."""
    direct = servers.direct_url
    cuts = [stack_check.cut_in_the_middle(servers, direct, after_s, within_s=0.5) for after_s in stack_check.CUTS_S]
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


def test_the_whole_stack_does_what_it_is_there_for(programs):
    """`make stack ARGS=--check`: from the journal through the worker and nginx to a subscriber."""
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
        assert all(listens(port) for port in ports)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=150) == 0
        assert wait_for(lambda: not any(listens(port) for port in ports), 60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
