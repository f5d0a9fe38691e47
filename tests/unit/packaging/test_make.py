"""The commands of a bare machine: what `make` offers, and which Python it takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.parts import PARTS, need, not_for_this_case

pytestmark = pytest.mark.unit

TARGETS = [
    "help",
    "format",
    "lint",
    "types",
    "test",
    "test-long",
    "check",
    "conformance",
    "demo",
    "bench",
    "stack",
    "test-oldest",
    "test-all",
    "clean",
]


def run(*command, cwd, **environment):
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def machine(tmp_path, root):
    """A machine with the Pythons that a test puts on its PATH, and none besides: call it to run find-python."""
    directory = tmp_path / "bin"
    directory.mkdir()

    class Machine:
        def python(self, name, version=None):
            """Put one there; without a version it is a shim that refuses."""
            answer = f"echo {version}" if version else "echo 'version not set' >&2; exit 127"
            (directory / name).write_text(f"#!/bin/sh\n{answer}\n")
            (directory / name).chmod(0o755)

        def find(self, *arguments):
            return run(
                "/bin/sh",
                str(root / "scripts" / "find-python"),
                *arguments,
                cwd=tmp_path,
                PATH=str(directory),
                PYENV_ROOT=str(tmp_path / "pyenv"),
            )

    return Machine()


@pytest.mark.parametrize("target", TARGETS)
def test_make_tells_what_it_can_do(root, target):
    """`make help` has a line for each target that people use."""
    need("make")
    told = run("make", "--no-print-directory", "help", cwd=root).stdout
    assert re.search(rf"^  {target} +\S", told, re.MULTILINE)


def test_plain_make_is_help(root):
    """Nothing starts by accident."""
    need("make")
    assert run("make", cwd=root).stdout == run("make", "help", cwd=root).stdout != ""


def test_check_runs_every_check(root):
    """`make check` is the sum of what CI looks at."""
    need("make")
    commands = run("make", "-n", "check", cwd=root).stdout
    for command in ("ruff format --check", "ruff check", "lint-imports", "mypy", "pytest"):
        assert command in commands


def test_python3_is_taken_when_it_will_do(machine):
    """What `python3` means on this machine comes first."""
    machine.python("python3", "3.11")
    machine.python("python3.13", "3.13")
    assert machine.find().stdout.strip().endswith("/python3")


@pytest.mark.parametrize("version", ["3.9", "3.14", None], ids=["too old", "too new", "a shim that refuses"])
def test_another_python_is_found_when_python3_will_not_do(machine, version):
    """The newest of the supported ones that really runs."""
    machine.python("python3", version)
    machine.python("python3.13")
    machine.python("python3.12", "3.12")
    machine.python("python3.10", "3.10")
    assert machine.find().stdout.strip().endswith("/python3.12")


def test_the_oldest_is_found(machine):
    """For the lowest versions of the dependencies."""
    machine.python("python3", "3.13")
    machine.python("python3.10")
    machine.python("python3.11", "3.11")
    assert machine.find("--oldest").stdout.strip().endswith("/python3.11")


def test_a_version_that_is_not_here_is_said(machine):
    """Exit 1, and what to do about it."""
    machine.python("python3", "3.9")
    result = machine.find("3.12")
    assert result.returncode == 1
    assert "3.12" in result.stderr
    assert "PYTHON=" in result.stderr


def test_this_python_is_found(root):
    """The interpreter that runs the tests is one that find-python would know by its version."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = run("/bin/sh", "scripts/find-python", version, cwd=root)
    if found.returncode:
        not_for_this_case(f"Python {version} runs here but is neither on PATH nor where pyenv keeps its own")
    asked = run(found.stdout.strip(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])", cwd=root)
    assert asked.stdout.strip() == version


def test_the_ci_script_is_well_formed(root):
    """bash reads it to its end without running it."""
    need("bash")
    result = run("bash", "-n", ".ci/run", cwd=root)
    assert (result.returncode, result.stderr) == (0, "")


def test_ci_installs_every_part_that_tests_need(root):
    """From the system's packages; Sockudo is found or built, make and bash run it."""
    text = (root / ".ci" / "run").read_text()
    installed = re.search(r"packages=\((.*?)\n +\)", text, re.DOTALL)
    assert installed
    assert set(re.findall(r"\[(\w+)\]=", installed[1])) == PARTS.keys() - {"sockudo", "make", "bash"}
    looked_for = re.search(r"for part in ([\w ]+); do", text)
    assert looked_for
    assert set(looked_for[1].split()) == PARTS.keys() - {"sockudo", "make", "bash"}
    for part in looked_for[1].split():
        assert re.search(rf"^ +{part}\) .* ;;$", text, re.MULTILINE), part


def test_bare_machine_of_ci_does_without_every_part(root):
    """But Redis, which the wheel brings, and what runs the tests."""
    text = (root / ".ci" / "run").read_text()
    named = re.search(r"for name in ([A-Z ]+); do absent", text)
    assert named
    assert {name.lower() for name in named[1].split()} == PARTS.keys() - {"redis", "make"}


@pytest.mark.parametrize("file", ["Makefile", ".ci/run", "worker/Dockerfile", "pyproject.toml"])
def test_no_registry_is_named(root, file):
    """Where packages come from is the machine's business: mirrors work without a change."""
    text = (root / file).read_text()
    assert not re.search(r"pypi\.|pythonhosted|crates\.io|docker\.io|ghcr|--index|--extra-index", text)
