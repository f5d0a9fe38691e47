"""The example project of tests, and the blocks of docs/testing.md, run as a user's project: no server on the PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "testing.md"

#: What Django's own test runner does before the tests.
DJANGO = """
import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["sockudo_publisher.outbox.django"],
    SECRET_KEY="for tests",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command

call_command("migrate", verbosity=0)
"""


def run_project(directory: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "PYTEST_", "DJANGO_"))}
    env |= {"PYTHONPATH": str(ROOT), "PATH": "/nonexistent", "HOME": str(directory)}
    # The plugin by its module: an environment that was made before the entry point has none.
    plugin = ["-p", "no:sockudo_publisher", "-p", "sockudo_publisher.testing.plugin", "-p", "no:cacheprovider"]
    plugin += ["-p", "no:asyncio", "-p", "no:django"]  # installed here, with settings that the project has not
    command = ["-m", "pytest", "-q", "--tb=short", "-c", str(directory / "pytest.ini"), *plugin, str(directory)]
    return run_python(command, cwd=directory, env=env, timeout=280)


@pytest.mark.long
def test_the_example_project_passes(tmp_path: Path) -> None:
    project = tmp_path / "shop"
    shutil.copytree(ROOT / "examples" / "testing", project, ignore=shutil.ignore_patterns("__pycache__"))
    done = run_project(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout


def test_every_block_of_the_page_passes(tmp_path: Path) -> None:
    page = PAGE.read_text()
    blocks = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == page.count("```python\n") == 10
    for name, source in blocks:
        (tmp_path / name).write_text(source)
    (ini,) = re.findall(r"^```ini\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "conftest.py").write_text(DJANGO)
    done = run_project(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    tests = sum(len(re.findall(r"^ *def test_", source, re.MULTILINE)) for _, source in blocks)
    assert f"{tests} passed" in done.stdout


def test_the_shown_failure_is_the_real_one() -> None:
    from sockudo_publisher import publish
    from sockudo_publisher.testing import capture_published

    with capture_published() as published:
        publish.delay("orders", "shipped", {"id": 788}, key="order-788")
        with pytest.raises(AssertionError) as failed:
            published.assert_one("orders", "shipped", data={"id": 789})
    assert f"```text\n{failed.value}\n```" in PAGE.read_text()
