"""A real Prometheus with the shipped rules, which scrapes programs of a test."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sockudo_publisher.deploy_files import ALERTS, read_file
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for

from .parts import need

__all__ = ["Prometheus", "prometheus", "quick_rules"]


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{query}: {error.read().decode()}")
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr: str) -> list[Any]:
        result: list[Any] = self.get("query", query=expr)["result"]
        return result

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {one["labels"]["alertname"] for one in self.get("alerts")["alerts"] if one["state"] == "firing"}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


def quick_rules() -> str:
    """The shipped rules without their waiting times, and with ranges of ten seconds."""
    short = re.sub(r"\boffset \d+m", "offset 10s", re.sub(r"\[\d+m\]", "[10s]", read_file(ALERTS)))
    return re.sub(r"\bfor: \d+m", "for: 0s", short)


@contextmanager
def prometheus(
    directory: Path, targets: Sequence[int], rules: str | None = None, every_s: int = 1
) -> Iterator[Prometheus]:
    """Scrapes and evaluates every second, unless `every_s` says otherwise; `rules`: the shipped ones by default."""
    directory.mkdir()
    (directory / ALERTS).write_text(rules or read_file(ALERTS))
    jobs = [{"job_name": "sockudo-publisher", "static_configs": [{"targets": [f"127.0.0.1:{one}" for one in targets]}]}]
    config = {
        "global": dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{every_s}s"),
        "rule_files": [ALERTS],
        "scrape_configs": jobs,
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                need("prometheus"),
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Prometheus(port)
        assert wait_for(server.is_ready, 60), (directory / "log").read_text()
        yield server
    finally:
        process.kill()
        process.wait()
