"""`sockudo-publisher config`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sockudo_publisher.cli import main
from tests.unit.packaging.formats import nginx_directives

pytestmark = pytest.mark.unit

TARGETS = ("sockudo", "nginx", "systemd", "kubernetes", "compose", "grafana", "alerts", "acl")


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["config", *args])


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_prints_complete_files(target: str, tmp_path: Path) -> None:
    """With its defaults: nothing is left to fill in, and text, JSON and directory have the same."""
    result = run(target)
    assert result.exit_code == 0, result.output
    files = {one["name"]: one["text"] for one in json.loads(run(target, "--json").output)["files"]}
    written = run(target, "--output", str(tmp_path / "new"), "--json")
    assert json.loads(written.output)["written"] == [str(tmp_path / "new" / name) for name in files]
    for name, text in files.items():
        assert (tmp_path / "new" / name).read_text() == text
        assert text.endswith("\n")
        assert "@USER@" not in text
        assert "@NGINX" not in text
    for name in files if target != "compose" else ["compose.yml"]:
        assert files[name] in result.output


def test_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("mine")
    result = run("compose", "--output", str(tmp_path))
    assert result.exit_code == 2
    assert "nginx.conf: exists, nothing was written" in " ".join(result.output.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nginx.conf"]
    assert (tmp_path / "nginx.conf").read_text() == "mine"
    assert run("compose", "--output", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / "nginx.conf").read_text() != "mine"


def test_directory_that_cannot_be_made_is_an_error_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("acl", "--output", str(tmp_path / "file" / "below"), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["ok"] is False


@pytest.mark.parametrize(
    "args",
    [
        ("nginx", "--upstream", "sockudo:6001; include /etc/passwd"),
        ("nginx", "--upstream", "sockudo"),
        ("nginx", "--listen", "80;"),
        ("nginx", "--resolver", "a b"),
        ("systemd", "--user", "root\nExecStartPre=/bin/sh"),
        ("systemd", "--prefix", "relative"),
        ("systemd", "--secrets", "/etc/%n"),
        ("systemd", "--namespace", "a b"),
        ("systemd", "--relay", "python manage.py"),
        ("systemd", "--metrics-port", "0"),
        ("systemd", "--metrics-port", "65535"),
        ("kubernetes", "--image", "a\nb"),
        ("kubernetes", "--namespace", 'x"'),
        ("kubernetes", "--monitoring", "Upper"),
        ("kubernetes", "--replicas", "0"),
        ("acl", "--namespace", "~*"),
        ("acl", "--namespace", "sockudo"),
        ("sockudo", "--events-per-second", "0"),
    ],
)
def test_value_that_would_change_other_lines_is_refused(args: tuple[str, ...]) -> None:
    """At the option, with its name; nothing is printed."""
    result = run(*args)
    assert result.exit_code == 2
    assert args[1] in result.output
    assert "# ----" not in result.output


def test_options_arrive_in_the_files() -> None:
    nginx = nginx_directives(run("nginx", "--upstream", "[::1]:7001", "--listen", "127.0.0.1:81").output)
    assert nginx["set"] == ["$sockudo http://[::1]:7001"]
    assert nginx["listen"] == ["127.0.0.1:81"]
    assert "max_capacity = 120000\n" in run("sockudo", "--events-per-second", "1000").output
    units = run(
        "systemd", "--user", "pub", "--prefix", "/opt/x/", "--namespace", "blue", "--metrics-port", "9000"
    ).output
    assert units.count("User=pub\n") == 3
    assert "ExecStart=/opt/x/bin/sockudo-publisher worker --loglevel INFO\n" in units
    assert units.count("SOCKUDO_NAMESPACE=blue\n") == 3
    assert "SOCKUDO_METRICS_PORT=9000\n" in units
    assert "SOCKUDO_METRICS_PORT=9001\n" in units


def test_manifests_fit_each_other() -> None:
    """Selectors find their pods, ports and policies agree, nginx asks the cluster's name server."""
    text = run("kubernetes", "--namespace", "blue", "--sockudo", "ws.live.svc:7001", "--replicas", "3").output
    found = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}
    for part in ("worker", "nginx"):
        name = f"sockudo-publisher-{part}"
        labels = found["Deployment", name]["spec"]["template"]["metadata"]["labels"]
        for kind, place in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
            assert found[kind, name]["spec"][place]["matchLabels"].items() <= labels.items()
        assert found["Deployment", name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    pod = found["Deployment", "sockudo-publisher-worker"]["spec"]
    [container] = pod["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert (pod["replicas"], environment["SOCKUDO_NAMESPACE"]) == (3, "blue")
    assert (container["livenessProbe"]["httpGet"]["path"], container["readinessProbe"]["httpGet"]["path"]) == (
        "/healthz",
        "/readyz",
    )
    assert pod["template"]["spec"]["terminationGracePeriodSeconds"] > float(environment["SOCKUDO_DELIVERY_TIMEOUT"])
    conf = nginx_directives(found["ConfigMap", "sockudo-publisher-nginx"]["data"]["nginx.conf"])
    assert conf["set"] == ["$sockudo http://ws.live.svc:7001"]
    assert conf["resolver"] == ["kube-dns.kube-system.svc.cluster.local valid=5s ipv6=off"]
    egress = found["NetworkPolicy", "sockudo-publisher-nginx"]["spec"]["egress"]
    assert egress[-1]["ports"] == [{"protocol": "TCP", "port": 7001}]


@pytest.mark.parametrize("target", ["systemd", "kubernetes"])
def test_config_loads_neither_celery_nor_a_server(target: str) -> None:
    code = (
        "import sys\nfrom sockudo_publisher.cli import main\n"
        f"main(['config', '{target}'], standalone_mode=False)\n"
        "print(sorted({'celery', 'kombu', 'starlette', 'prometheus_client'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
