"""docker-compose.yml: no service can do more than it needs, is open to other machines, or shows a secret."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from sockudo_publisher.config.settings import Settings
from tests.unit.packaging.conftest import ROOT

pytestmark = pytest.mark.unit

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


@each_service
def test_service_cannot_write_or_gain_rights(name):
    """A read-only root, no capability, none to gain, a user that is not root, and /tmp of a bounded size."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert all(re.fullmatch(r"/tmp:size=\d+m", mount) for mount in service["tmpfs"])
    assert service["tmpfs"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()


@each_service
def test_service_says_whether_it_is_well(name):
    """A health check within a time, a restart, a log with a bound."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert service["restart"] == ("on-failure:3" if "profiles" in service else "unless-stopped")
    assert service["logging"]["driver"] == "local"
    assert re.search(r":\d+\.\d+\.\d+", service["image"])


@each_service
def test_service_is_reached_from_this_machine_alone(name):
    """Other machines come through a proxy of the operator's."""
    assert [port for port in SERVICES[name].get("ports", ()) if not port.startswith("127.0.0.1:")] == []


@each_service
def test_no_secret_is_in_a_command_line_or_an_environment(name):
    """`ps` shows the one to everybody, `docker inspect` the other."""
    service = SERVICES[name]
    variables = service.get("environment", {})
    for variable in variables:
        assert variable.endswith("_FILE") or not re.search(r"URL|KEY|SECRET|PASSWORD|AUTH", variable), variable
    assert not re.search(r"\$\{\w*(SECRET|PASSWORD|KEY)", yaml.safe_dump({"all": service}))
    for value in variables.values():
        if value.startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]


@each_service
def test_a_secret_that_is_read_is_mounted(name):
    """And a secret that is mounted is read."""
    service = SERVICES[name]
    read = set(re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(service)))
    assert read == set(service.get("secrets", ()))
    assert read <= COMPOSE["secrets"].keys()


def test_there_is_no_secret_by_default():
    """Compose ends with a message that says what to run."""
    for secret in COMPOSE["secrets"].values():
        assert re.fullmatch(r"\$\{SOCKUDO_SECRETS:\?run `sh worker/make-secrets`[^}]*\}/\w+", secret["file"])
    for path in ("docker-compose.yml", "worker/sockudo.toml", "worker/make-secrets"):
        assert "development-" not in (ROOT / path).read_text()
    assert re.findall(r"\$\{SOCKUDO_APP_(?:KEY|SECRET)[^}]*\}", (ROOT / "worker" / "sockudo.toml").read_text()) == [
        "${SOCKUDO_APP_KEY}",
        "${SOCKUDO_APP_SECRET}",
    ]


@pytest.fixture
def made(tmp_path):
    """What `sh worker/make-secrets` makes in a fresh checkout."""
    done = subprocess.run(
        ["sh", str(ROOT / "worker" / "make-secrets")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    directory = tmp_path / "secrets"
    assert not any(file.read_text().strip() in done.stdout for file in directory.iterdir())
    return directory


def test_make_secrets_makes_each_secret(made):
    """The files that compose mounts, in a directory that only its owner enters; .env names it."""
    assert (made.parent / ".env").read_text() == "SOCKUDO_SECRETS=./secrets\n"
    assert made.stat().st_mode & 0o777 == 0o700
    assert {file.name for file in made.iterdir()} == COMPOSE["secrets"].keys() | {"application.env"}
    # Mounted as they are, for the services' users.
    assert {file.stat().st_mode & 0o777 for file in made.iterdir() if file.suffix != ".env"} == {0o444}
    assert (made / "application.env").stat().st_mode & 0o777 == 0o600


def test_made_secrets_fit_each_other(made):
    """One key, secret and password in all files, accepted as settings; long enough not to be tried."""
    read = {file.name: file.read_text().strip() for file in made.iterdir()}
    key, secret, password = (read[name] for name in ("sockudo_app_key", "sockudo_app_secret", "redis_password"))
    assert (len(key), len(secret), len(password)) == (20, 64, 48)
    assert read["sockudo_url"] == f"http://{key}:{secret}@nginx:8080/apps/app"
    assert read["sockudo_redis_url"] == f"redis://:{password}@redis:6379/0"
    environ = {f"{name}_FILE": str(made / file) for name, file in WORKER_FILES.items()}
    worker = Settings.from_env(environ)
    lines = read["application.env"].splitlines()
    application = Settings.from_env(dict(line.split("=", 1) for line in lines))
    assert worker.url == read["sockudo_url"]
    assert application.url == worker.url.replace("@nginx:", "@127.0.0.1:")
    assert application.redis_url == worker.redis_url.replace("@redis:", "@127.0.0.1:")
    assert application.encryption_master_key_base64 == worker.encryption_master_key_base64


WORKER_FILES = {
    name.removesuffix("_FILE"): value.removeprefix("/run/secrets/")
    for name, value in SERVICES["worker"]["environment"].items()
    if name.endswith("_FILE")
}


def test_make_secrets_never_replaces_a_secret(made):
    """It ends with an error, and each run makes others."""
    before = {file.name: file.read_text() for file in made.iterdir()}
    again = ["sh", str(ROOT / "worker" / "make-secrets")]
    done = subprocess.run(again, cwd=made.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, "exists" in done.stderr) == (1, True)
    assert {file.name: file.read_text() for file in made.iterdir()} == before
    subprocess.run([*again, "others"], cwd=made.parent, capture_output=True, check=True)
    for name, text in before.items():
        assert (made.parent / "others" / name).read_text() != text, name


def test_secrets_are_in_no_commit_and_no_image():
    """Neither git nor the build takes them along."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"secrets/", ".env"} <= set(ignored)
    assert (ROOT / ".dockerignore").read_text().splitlines()[0] == "*"
    assert "!secrets" not in (ROOT / ".dockerignore").read_text()
