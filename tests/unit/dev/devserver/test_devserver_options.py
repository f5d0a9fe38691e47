"""Options of `DevServer` out of range: said before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher.dev.devserver.config import AppConfig, ServerConfig
from sockudo_publisher.dev.devserver.running import DevServer

pytestmark = pytest.mark.unit

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "port": ({"port": 65536}, "port: 65536, expected 0 to 65535"),
    "a negative port": ({"port": -1}, "port: -1, expected"),
    "no app": ({"apps": []}, "app: none, expected at least one"),
    "one id twice": ({"apps": [AppConfig("a", "k1", "s"), AppConfig("a", "k2", "s")]}, "the same id twice"),
    "one key twice": ({"apps": [AppConfig("a", "k", "s"), AppConfig("b", "k", "s")]}, "the same key twice"),
    "an empty key": ({"apps": [AppConfig("a", "", "s")]}, "an empty key"),
    "no time": ({"dedup_ttl_s": 0}, "dedup: time and capacity must be positive"),
    "time without end": ({"dedup_ttl_s": float("inf")}, "dedup: time"),
    "time that is none": ({"dedup_ttl_s": float("nan")}, "dedup: time"),
    "no ids": ({"cache_max_capacity": 0}, "dedup: time and capacity"),
    "a webhook elsewhere": ({"webhook": "file:///etc/passwd"}, "webhook: expected an http"),
    "no activity": ({"config": ServerConfig((AppConfig("a", "k", "s"),), activity_timeout_s=0)}, "activity_timeout: 0"),
    "no page": ({"config": ServerConfig((AppConfig("a", "k", "s"),), max_page_size=0)}, "max_page_size"),
}


@pytest.mark.parametrize(("options", "text"), WRONG.values(), ids=WRONG)
def test_an_option_out_of_range_is_a_valueerror(options: dict[str, Any], text: str) -> None:
    """Naming the option, and never a secret."""
    with pytest.raises(ValueError, match=text):
        DevServer(**options)


def test_apps_that_are_a_path_are_a_typeerror(tmp_path: Any) -> None:
    """A server with a directory is another class."""
    for apps in ("app", tmp_path):
        with pytest.raises(TypeError, match="DevServerProcess"):
            DevServer(apps)
