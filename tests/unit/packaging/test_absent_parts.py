"""What becomes of a test whose part is absent: skipped with its reason, failed in CI, unless that is known there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
#: Seconds for a pytest of its own, on a machine with a lot to do.
RUN_S = 240.0

#: A file of tests, one for each way to skip. None of the parts can be found.
FILE = """
import pytest
from sockudo_publisher.dev.embedded import PartMissing
from tests.support.parts import need, need_module, not_for_this_case, part_is_absent

@pytest.fixture
def nginx():
    return need("nginx")

@pytest.fixture
def helper():
    raise PartMissing("no Sockudo found")

def test_part():
    need("node")

def test_part_of_a_fixture(nginx):
    pass

def test_part_that_does_not_start():
    part_is_absent("browser", "no browser starts here")

def test_helper():
    raise PartMissing("no nginx found")

def test_helper_of_a_fixture(helper):
    pass

def test_module():
    need_module("no_such_module")

def test_by_pytest_itself():
    pytest.skip("no such program")

def test_module_by_pytest_itself():
    pytest.importorskip("no_such_module", reason="no such module")

@pytest.mark.skipif(True, reason="no such system")
def test_marker():
    pass

def test_not_for_this_case():
    not_for_this_case("no row locks in SQLite")
"""
#: Another, which is skipped as a whole.
WHOLE = 'import pytest\npytest.importorskip("no_such_module", reason="no such module")\n'
MISSING = [
    *("test_part", "test_part_of_a_fixture", "test_part_that_does_not_start", "test_helper"),
    *("test_helper_of_a_fixture", "test_module", "test_by_pytest_itself", "test_module_by_pytest_itself"),
    *("test_marker", "test_whole"),
]
#: What CI may know of: the tests that are skipped there then.
KNOWN = {
    "WITHOUT_NODE": ["test_part"],
    "WITHOUT_NGINX": ["test_part_of_a_fixture"],
    "WITHOUT_BROWSER": ["test_part_that_does_not_start"],
    "WITHOUT_NO_SUCH_MODULE": ["test_module"],
}

#: What the machine's variables may be.
MACHINES = {
    "developer's": {},
    "CI": {"CI": "true"},
    "CI that knows": {"CI": "true", **dict.fromkeys(KNOWN, "1")},
    "CI without helpers": {"CI": "true", **dict.fromkeys(("WITHOUT_REDIS", "WITHOUT_SOCKUDO", "WITHOUT_NGINX"), "1")},
}
#: Runs the files on each machine, in a process that is forked from one that has pytest imported.
PROGRAM = """
import gc, importlib, json, os, sys
import pytest
from _pytest.config import default_plugins
from tests.support import parts

parts.PARTS = {name: (lambda: None, how) for name, (_, how) in parts.PARTS.items()}
for name in default_plugins:
    importlib.import_module(f"_pytest.{name}")
gc.freeze()
for number, variables in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.environ.update(variables)
        os._exit(pytest.main([*sys.argv[2:], f"--junitxml=report-{number}.xml"], plugins=[parts]))
    os.waitpid(child, 0)
"""

Outcomes = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcomes]:
    """By machine: each test's outcome and its message."""
    directory = tmp_path_factory.mktemp("skips")
    (directory / "test_skips.py").write_text(FILE)
    (directory / "test_whole.py").write_text(WHOLE)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(("WITHOUT_", "SOCKUDO_", "PYTEST"))
    }
    done = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM, json.dumps(list(MACHINES.values()))),
            *("-c", os.devnull, "--rootdir", directory, "-p", "no:cacheprovider", "--assert=plain", "--tb=short"),
            *("--continue-on-collection-errors", directory),
        ],
        env={**kept, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: outcomes_of(directory / f"report-{number}.xml") for number, name in enumerate(MACHINES)}


def outcomes_of(report: Path) -> Outcomes:
    told: Outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        [result] = list(case)
        told[case.get("name", "").rpartition(".")[2]] = (result.tag, f"{result.get('message')} {result.text}")
    return told


def test_skipped_with_its_reason(outcomes: dict[str, Outcomes]) -> None:
    """On a developer's machine."""
    told = outcomes["developer's"]
    assert {name: outcome for name, (outcome, _) in told.items()} == dict.fromkeys(
        [*MISSING, "test_not_for_this_case"], "skipped"
    )
    assert [name for name, (_, complaint) in told.items() if "no " not in complaint] == []


def test_failed_in_ci(outcomes: dict[str, Outcomes]) -> None:
    """Whatever way it skips by; the failure says what to do. What no part could change is a skip there too."""
    told = dict(outcomes["CI"])
    assert told.pop("test_not_for_this_case")[0] == "skipped"
    assert {name for name, (outcome, _) in told.items() if outcome in ("failure", "error")} == set(MISSING)
    assert [
        name for name, (_, complaint) in told.items() if "no test may be skipped for want of a part" not in complaint
    ] == []
    assert "set WITHOUT_NODE=1" in told["test_part"][1]


def test_absence_that_ci_knows_of_is_a_skip(outcomes: dict[str, Outcomes]) -> None:
    """By a variable for each part; a helper's part is any that it could not find."""
    told = outcomes["CI that knows"]
    skipped = {name for name, (outcome, _) in told.items() if outcome == "skipped"}
    assert skipped == {"test_not_for_this_case", *(name for names in KNOWN.values() for name in names)}
    told = outcomes["CI without helpers"]
    assert {told[name][0] for name in ("test_helper", "test_helper_of_a_fixture")} == {"skipped"}
