"""The plugin in a project of its own: what passes, what `sockudo_block` fails, with which sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.cases import in_depth
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]

TESTS = """
import threading, unittest
import pytest
from tests.support.cases import in_depth
from sockudo_publisher import publish, Sockudo, configure
from sockudo_publisher.testing import capture_published
import sockudo_publisher.dev.embedded as embedded

embedded.find_sockudo = lambda: None

def test_recorded(published):
    publish.delay("a", "e", 1)
    published.assert_one("a")

def test_recorded_in_a_block():
    with capture_published() as published:
        publish("a", "e", 1)
    published.assert_one("a")

@pytest.mark.sockudo(immediate_on_commit=True)
def test_marked(published):
    assert published.immediate_on_commit

@pytest.mark.sockudo(immediate=True)
def test_wrong_mark(published):
    pass

def test_asserts(published):
    publish.delay("a", "e", {"id": 1})
    published.assert_one("a", data={"id": 2})

def test_nested(published):
    with capture_published():
        pass

def test_blocked_delay():
    publish.delay("a", "e", 1)

def test_blocked_call():
    Sockudo("a", "k", "s").channel_info("a")

def test_blocked_and_swallowed():
    try:
        publish.delay("a", "e", 1)
    except BaseException:
        pass

def test_blocked_in_a_thread():
    def run():
        try:
            publish.delay("a", "e", 1)
        except BaseException:
            pass
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

class TestBlocked(unittest.TestCase):
    def test_blocked_in_unittest(self):
        publish.delay("a", "e", 1)

    @capture_published()
    def test_recorded_in_unittest(self, published):
        publish.delay("a", "e", 1)
        published.assert_one("a")

def test_other_host(sockudo_server):
    Sockudo("a", "k", "s", host="192.0.2.1").channel_info("a")

def test_allowed_host(sockudo_server):
    configure(redis_url="redis://redis.invalid:1/0", url=sockudo_server.url)
    try:
        publish.delay("a", "e", 1)
    except Exception as error:
        assert "cannot be reached" in str(error)

def test_server(sockudo_server, sockudo_subscriber):
    sockudo_subscriber.subscribe("a")
    publish("a", "e", 1)
    sockudo_subscriber.wait_for("a")

def test_real(sockudo_real):
    pass
"""
INI = """
[pytest]
sockudo_block = true
sockudo_allowed_hosts = redis.invalid
addopts = --strict-markers --strict-config
filterwarnings = error
"""
SENTENCE = "this test publishes, or calls Sockudo, outside of a fixture (sockudo_block)"


def run_pytest(
    directory: Path, *arguments: str, without: Sequence[str] = ("asyncio", "django")
) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "PYTEST_"))}
    # The plugin by its module: an environment that was made before the entry point has none.
    plugin = ["-p", "no:sockudo_publisher", "-p", "sockudo_publisher.testing.plugin", "-p", "no:cacheprovider"]
    for name in without:  # installed here, and with options of their own that this project does not set
        plugin += ["-p", f"no:{name}"]
    env |= {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(directory)}
    command = ["-m", "pytest", "-rA", "--tb=short", "-c", str(directory / "pytest.ini"), *plugin, *arguments]
    return run_python([*command, str(directory)], cwd=directory, env=env, timeout=280)


def outcomes(output: str) -> dict[str, str]:
    return {
        name.rpartition("::")[2]: outcome
        for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) (\S+)", output, re.MULTILINE)
    }


@pytest.mark.parametrize("arguments", in_depth({"one process": (), "xdist": ("-n", "2")}, quick=["one process"]))
def test_a_project_with_the_block(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "pytest.ini").write_text(INI)
    (tmp_path / "test_shop.py").write_text(TESTS)
    done = run_pytest(tmp_path, *arguments)
    found = outcomes(done.stdout)
    passed = {name for name, outcome in found.items() if outcome == "PASSED"}
    assert passed - {"test_blocked_and_swallowed", "test_blocked_in_a_thread"} == {
        *("test_recorded", "test_recorded_in_a_block", "test_marked", "test_recorded_in_unittest"),
        *("test_server", "test_allowed_host"),
    }, done.stdout + done.stderr
    assert {name for name, outcome in found.items() if outcome == "FAILED"} == {
        *("test_asserts", "test_nested", "test_blocked_delay", "test_blocked_call", "test_blocked_in_unittest"),
        "test_other_host",
    }
    assert {name for name, outcome in found.items() if outcome == "ERROR"} == {
        *("test_wrong_mark", "test_blocked_and_swallowed", "test_blocked_in_a_thread")
    }
    # Each once, at the test that it is of.
    assert done.stdout.count(f"E   Failed: {SENTENCE}") + done.stdout.count(f"\n{SENTENCE}") == 5, done.stdout
    assert "connects to 192.0.2.1 (sockudo_block)" in done.stdout
    assert "takes immediate_on_commit=True or False, nothing else" in done.stdout
    assert "a recorder is there already, begun at the fixture `published` of test_shop.py::test_nested:" in done.stdout
    assert re.search(r"SKIPPED .*sockudo_real: no Sockudo here; name its binary in SOCKUDO_BIN", done.stdout)
    assert "expected exactly one event on 'a' with data {'id': 2}, found 0" in done.stdout


def test_pytest_starts_in_a_process_that_has_the_package(tmp_path: Path) -> None:
    """As with a settings module that imports it; with warnings as errors pytest would not start."""
    (tmp_path / "pytest.ini").write_text(INI)
    (tmp_path / "test_one.py").write_text("def test_one(published):\n    published.assert_none()\n")
    source = (
        "import sys, sockudo_publisher, pytest; "
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:asyncio']))"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "PYTEST_"))}
    done = run_python(["-c", source], cwd=tmp_path, env=env, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_entry_point_names_the_plugin() -> None:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"sockudo_publisher": "sockudo_publisher.testing.plugin"}
    assert project["optional-dependencies"]["testing"] == ["sockudo-publisher[demo]"]
