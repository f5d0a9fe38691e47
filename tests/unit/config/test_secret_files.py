"""`VARIABLE_FILE`: a secret in a file, read as the variable is."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.config.environment import MAX_FILE_BYTES, Reader
from sockudo_publisher.config.kinds import SECRETS, variable_of
from sockudo_publisher.config.misspelled import unknown_variables
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.errors import ConfigurationError

pytestmark = pytest.mark.unit

SECRET = "s3cr3t-in-a-file"
URL = f"http://key:{SECRET}@127.0.0.1:9/apps/app"
VALUES = {
    "url": URL,
    "redis_url": f"redis://:{SECRET}@h:6379/1",
    "broker_url": f"amqp://u:{SECRET}@h//",
    "encryption_master_key_base64": base64.b64encode(b"k" * 32).decode(),
    "apps": json.dumps({"shop": URL}),
    "dashboard_token": f"{SECRET}-of-the-dashboard-{'x' * 16}",
}


def write(directory: Path, content: bytes | str) -> str:
    path = directory / "secret"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_every_field_that_no_repr_shows_may_be_a_file() -> None:
    """A new secret needs a row here."""
    hidden = {name for name, field in Settings.__dataclass_fields__.items() if not field.repr}
    assert set(SECRETS) == set(VALUES) == hidden


@pytest.mark.parametrize("field", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_file_is_read_as_its_variable(field: str, end: str, tmp_path: Path) -> None:
    """With or without a newline at its end."""
    variable = variable_of(field)
    of_file = Settings.from_env({variable + "_FILE": write(tmp_path, VALUES[field] + end)})
    assert getattr(of_file, field) == getattr(Settings.from_env({variable: VALUES[field]}), field) != Settings().apps
    assert of_file == Settings.from_env({variable: VALUES[field]})


@pytest.mark.parametrize("field", SECRETS)
def test_both_set_is_an_error_that_names_both(field: str, tmp_path: Path) -> None:
    """Which one is meant is unknown."""
    variable = variable_of(field)
    environ = {variable: VALUES[field], variable + "_FILE": write(tmp_path, VALUES[field])}
    with pytest.raises(ConfigurationError, match=f"^{variable} and {variable}_FILE: both are set") as caught:
        Settings.from_env(environ)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_variables_count_as_not_set(empty: str, tmp_path: Path) -> None:
    """As a compose file leaves them."""
    path = write(tmp_path, URL)
    assert Settings.from_env({"SOCKUDO_URL": empty, "SOCKUDO_URL_FILE": path}).url == URL
    assert Settings.from_env({"SOCKUDO_URL": URL, "SOCKUDO_URL_FILE": empty}).url == URL


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b" \n", "the file is empty", id="a newline alone"),
        pytest.param(SECRET.encode() + b"\xff", "the file is not UTF-8 text", id="not UTF-8"),
        pytest.param(b"x" * (MAX_FILE_BYTES + 1), "the file is larger than 1048576 bytes", id="too big"),
        pytest.param(SECRET.encode(), ".*expected redis", id="no URL"),
    ],
)
def test_bad_file_is_one_clear_error(content: bytes, complaint: str, tmp_path: Path) -> None:
    """Which names the variable that was set, and nothing of the content or the path."""
    path = write(tmp_path, content)
    with pytest.raises(ConfigurationError, match=f"^SOCKUDO_REDIS_URL_FILE: {complaint}") as caught:
        Settings.from_env({"SOCKUDO_REDIS_URL_FILE": path})
    assert SECRET not in str(caught.value)
    assert path not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_largest_file_is_read(tmp_path: Path) -> None:
    """A list of apps may be long."""
    text = VALUES["apps"].ljust(MAX_FILE_BYTES)
    assert Settings.from_env({"SOCKUDO_APPS_FILE": write(tmp_path, text)}).apps == {"shop": URL}


def test_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """The path is not shown: a user may have put the secret itself there."""
    cases = {
        str(tmp_path / SECRET): "No such file or directory",
        str(tmp_path): "Is a directory",
        "x" * 5000: "File name too long",
        f"{SECRET}\0": "expected the path of a file",
    }
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.write_text(URL)
        locked.chmod(0)
        cases[str(locked)] = "Permission denied"
    for path, complaint in cases.items():
        with pytest.raises(ConfigurationError, match=f"^SOCKUDO_URL_FILE: .*{complaint}") as caught:
            Settings.from_env({"SOCKUDO_URL_FILE": path})
        assert SECRET not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def test_wrong_content_is_named_by_the_file_variable(tmp_path: Path) -> None:
    """Not by the variable that is not set."""
    settings = Settings.from_env({"SOCKUDO_URL_FILE": write(tmp_path, URL)})
    assert settings.called("url") == "SOCKUDO_URL_FILE"
    assert settings.called("apps", "shop") == "SOCKUDO_APPS['shop']"


@pytest.mark.parametrize("env", ["SOCKUDO_URL", "SHOP_URL"])
def test_client_reads_its_url_and_key_from_files(env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Sockudo.from_env()`, whichever variable it is given."""
    key = tmp_path / "key"
    key.write_text(VALUES["encryption_master_key_base64"] + "\n")
    environ = {env + "_FILE": write(tmp_path, URL + "\n"), "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64_FILE": str(key)}
    monkeypatch.setattr("sockudo_publisher.client.sockudo.os.environ", environ)
    client = Sockudo.from_env(env)
    assert repr(client) == "Sockudo(app_id='app', 'http://127.0.0.1:9')"
    client.authenticate("private-encrypted-x", "1.2")  # needs the master key
    key.write_text(SECRET)
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64_FILE: "):
        Sockudo.from_env(env)
    environ[env] = URL
    with pytest.raises(ConfigurationError, match=f"^{env} and {env}_FILE: both are set"):
        Sockudo.from_env(env)


def test_file_variables_are_known_names() -> None:
    """To workers, which warn of unknown ones, and to the doctor; a file of what is no secret is not."""
    files = {variable_of(field) + "_FILE": "x" for field in SECRETS}
    assert unknown_variables(files) == {}
    assert unknown_variables({"SOCKUDO_URLFILE": "x"}) == {"SOCKUDO_URLFILE": "SOCKUDO_URL_FILE"}
    assert unknown_variables({"SOCKUDO_LANES_FILE": "x"}) == {"SOCKUDO_LANES_FILE": "SOCKUDO_LANES"}


def test_no_repr_shows_what_a_reader_found() -> None:
    """Tools for errors record the variables of a frame."""
    found = Reader({"SOCKUDO_URL": URL}).find_secret("SOCKUDO_URL")
    assert found is not None
    assert SECRET not in repr(found)
