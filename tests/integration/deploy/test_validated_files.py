"""Each printed file, by the tool that reads it in production."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from scripts.stack import services
from scripts.stack_secrets import make_secrets
from sockudo_publisher import Sockudo
from sockudo_publisher.deploy_files import (
    ALERTS,
    compose_files,
    kubernetes_files,
    nginx_file,
    read_file,
    sockudo_file,
    systemd_files,
)
from sockudo_publisher.dev.embedded.ports import free_port, free_ports
from sockudo_publisher.dev.embedded.process import ChildProcess
from sockudo_publisher.dev.embedded.sockudo import find_sockudo
from tests.support.nginx import is_listening
from tests.support.parts import need, need_module

pytestmark = pytest.mark.integration

#: The releases of Kubernetes whose schemas are asked.
RELEASES = ("1.28", "1.31", "1.34")

#: The highest exposure that `systemd-analyze security` may find, in tenths: 20 and below is "OK".
MAX_EXPOSURE = 20


def run(*command: object, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(one) for one in command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=None if env is None else {**os.environ, **env},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Written for programs that are there: systemd's tool looks whether they can be run."""
    program = tmp_path / "bin" / "sockudo-publisher"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    written = []
    for name, text in systemd_files(prefix=str(tmp_path), project=str(tmp_path), relay=f"{program} relay").items():
        (tmp_path / name).write_text(text)
        written.append(tmp_path / name)
    return written


def test_systemd_finds_nothing_to_say(units: list[Path]) -> None:
    assert run(need("systemd"), "verify", "--man=no", *units) == ""


def test_systemd_sees_a_mistake(units: list[Path]) -> None:
    """The tool is the real one: it names what systemd would ignore."""
    units[0].write_text(units[0].read_text().replace("KillMode=mixed", "KilMode=mixed"))
    found = subprocess.run(
        [need("systemd"), "verify", units[0]], capture_output=True, text=True, timeout=60, check=False
    )
    assert "KilMode" in found.stderr


def test_units_are_confined(units: list[Path]) -> None:
    for unit in units:
        run(need("systemd"), "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", unit)


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    (tmp_path / ALERTS).write_text(read_file(ALERTS))
    promtool = need("prometheus").with_name("promtool")
    assert "SUCCESS: 23 rules found" in run(promtool, "check", "rules", tmp_path / ALERTS)


def test_prometheus_accepts_the_documented_configurations(tmp_path: Path) -> None:
    """Beside a worker of this machine, and beside those of compose; with the rules where the pages put them."""
    docs = Path(__file__).parents[3] / "docs"
    blocks = [
        block
        for page in ("metrics.md", "deployment.md")
        for block in re.findall(r"^```yaml\n(.*?)^```", (docs / page).read_text(), re.M | re.S)
        if block.startswith("# prometheus.yml")
    ]
    assert len(blocks) == 2
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / ALERTS).write_text(read_file(ALERTS))
    promtool = need("prometheus").with_name("promtool")
    for block in blocks:
        (tmp_path / "prometheus.yml").write_text(block)
        told = run(promtool, "check", "config", tmp_path / "prometheus.yml")
        assert "23 rules found" in told
        [job] = yaml.safe_load(block)["scrape_configs"]
        assert job["job_name"] == "sockudo-publisher", "the rules expect it"


@pytest.mark.parametrize("release", RELEASES)
def test_manifests_fit_the_schema_of_kubernetes(release: str) -> None:
    """Strictly: a field that Kubernetes does not know is an error."""
    validator = need_module("kubernetes_validate")
    documents = list(yaml.safe_load_all(kubernetes_files(image="worker:1.2.3")["kubernetes.yml"]))
    assert len(documents) == 9
    for document in documents:
        validator.validate(document, release, strict=True)
    documents[1]["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(validator.ValidationError):
        validator.validate(documents[1], release, strict=True)


@pytest.mark.parametrize("upstream", ["127.0.0.1:6001", "localhost:6001", "[::1]:6001"])
def test_nginx_accepts_its_file(upstream: str, tmp_path: Path) -> None:
    text = nginx_file(upstream, f"127.0.0.1:{free_port()}", "127.0.0.1")
    (tmp_path / "nginx.conf").write_text(text.replace("/tmp/", f"{tmp_path}/"))
    told = run(need("nginx"), "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-t")
    assert "syntax is ok" in told
    assert "warn" not in told


def test_nginx_of_the_manifests_is_the_same_file(tmp_path: Path) -> None:
    [found] = [
        one for one in yaml.safe_load_all(kubernetes_files(image="w")["kubernetes.yml"]) if one["kind"] == "ConfigMap"
    ]
    inside = found["data"]["nginx.conf"]
    assert inside == nginx_file(
        "sockudo.default.svc.cluster.local:6001", "8080", "kube-dns.kube-system.svc.cluster.local"
    )


def test_printed_compose_makes_its_own_secrets(tmp_path: Path) -> None:
    """In a directory with the printed files alone; the names are those that compose mounts."""
    for name, text in compose_files("1.2.3").items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(["sh", "make-secrets"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    named = {one["file"].rpartition("/")[2] for one in yaml.safe_load(read_file("compose.yml"))["secrets"].values()}
    assert named <= {path.name for path in (tmp_path / "secrets").iterdir()}
    assert (tmp_path / ".env").read_text() == "SOCKUDO_SECRETS=./secrets\n"


class _Sockudo(ChildProcess):
    def __init__(self, directory: Path, environ: Mapping[str, str], port: int) -> None:
        super().__init__("sockudo", directory / "sockudo.log")
        self._file, self._env, self._port = directory / "sockudo.toml", environ, port

    def _command(self) -> list[str]:
        return [str(find_sockudo()), "--config", str(self._file)]

    def _environ(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], **self._env}

    def _is_ready(self) -> bool:
        return is_listening(self._port)


def test_sockudo_starts_with_the_printed_file(tmp_path: Path) -> None:
    """And has its app with its limits: a batch of more than the default of 100 events is accepted."""
    need("sockudo")
    make_secrets(tmp_path / "secrets", "app", lambda text: text)
    key, secret = ((tmp_path / "secrets" / f"sockudo_app_{one}").read_text().strip() for one in ("key", "secret"))
    (tmp_path / "sockudo.toml").write_text(sockudo_file(events_per_second=500))
    port, metrics = free_ports(2)
    environ = {
        **services({**os.environ, "SOCKUDO_SECRETS": "secrets"})["sockudo"]["environment"],
        **{"SOCKUDO_APP_KEY": key, "SOCKUDO_APP_SECRET": secret, "HOST": "127.0.0.1", "PORT": str(port)},
        **{"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(metrics), "RUST_LOG": "warn"},
    }
    with _Sockudo(tmp_path, environ, port) as server:
        client = Sockudo.from_url(f"http://{key}:{secret}@127.0.0.1:{port}/apps/app")
        client.trigger_batch([{"channel": "c", "name": "e", "data": "1"}] * 200)
        assert "error" not in server.log_text().lower(), server.log_text()
