"""The files that the package has a copy of are those of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scripts.deploy_files import packaged_files
from sockudo_publisher.deploy_files import compose_files, read_file
from sockudo_publisher.doctor.acl_lines import acl_lines

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["sockudo.toml", "nginx.conf", "make-secrets", "compose.yml"])
def test_copy_is_its_original(name: str) -> None:
    assert read_file(name) == packaged_files()[name], "run: python -m scripts.deploy_files"


def test_printed_compose_starts_what_the_repository_starts() -> None:
    """The same services, settings and limits; only what a checkout has beside it differs."""
    ours = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    theirs = yaml.safe_load(compose_files("1.2.3")["compose.yml"])
    assert set(theirs["services"]) == set(ours["services"]) - {"demo"}
    for name, service in theirs["services"].items():
        different = {key for key in service if service[key] != ours["services"][name][key]}
        assert different <= {"build", "volumes"}, name
        assert service.keys() == ours["services"][name].keys()


def test_printed_compose_mounts_files_that_are_written() -> None:
    files = compose_files("1.2.3")
    composed = yaml.safe_load(files["compose.yml"])
    mounted = [one for service in composed["services"].values() for one in service.get("volumes", ())]
    sources = {one.split(":")[0].removeprefix("./") for one in mounted if one.startswith("./")}
    assert sources == {"sockudo.toml", "nginx.conf"}
    assert sources | {composed["services"]["worker"]["build"]["dockerfile"], "make-secrets"} < set(files)
    assert "sockudo-publisher[metrics]==1.2.3" in files["Dockerfile"]


def test_documented_users_are_the_printed_ones() -> None:
    """One source: what the doctor calls missing is in the lines, and the page shows them."""
    assert acl_lines() in (ROOT / "docs" / "deployment.md").read_text()


def test_namespace_is_in_the_keys_of_the_journal_alone() -> None:
    lines = acl_lines("blue").replace("~blue:sockudo:*", "~sockudo:*")
    assert lines == acl_lines()
    assert acl_lines("blue").count("~blue:sockudo:*") == 3
