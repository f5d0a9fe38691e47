"""The options of a page's connection: from the settings, or for a public address; never the secret."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator

import pytest

from sockudo_publisher import ConfigurationError, ValidationError, configure
from sockudo_publisher.contrib.pusher_js import pusher_js_options

pytestmark = pytest.mark.unit

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    configure(
        url=f"http://app-key:{SECRET}@127.0.0.1:6001/apps/1",
        apps={"eu": f"https://eu%2Dkey:{SECRET}@eu.example.com/ws/apps/2", "six": f"http://k:{SECRET}@[::1]:7/apps/3"},
    )
    yield
    configure()


def test_address_is_that_of_the_settings() -> None:
    assert pusher_js_options() == {
        "key": "app-key",
        "cluster": "",
        "wsHost": "127.0.0.1",
        "wsPort": 6001,
        "wssPort": 6001,
        "forceTLS": False,
        "enabledTransports": ["ws"],
    }


def test_another_app_with_tls_and_a_path() -> None:
    options = pusher_js_options(app="eu")
    assert (options["key"], options["wsHost"], options["wssPort"]) == ("eu-key", "eu.example.com", 443)
    assert (options["forceTLS"], options["enabledTransports"], options["wsPath"]) == (True, ["wss"], "/ws")
    assert pusher_js_options(app="six")["wsHost"] == "[::1]"


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "path"),
    [
        ("https://ws.example.com", "ws.example.com", 443, True, None),
        ("wss://ws.example.com:8443/live/", "ws.example.com", 8443, True, "/live"),
        ("http://localhost", "localhost", 80, False, None),
        ("ws://[::1]:6001", "[::1]", 6001, False, None),
    ],
)
def test_public_address_replaces_it(url: str, host: str, port: int, tls: bool, path: str | None) -> None:
    options = pusher_js_options(url)
    assert (options["key"], options["wsHost"], options["wsPort"], options["forceTLS"]) == ("app-key", host, port, tls)
    assert options.get("wsPath") == path


@pytest.mark.parametrize(
    "url",
    ["ws.example.com", "ftp://a", "https://", "https://a:b", f"https://k:{SECRET}@a/", "https://a/?b", "https://[a"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """By name and length, without the text."""
    with pytest.raises(ValidationError, match=f"public_url: .*{len(url)} characters") as refused:
        pusher_js_options(url)
    assert SECRET not in str(refused.value)
    frames = list(traceback.walk_tb(refused.value.__traceback__))[1:]  # the first is this test's
    assert all(SECRET not in repr(frame.f_locals) for frame, _ in frames)


def test_app_that_is_not_configured_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="us"):
        pusher_js_options(app="us")


def test_secret_is_not_given_away() -> None:
    for app in ("default", "eu"):
        assert SECRET not in json.dumps(pusher_js_options(app=app))
