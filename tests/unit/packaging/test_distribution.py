"""What is released: the wheel is the package alone and complete, the source archive can build and test it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser

import pytest

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def dist(root, tmp_path_factory):
    """Both archives, built by the declared back end (it is installed for the tests)."""
    directory = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(directory)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return directory


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_has_one_top_level_package(wheel):
    """No `worker`, `tests` or `scripts` lands in a user's site-packages."""
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"sockudo_publisher"}


def test_the_wheel_has_every_file_of_the_package(wheel, root):
    """Scripts in Lua, the page, the day of departures and py.typed are there, and nothing that Python left behind."""
    packed = {name for name in wheel.namelist() if name.startswith("sockudo_publisher/")}
    there = {
        str(path.relative_to(root))
        for path in (root / "sockudo_publisher").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there
    assert {"sockudo_publisher/py.typed"} <= packed
    assert [name for name in packed if name.endswith(".lua")]
    assert {name.rpartition("/")[2] for name in packed if "/deploy_files/" in name} >= {"alerts.yml", "grafana.json"}
    assert [name for name in packed if name.endswith(".html")]


def test_the_demo_is_light(wheel):
    """Page and data of the demo are at most 300 kB, unpacked."""
    demo = [info for info in wheel.infolist() if info.filename.startswith("sockudo_publisher/dev/demo/")]
    data = [info.file_size for info in demo if not info.filename.endswith(".py")]
    assert data
    assert sum(data) <= 300_000


def test_the_source_archive_can_be_built_tested_and_started(dist):
    """Everything that `make test` and `make stack` read is in it."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "Makefile",
        "docker-compose.yml",
        "worker/Dockerfile",
        "worker/nginx.conf",
        "worker/sockudo.toml",
        "worker/make-secrets",
        "scripts/find-python",
        "examples/testing/pytest.ini",
        "tests/conformance/facts-5.2.0.json",
        "tests/unit/packaging/test_distribution.py",
        "sockudo_publisher/py.typed",
    } <= names


def test_the_source_archive_has_every_python_file(dist, root):
    """A pattern of .gitignore, which the build follows, leaves out no module, test or example by its name."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    there = {
        str(file.relative_to(root))
        for room in ("sockudo_publisher", "worker", "tests", "scripts", "examples", "benchmarks")
        for file in (root / room).rglob("*.py")
    }
    assert there <= packed, sorted(there - packed)


def test_the_command_is_installed(wheel):
    """`sockudo-publisher` is there after `pip install`."""
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "sockudo-publisher = sockudo_publisher.cli:main" in wheel.read(name).decode()


def test_the_declared_pythons_are_the_tested_ones(metadata, root):
    """Classifiers, requires-python and `make test-all` speak of the same versions."""
    classified = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier")))
    (tested,) = re.findall(r"^VERSIONS := (.+)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert classified == tested.split() == ["3.10", "3.11", "3.12", "3.13"]
    assert metadata["Requires-Python"] == ">=3.10"


def test_every_dependency_has_a_lower_bound(project):
    """`make test-oldest` installs these very versions, so each has to be named."""
    declared = project["project"]["dependencies"] + [
        requirement
        for extra in ("cli", "demo", "django", "eventlet", "gevent", "orjson", "sqlalchemy", "test")
        for requirement in project["project"]["optional-dependencies"][extra]
    ]
    assert [requirement for requirement in declared if not re.match(r"[a-z0-9\[\]-]+>=\d", requirement)] == []
