"""A configuration file of the real server: what is read, what is ignored, what is refused; no secret is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.devserver.settings_file import read_file, settings_of

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[4]

APP = {"id": "a", "key": "k", "secret": "topsecret", "enabled": True}


def with_app(app: Any = None, **settings: Any) -> dict[str, Any]:
    return {"app_manager": {"array": {"apps": [APP if app is None else app]}}, **settings}


def test_what_it_knows_is_read() -> None:
    """Apps with their policy, the dedup memory, histories, the address."""
    policy = {
        "limits": {"max_event_batch_size": "7", "max_client_events_per_second": 3},
        "features": {"enable_client_messages": True},
        "channels": {"allowed_origins": ["*.example.com"]},
        "webhooks": [
            {"url": "http://127.0.0.1:1/x", "event_types": ["cache_miss"], "filter": {"channel_prefix": "private-"}}
        ],
    }
    found = settings_of(
        with_app(
            {**APP, "policy": policy},
            host="0.0.0.0",
            port=7001,
            idempotency={"ttl_seconds": 60},
            cache={"memory": {"max_capacity": 5}},
            history={"enabled": True, "max_page_size": 10},
            presence_history={"enabled": True},
            activity_timeout=30,
        )
    )
    (app,) = found.config.apps
    assert (app.limits.max_event_batch_size, app.limits.max_client_events_per_second) == (7, 3)
    assert app.features.enable_client_messages
    assert app.allowed_origins == ("*.example.com",)
    (webhook,) = app.webhooks
    assert (webhook.event_types, webhook.channel_prefix) == (("cache_miss",), "private-")
    assert (found.host, found.port) == ("0.0.0.0", 7001)
    assert (found.config.dedup_ttl_s, found.config.dedup_capacity) == (60, 5)
    assert (found.config.has_history, found.config.has_presence_history, found.config.max_page_size) == (True, True, 10)
    assert found.config.activity_timeout_s == 30
    assert found.ignored == ()


def test_what_it_ignores_is_named() -> None:
    """With the names of the tables around it, never with a value."""
    app = {**APP, "policy": {"limits": {"max_read_requests_per_second": 5}, "connection_recovery": {"enabled": True}}}
    found = settings_of(with_app(app, adapter={"driver": "redis"}, cache={"driver": "memory", "memory": {"ttl": 3}}))
    assert found.ignored == (
        "adapter",
        "app_manager.array.apps[0].policy.connection_recovery",
        "app_manager.array.apps[0].policy.limits.max_read_requests_per_second",
        "cache.driver",
        "cache.memory.ttl",
    )


def test_an_app_without_a_policy_has_its_parts_itself() -> None:
    """The server's older form."""
    app = {**APP, "max_event_batch_size": 7, "enable_client_messages": True}
    (read,) = settings_of(with_app(app)).config.apps
    assert (read.limits.max_event_batch_size, read.features.enable_client_messages) == (7, True)


WRONG: dict[str, tuple[Any, str]] = {
    "no table": ([], "configuration: expected a table"),
    "no app": ({}, "no app with enabled = true"),
    "a disabled app": (with_app({**APP, "enabled": False}), "no app with enabled = true"),
    "no secret": (with_app({"id": "a", "key": "k"}), r"apps\[0\]: id, key and secret"),
    "the same twice": ({"app_manager": {"array": {"apps": [APP, APP]}}}, "the same id twice"),
    "a port": (with_app(port=70000), "port: 70000, expected 0 to 65535"),
    "a port that is none": (with_app(port="x"), "port: expected a whole number"),
    "a boolean": (with_app(history={"enabled": "yes"}), "history.enabled: expected a boolean"),
    "a time": (with_app(idempotency={"ttl_seconds": 0}), "idempotency.ttl_seconds: 0"),
    "a capacity": (with_app(cache={"memory": {"max_capacity": 0}}), "cache.memory.max_capacity: 0"),
    "apps": ({"app_manager": {"array": {"apps": {}}}}, "apps: expected a list"),
    "a limit": (with_app({**APP, "policy": {"limits": {"max_event_batch_size": -1}}}), "max_event_batch_size: -1"),
    "an address": (with_app({**APP, "policy": {"webhooks": [{"url": "ftp://topsecret"}]}}), "url: expected an http"),
    "a pattern": (
        with_app(
            {**APP, "policy": {"webhooks": [{"url": "http://x", "filter": {"channel_pattern": "("}}], "features": {}}}
        ),
        "channel_pattern: no regular expression",
    ),
}


@pytest.mark.parametrize(("values", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named(values: Any, text: str) -> None:
    """And its value is shown only where it is a number."""
    with pytest.raises(ValueError, match=text) as problem:
        settings_of(values)
    assert "topsecret" not in str(problem.value)


def test_both_forms_of_a_file_and_its_variables(tmp_path: Path) -> None:
    """TOML and JSON, with `${VAR:-default}`."""
    toml, document = tmp_path / "sockudo.toml", tmp_path / "sockudo.json"
    toml.write_text(
        'port = 1\n[[app_manager.array.apps]]\nid = "a"\nkey = "${KEY:-k}"\nsecret = "${SECRET}"\nenabled = true\n'
    )
    document.write_text(json.dumps(with_app({**APP, "key": "${KEY:-k}", "secret": "${SECRET}"})))
    for path in (toml, document):
        (app,) = read_file(path, {"SECRET": "s"}).config.apps
        assert (app.key, app.secret) == ("k", "s")
    for path in (toml, document):
        path.write_text('secret = "topsecret')
        with pytest.raises(ValueError, match=r"not (TOML|JSON)") as problem:
            read_file(path, {})
        assert "topsecret" not in str(problem.value)


def test_our_own_file_of_the_real_server_is_read() -> None:
    """The one that `make stack` runs Sockudo with."""
    found = read_file(ROOT / "worker" / "sockudo.toml", {"SOCKUDO_APP_KEY": "k", "SOCKUDO_APP_SECRET": "s"})
    assert found.config.apps
    assert found.ignored
