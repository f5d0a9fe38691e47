"""Starting and checking an application: settings that are missing, secrets that are shared, patterns that overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sockudo_publisher import ConfigurationError, Settings, configure
from sockudo_publisher.contrib import fastapi, flask, starlette
from sockudo_publisher.contrib.permissions import Registry

pytestmark = pytest.mark.unit

URL = "http://key:hush@127.0.0.1:6001/apps/app"


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SOCKUDO_URL", raising=False)
    yield
    configure()


def start() -> None:
    async def run() -> None:
        async with starlette.lifespan(None):
            pass

    asyncio.run(run())


def test_an_application_starts_with_its_settings() -> None:
    """And not without, nor with a malformed one; the secret is not in the message."""
    configure(Settings(url=URL))
    start()
    configure()
    with pytest.raises(ConfigurationError, match="SOCKUDO_URL"):
        start()
    configure(Settings(url="http://key:hush@127.0.0.1:6001/app"))
    with pytest.raises(ConfigurationError) as caught:
        start()
    assert "hush" not in str(caught.value)


def test_shared_secrets_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """At the start."""
    configure(Settings(url=URL, apps={"eu": "http://other:hush@127.0.0.1:6001/apps/eu"}))
    start()
    assert "have one secret" in caplog.text
    assert "hush" not in caplog.text


def test_nothing_is_made_of_overlapping_patterns() -> None:
    """Neither router, routes nor blueprint."""
    registry = Registry()
    registry.add("private-{x}", lambda user, x: True)
    registry.add("private-a{y}", lambda user, y: True)
    for make in (fastapi.router, starlette.routes, flask.blueprint):
        with pytest.raises(ConfigurationError, match="match the same channels"):
            make(registry)


def test_endpoints_exist_where_they_have_a_function() -> None:
    """No sign-in and no webhooks without one, and no setting is read before the first request."""
    registry = Registry()
    assert [route.path for route in starlette.routes(registry)] == ["/auth"]
    every = starlette.routes(registry, user_data=lambda user: None, webhooks=print)
    assert [route.path for route in every] == ["/auth", "/user-auth", "/webhook"]


def test_a_late_overlap_is_logged_at_the_first_request(caplog: pytest.LogCaptureFixture) -> None:
    """Permissions of modules that were imported after the router was made."""
    from sockudo_publisher.contrib.endpoints import Endpoints

    configure(Settings(url=URL))
    registry = Registry()
    endpoints = Endpoints(permissions=[registry])
    registry.add("private-encrypted-{x}", lambda user, x: True)
    assert endpoints.authorize(b"socket_id=1.2&channel_name=private-encrypted-a", "ada").status == 403
    assert "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64" in caplog.text
