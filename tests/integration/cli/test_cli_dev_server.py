"""``dev-server`` as a process: usable from what it prints, gone when told to go."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from sockudo_publisher.dev.embedded import SockudoApp
from sockudo_publisher.dev.embedded.answers import accepts

pytestmark = pytest.mark.integration


def test_what_it_prints_is_enough_to_publish(start, run, environ, subscriber):
    """Its SOCKUDO_URL takes events, its WebSocket delivers them."""
    server = start("dev-server", "--port", "0", "--json")
    ready = json.loads(server.stdout.readline())
    assert ready["event"] == "ready"
    environ["SOCKUDO_URL"] = ready["url"]
    seen = subscriber(f"ws://127.0.0.1:{ready['port']}/app/app-key?protocol=7", "c")
    assert run("publish", "--now", "c", "e", "hello")[0] == 0
    assert seen.take(1) == ["hello"]
    server.send_signal(signal.SIGTERM)
    stdout, stderr = server.communicate(timeout=30)
    assert server.returncode == 0, stderr.decode()
    assert json.loads(stdout)["event"] == "ended"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", ready["port"])) != 0


@pytest.mark.parametrize("by_file", [True, False])
def test_a_secret_of_one_s_own_is_not_printed(start, environ, tmp_path, by_file):
    """The default is known to everybody, this one is not: neither printed nor among the arguments."""
    arguments = []
    if by_file:
        (tmp_path / "secret").write_text("of-mine\n")
        arguments = ["--secret-file", str(tmp_path / "secret")]
    else:
        environ["SOCKUDO_DEVSERVER_SECRET"] = "of-mine"
    server = start("dev-server", "--port", "0", *arguments, "--json")
    line = server.stdout.readline()
    ready = json.loads(line)
    assert ready["event"] == "ready"
    assert b"of-mine" not in line
    app = SockudoApp("app-id", "app-key", "of-mine")
    assert accepts(ready["port"], app)
    assert not accepts(ready["port"], SockudoApp("app-id", "app-key", "app-secret"))


def test_a_secret_among_the_arguments_is_refused(start):
    """Every user of the machine could read it."""
    server = start("dev-server", "--port", "0", "--secret", "of-mine")
    _, stderr = server.communicate(timeout=60)
    assert server.returncode == 2
    assert b"SOCKUDO_DEVSERVER_SECRET" in stderr
    assert b"of-mine" not in stderr


def test_a_taken_port_is_an_error(start):
    """An application's settings name the port: another one would not be found."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start("dev-server", "--port", str(port))
        stdout, stderr = server.communicate(timeout=30)
    assert server.returncode == 1
    assert stdout == b""
    assert str(port) in stderr.decode()
    if Path("/proc/net/tcp").exists():
        assert f"process {os.getpid()}" in stderr.decode()


def test_redis_runs_beside_it_and_ends_with_it(start, run, environ):
    """Its URL needs no password and takes events; after the end neither port answers, no directory is left."""
    server = start("dev-server", "--port", "0", "--redis", "0", "--json")
    ready = json.loads(server.stdout.readline())
    environ |= {"SOCKUDO_URL": ready["url"], "SOCKUDO_REDIS_URL": ready["redis"]}
    assert run("publish", "c", "e", "hello")[0] == 0
    with redis.Redis.from_url(ready["redis"]) as client:
        directory = Path(str(client.config_get("dir")["dir"]))
    assert directory.is_dir()
    server.send_signal(signal.SIGTERM)
    _, stderr = server.communicate(timeout=30)
    assert server.returncode == 0, stderr.decode()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(ready["redis"]).port)) != 0
    assert not directory.exists()


def test_a_taken_redis_port_is_an_error(start):
    """Not a second Redis elsewhere, and not the one that is there, whose data are others'."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start("dev-server", "--port", "0", "--redis", str(port))
        stdout, stderr = server.communicate(timeout=30)
    assert (server.returncode, stdout) == (1, b"")
    assert f"--redis: port {port}: taken" in stderr.decode()
