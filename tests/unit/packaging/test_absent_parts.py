"""What becomes of a test whose part is absent: skipped with its reason, failed in CI, unless that is known there."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

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

Outcomes = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Outcomes]:
    """Run the file with these variables: each test's outcome and its message."""

    def run(**environ: str) -> Outcomes:
        directory = tmp_path_factory.mktemp("skips")
        (directory / "test_skips.py").write_text(FILE)
        (directory / "test_whole.py").write_text(WHOLE)
        others = {name: value for name, value in os.environ.items() if name != "CI"}
        others = {
            name: value for name, value in others.items() if not name.startswith(("WITHOUT_", "SOCKUDO_", "PYTEST"))
        }
        source = (
            "import pytest, sys; from tests.support import parts;"
            "parts.PARTS = {name: (lambda: None, how) for name, (_, how) in parts.PARTS.items()};"
            "sys.exit(pytest.main(sys.argv[1:], plugins=[parts]))"
        )
        report = directory / "report.xml"
        subprocess.run(
            [
                *(sys.executable, "-c", source, "-c", os.devnull, "-p", "no:cacheprovider"),
                *("--junitxml", report, "--continue-on-collection-errors", directory),
            ],
            env={**others, **environ},
            cwd=Path(__file__).resolve().parents[3],
            capture_output=True,
            timeout=RUN_S,
            check=False,
        )
        told: Outcomes = {}
        for case in ET.parse(report).getroot().iter("testcase"):
            [result] = list(case)
            told[case.get("name", "").rpartition(".")[2]] = (result.tag, f"{result.get('message')} {result.text}")
        return told

    return run


@pytest.mark.long
def test_skipped_with_its_reason(outcomes: Callable[..., Outcomes]) -> None:
    """On a developer's machine."""
    told = outcomes()
    assert {name: outcome for name, (outcome, _) in told.items()} == dict.fromkeys(
        [*MISSING, "test_not_for_this_case"], "skipped"
    )
    assert [name for name, (_, complaint) in told.items() if "no " not in complaint] == []


def test_failed_in_ci(outcomes: Callable[..., Outcomes]) -> None:
    """Whatever way it skips by; the failure says what to do. What no part could change is a skip there too."""
    told = outcomes(CI="true")
    assert told.pop("test_not_for_this_case")[0] == "skipped"
    assert {name for name, (outcome, _) in told.items() if outcome in ("failure", "error")} == set(MISSING)
    assert [
        name for name, (_, complaint) in told.items() if "no test may be skipped for want of a part" not in complaint
    ] == []
    assert "set WITHOUT_NODE=1" in told["test_part"][1]


def test_absence_that_ci_knows_of_is_a_skip(outcomes: Callable[..., Outcomes]) -> None:
    """By a variable for each part; a helper's part is any that it could not find."""
    told = outcomes(CI="true", **dict.fromkeys(KNOWN, "1"))
    skipped = {name for name, (outcome, _) in told.items() if outcome == "skipped"}
    assert skipped == {"test_not_for_this_case", *(name for names in KNOWN.values() for name in names)}
    told = outcomes(CI="true", WITHOUT_REDIS="1", WITHOUT_SOCKUDO="1", WITHOUT_NGINX="1")
    assert {told[name][0] for name in ("test_helper", "test_helper_of_a_fixture")} == {"skipped"}
