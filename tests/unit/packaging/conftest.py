"""What the packaging tests read: the files as they are, parsed by the format's own parser."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.packaging.formats import nginx_directives

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Deployment:
    """The three files that must agree with each other and with the settings' defaults."""

    compose: dict[str, Any]
    sockudo: dict[str, Any]
    nginx: dict[str, list[str]]

    def service(self, name: str) -> dict[str, Any]:
        return self.compose["services"][name]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment(
        compose=yaml.safe_load((ROOT / "docker-compose.yml").read_text()),
        sockudo=tomllib.loads((ROOT / "worker" / "sockudo.toml").read_text()),
        nginx=nginx_directives((ROOT / "worker" / "nginx.conf").read_text()),
    )


@pytest.fixture(scope="session")
def compose_schema() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "compose_spec" / "compose-spec.json").read_text())


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
