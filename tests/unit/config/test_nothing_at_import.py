"""Importing the package reads nothing, so a program may set its variables after it; and imports no `rich`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]

#: Imports every module, and prints each read of the environment by a module of the package, and of SOCKUDO_* by any.
PROGRAM = """
import importlib, json, os, pkgutil, sys

reads = []

class Recorded(type(os.environ)):
    def __getitem__(self, name):
        note(name)
        return super().__getitem__(name)
    def __iter__(self):
        note("all names")
        return super().__iter__()

def note(name):
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in ("os", "_collections_abc", "collections.abc"):
        frame = frame.f_back
    reader = frame.f_globals.get("__name__", "")
    # It copies all variables when prometheus_client imports it, and uses none with this prefix.
    if reader.startswith("sockudo_publisher") or (name.startswith("SOCKUDO_") and reader != "wsgiref.handlers"):
        reads.append(f"{reader} {name}")

os.environ.__class__ = Recorded
import django, django.conf
APPS = [f"django.contrib.{name}" for name in ("contenttypes", "auth", "admin")] + ["sockudo_publisher.contrib.django"]
django.conf.settings.configure(INSTALLED_APPS=APPS, SOCKUDO={"LANES": "no number"})
django.setup()
import sockudo_publisher

def fail(name):
    raise

count = 0
for module in pkgutil.walk_packages(sockudo_publisher.__path__, "sockudo_publisher.", onerror=fail):
    if module.name.rpartition(".")[2] != "__main__":
        importlib.import_module(module.name)
        count += 1
for name in sockudo_publisher.__all__:
    getattr(sockudo_publisher, name)
from sockudo_publisher.config import settings
assert not settings._source.made, "the settings were used"
print(json.dumps({"reads": reads, "count": count, "has_rich": "rich" in sys.modules}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, Any]:
    """What the import of every module did, in one interpreter."""
    environ = {**os.environ, "SOCKUDO_URL": "no url", "SOCKUDO_LANES": "no number"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["count"] > 150
    return told


def test_no_module_reads_the_environment_when_imported(imported: dict[str, Any]) -> None:
    """Except the crash points, which a test sets before it starts a process."""
    assert imported["reads"] == ["sockudo_publisher.faultpoint SOCKUDO_FAULTPOINT"]


def test_no_module_needs_rich(imported: dict[str, Any]) -> None:
    """None imports it, the demo and the bench neither: where it is absent, all can be imported."""
    assert not imported["has_rich"]
