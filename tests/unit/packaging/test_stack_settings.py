"""`make stack` runs the composed settings: nothing is changed but addresses and directories."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from scripts import stack, stack_secrets

pytestmark = pytest.mark.unit

PORTS = stack.Ports(redis=1001, sockudo=1002, metrics=1003, nginx=1004, worker=1005)


@pytest.fixture
def composed():
    return stack.services({})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME:-fallback}", "fallback"),
        ("${SET:-fallback}", "value"),
        ("${EMPTY:-fallback}", "fallback"),
        ("a ${SET:-x} b ${NAME:-}", "a value b "),
        ("$${SET}", "${SET}"),
        ("$${SET:-x}", "${SET:-x}"),
        ("${SET:?message}/file", "value/file"),
    ],
)
def test_variables_are_replaced_as_compose_does(text, expected):
    """`:-` is for unset and empty, two dollars are one."""
    environ = {"SET": "value", "EMPTY": ""}
    assert stack.interpolated({"list": [text], "number": 1}, environ) == {"list": [expected], "number": 1}


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}], ids=["unset", "empty"])
def test_a_required_variable_is_required(environ):
    """As compose, with the file's own message."""
    with pytest.raises(KeyError, match="NAME: run this first"):
        stack.interpolated("${NAME:?run this first}/x", environ)


def test_redis_runs_its_composed_command_line(composed):
    """Every option of the file comes first and unchanged."""
    command = stack.redis_command(composed, "/bin/redis-server", PORTS, Path("/somewhere"))
    _, *options = composed["redis"]["command"]
    assert command == [
        "/bin/redis-server",
        *options,
        *("--bind", "127.0.0.1"),
        *("--port", "1001"),
        *("--dir", "/somewhere"),
    ]


def test_sockudo_reads_the_mounted_file(composed, root):
    """The file that compose mounts, where it lies in the repository."""
    command = stack.sockudo_command(composed, "/bin/sockudo")
    assert command == ["/bin/sockudo", "--config", str(root / "worker" / "sockudo.toml")]


def test_nginx_reads_the_mounted_file_but_for_addresses(root):
    """Of the whole configuration only the two addresses and the directories differ."""
    text = (root / "worker" / "nginx.conf").read_text()
    adapted = stack.nginx_configuration(text, PORTS, Path("/run/here"))
    changed = [line[1:].strip() for line in difflib.ndiff(text.splitlines(), adapted.splitlines()) if line[0] == "+"]
    settings = [line for line in changed if not line.startswith("#")]
    assert settings == [
        "pid /run/here/nginx.pid;",
        "client_body_temp_path /run/here/nginx-client-body;",
        "proxy_temp_path /run/here/nginx-proxy;",
        "fastcgi_temp_path /run/here/nginx-fastcgi;",
        "uwsgi_temp_path /run/here/nginx-uwsgi;",
        "scgi_temp_path /run/here/nginx-scgi;",
        "listen 127.0.0.1:1004;",
        "set $sockudo http://127.0.0.1:1002;",
    ]


def test_the_worker_has_the_composed_environment(composed, tmp_path):
    """Same names and values; the secrets' files lie elsewhere, and the port is this machine's."""
    environment = stack.worker_environment(composed, tmp_path, PORTS)
    assert environment.keys() == composed["worker"]["environment"].keys()
    assert environment["SOCKUDO_URL_FILE"] == f"{tmp_path}/sockudo_url"
    assert environment["SOCKUDO_DEDUP_WINDOW"] == composed["worker"]["environment"]["SOCKUDO_DEDUP_WINDOW"]


def test_the_worker_is_checked_as_composed(composed):
    """The same program text, with this Python and this port."""
    command = stack.worker_healthcheck(composed, PORTS)
    _, _, *arguments = composed["worker"]["healthcheck"]["test"]
    assert command[1:] == [one.replace("9108", "1005") for one in arguments]
    assert "1005" in command[-1]


def test_secrets_are_made_as_for_compose(composed, tmp_path):
    """By the same script, with addresses of this machine; an application gets the texts instead of the files."""
    stack_secrets.make_secrets(tmp_path / "secrets", "app", lambda text: stack.addressed(text, PORTS))
    settings = stack_secrets.application_environment(stack.worker_environment(composed, tmp_path / "secrets", PORTS))
    assert settings["SOCKUDO_URL"].endswith("@127.0.0.1:1004/apps/app")
    assert settings["SOCKUDO_REDIS_URL"].endswith("@127.0.0.1:1001/0")
    assert not [name for name in settings if name.endswith("_FILE") or "METRICS" in name]
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o600}


def test_servers_run_behind_their_composed_entry_points(composed, tmp_path):
    """Which read the secrets, from here."""
    command = stack.entered(composed["redis"], ["redis-server", "--port", "1"], tmp_path)
    assert command[:2] == ["sh", "-euc"]
    assert f"$(cat {tmp_path}/redis_password)" in command[2]
    assert command[3:] == ["sh", "redis-server", "--port", "1"]
    assert stack.entered(composed["nginx"], ["nginx"], tmp_path) == ["nginx"]


def test_the_worker_is_started_as_in_its_image():
    """`celery -A worker worker`, with this Python."""
    assert stack.worker_command()[1:] == ["-m", "celery", "-A", "worker", "worker"]
