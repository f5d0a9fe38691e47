"""Each release has its site, beside those of the earlier ones: `mike`, as .github/workflows/release.yml runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.integration, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[3]
#: What a build of the site reads.
READ = ["CHANGELOG.md", "README.md", "mkdocs.yml", "docs", "scripts", "sockudo_publisher"]


def released(tag: str) -> list[str]:
    """The commands with which the workflow publishes this tag, without the push."""
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]["site"]["steps"]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("mike ")]
    assert len(commands) == 2
    return [line.replace("--push ", "").replace('"${GITHUB_REF_NAME#v}"', tag.removeprefix("v")) for line in commands]


def test_releases_have_their_sites_side_by_side(tmp_path: Path) -> None:
    """The menu lists both; the address without a version leads to the newest."""
    pytest.importorskip("mike")
    for name in READ:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "NO_MKDOCS_2_WARNING": "1"}

    def run(command: str) -> str:
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
        return done.stdout

    run("git init -q && git config user.name site && git config user.email site@localhost")
    # Links out of docs/ have to lead to files; the site itself is of docs/ alone.
    for outside in ("SECURITY.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "docker-compose.yml"):
        shutil.copy(ROOT / outside, tmp_path / outside)
    for outside in ("examples", "benchmarks", "tests", "worker", ".ci"):
        (tmp_path / outside).symlink_to(ROOT / outside)
    run("git add mkdocs.yml && git commit -q -m site")
    for tag in ("v0.1.0", "v0.2.0"):
        for command in released(tag):
            run(command)
    versions = json.loads(run("git show gh-pages:versions.json"))
    assert [(one["version"], one["aliases"]) for one in versions] == [("0.2.0", ["latest"]), ("0.1.0", [])]
    assert 'href="latest/"' in run("git show gh-pages:index.html")
    for directory in ("0.1.0", "0.2.0"):
        assert "<title>" in run(f"git show gh-pages:{directory}/start/django/index.html")
    # The menu needs to know where it is.
    assert '"provider": "mike"' in run("git show gh-pages:0.2.0/index.html")
