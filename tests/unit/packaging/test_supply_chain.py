"""What a release is made of is fixed: actions by commit, the image's packages by hash, and listed in an SBOM."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCKED = (ROOT / "worker" / "requirements.txt").read_text()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit(workflow: Path) -> None:
    """A tag can be moved to another commit. The release is beside it, for people."""
    used = re.findall(r"uses: (.+)$", workflow.read_text(), re.M)
    assert used
    for one in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", one), one
    assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}


def _pinned() -> dict[str, str]:
    """Name -> the lines of its requirement."""
    return {one.partition("==")[0]: one for one in re.split(r"\n(?=[a-z])", LOCKED) if "==" in one}


def test_every_package_of_the_image_has_its_hashes() -> None:
    for name, lines in _pinned().items():
        assert re.match(r"[a-z0-9-]+==[\w.]+ ", lines), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", lines), name
    assert not re.search(r"^\s*--(?!hash)", LOCKED, re.M), "an option would name an index or a place of one machine"


def test_locked_packages_are_the_declared_ones(project: dict) -> None:
    """All that the package needs, and the extra for metrics, which the image serves."""
    declared = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["metrics"]]
    names = {re.match(r"[A-Za-z0-9-]+", one)[0].lower() for one in declared}  # type: ignore[index]
    assert names <= set(_pinned())


def test_image_installs_only_what_is_locked() -> None:
    dockerfile = (ROOT / "worker" / "Dockerfile").read_text()
    last = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert "pip install --require-hashes -r requirements.txt" in last
    assert "pip install --no-deps /dist/*.whl" in last


def test_release_has_a_bill_of_materials() -> None:
    """Made from the locked file."""
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]["build"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    assert "cyclonedx-py requirements worker/requirements.txt" in commands
    assert "dist/sbom.cdx.json" in commands
