"""docker-compose.yml is valid, pinned and keeps what was handed to it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jsonschema
import pytest
import yaml

pytestmark = pytest.mark.unit


def schema_errors(document, schema):
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def option(command, name):
    """The value after `--name` in a command line."""
    return command[command.index(name) + 1]


def test_the_file_is_valid_by_the_compose_specification(deployment, compose_schema):
    """The schema of the Compose Specification finds nothing to say."""
    assert schema_errors(deployment.compose, compose_schema) == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [("redis", "helthcheck", {}), ("worker", "stop_grace_period", 45), ("nginx", "ports", "8080:8080")],
    ids=["misspelt key", "duration without unit", "text for a list"],
)
def test_the_schema_refuses_a_mistake(deployment, compose_schema, service, key, value):
    """The schema is the real one: it refuses what compose refuses."""
    broken = copy.deepcopy(deployment.compose)
    broken["services"][service][key] = value
    assert schema_errors(broken, compose_schema)


@pytest.mark.parametrize("service", ["redis", "sockudo", "nginx", "worker", "demo"])
def test_images_are_pinned_to_a_release(deployment, service):
    """A deployment that works today works tomorrow: three numbers, never `latest`."""
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(-[a-z0-9.]+)?", deployment.service(service)["image"])


def test_the_server_is_the_one_that_was_measured(deployment):
    """What the design relies on was seen on Sockudo 5.2.0."""
    assert deployment.service("sockudo")["image"] == "sockudo/sockudo:5.2.0"


def test_base_images_of_our_own_are_pinned_too(root):
    """Each stage starts from a pinned image or from another stage."""
    stages = re.findall(r"^FROM (\S+) AS (\S+)", (root / "worker" / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for _, name in stages}
    assert names == {"build", "base", "demo", "worker"}
    for image, name in stages:
        assert image in names or re.search(r":\d+\.\d+\.\d+", image), name


def test_redis_keeps_what_it_was_given(deployment):
    """The journal is written to disk, never evicted, on a volume that outlives the container."""
    redis = deployment.service("redis")
    assert option(redis["command"], "--appendonly") == "yes"
    assert option(redis["command"], "--maxmemory-policy") == "noeviction"
    assert "redis-data:/data" in redis["volumes"]
    assert "redis-data" in deployment.compose["volumes"]


def test_redis_has_a_bound_of_its_own(deployment):
    """Without maxmemory the kernel decides when Redis is full, by killing it."""
    assert re.fullmatch(r"\d+[mg]b", option(deployment.service("redis")["command"], "--maxmemory"))


def test_services_wait_for_healthy_ones(deployment):
    """The worker starts when Redis has loaded its log and Sockudo answers through nginx."""
    assert deployment.service("worker")["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "nginx": {"condition": "service_healthy"},
    }
    assert deployment.service("nginx")["depends_on"] == {"sockudo": {"condition": "service_healthy"}}


def test_sockudo_is_asked_for_our_app(deployment):
    """Sockudo starts with other settings when its file cannot be read, so the check names the app that is in it."""
    sockudo = deployment.service("sockudo")
    assert sockudo["command"] == ["sockudo", "--config", "/etc/sockudo/sockudo.toml"]
    assert "./worker/sockudo.toml:/etc/sockudo/sockudo.toml:ro" in sockudo["volumes"]
    assert "/up/$${SOCKUDO_APP_ID}" in sockudo["healthcheck"]["test"][1]


def test_no_setting_replaces_the_configured_app(deployment):
    """SOCKUDO_DEFAULT_APP_* would put an app with batches of 100 in the place of our app."""
    assert not [name for name in deployment.service("sockudo")["environment"] if "DEFAULT_APP" in name]


def test_workers_reach_sockudo_through_nginx_alone(deployment, root):
    """Directly, a worker that is killed leaves the server in the middle of a batch."""
    script = (root / "worker" / "make-secrets").read_text()
    assert '"http://$key:$secret@nginx:8080/apps/$app"' in script
    assert "./worker/nginx.conf:/etc/nginx/nginx.conf:ro" in deployment.service("nginx")["volumes"]


def test_the_image_has_a_user_without_rights(deployment, root):
    """Also for those who run it without compose."""
    assert deployment.service("worker")["build"] == {"context": ".", "dockerfile": "worker/Dockerfile"}
    dockerfile = (root / "worker" / "Dockerfile").read_text()
    last_stage = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d*$", last_stage, re.MULTILINE)


def test_the_worker_needs_no_options(root):
    """`celery -A worker worker` is the production setting, as process 1, so that it gets SIGTERM itself."""
    dockerfile = (root / "worker" / "Dockerfile").read_text()
    command = re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)[-1]
    assert json.loads(command) == ["celery", "-A", "worker", "worker"]
    assert "STOPSIGNAL SIGTERM" in dockerfile


def test_the_image_is_built_from_what_the_context_lets_in(root):
    """Whatever the Dockerfile copies is let in by .dockerignore, which keeps everything else out."""
    ignored = (root / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (root / "worker" / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source.split("/")[0] for line in copied for source in line.split()}
    assert sources == {line[1:] for line in ignored if line.startswith("!")}


def test_worker_serves_metrics_and_probes_to_its_network(deployment):
    """On all of the container's addresses, at a port that is exposed to the other services and published nowhere."""
    worker = deployment.service("worker")
    environment = worker["environment"]
    assert environment["SOCKUDO_METRICS_HOST"] == "0.0.0.0"
    assert worker["expose"] == [environment["SOCKUDO_METRICS_PORT"]] == ["9108"]
    assert "ports" not in worker, "several workers of one host cannot share a published port"


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_health_check_asks_the_probe_of_that_port(deployment, status, code):
    """Exit code 0 for 200 alone. It asks no proxy of the environment."""
    kind, *command = deployment.service("worker")["healthcheck"]["test"]
    asked = []

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Probe) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        command = [one.replace("9108", str(server.server_address[1])) for one in command]
        done = subprocess.run(
            [sys.executable, *command[1:]], env={"http_proxy": "http://127.0.0.1:9"}, timeout=30, check=False
        )
    assert (kind, command[0], done.returncode, asked) == ("CMD", "python", code, ["/readyz"])


def test_health_check_fails_without_a_worker(deployment):
    """A refused connection is no 200."""
    _, *command = deployment.service("worker")["healthcheck"]["test"]
    closed = [one.replace("9108", "1") for one in command[1:]]
    done = subprocess.run([sys.executable, *closed], capture_output=True, timeout=30, check=False)
    assert done.returncode == 1


def test_documented_prometheus_fits_beside_it(deployment, compose_schema, root):
    """The override of docs/deployment.md is valid, pinned, and asks the workers by their service's name and port."""
    section = (root / "docs" / "deployment.md").read_text().partition("### Prometheus beside compose")[2]
    config, override = (yaml.safe_load(one) for one in re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S)[:2])
    assert schema_errors(override, compose_schema) == []
    service = override["services"]["prometheus"]
    assert re.fullmatch(r"[a-z/-]+:v\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    [job] = config["scrape_configs"]
    [found] = job["dns_sd_configs"]
    worker = deployment.service("worker")
    assert (found["names"], str(found["port"])) == (["worker"], worker["environment"]["SOCKUDO_METRICS_PORT"])


def test_only_the_demo_waits_for_its_profile(deployment):
    """`docker compose up` starts production; the demo comes when it is asked for."""
    profiles = {name: service.get("profiles") for name, service in deployment.compose["services"].items()}
    assert {name: value for name, value in profiles.items() if value} == {"demo": ["demo"]}
