"""Which function decides: decorators, wrong functions, overlaps, checks of a registry."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sockudo_publisher import ConfigurationError, Settings, Sockudo, ValidationError
from sockudo_publisher.contrib.permissions import (
    Registry,
    apps_with_one_secret,
    channel,
    check,
    default_registry,
    refuse_errors,
    registry_of,
)

pytestmark = pytest.mark.unit

MASTER_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_one_function_may_have_several_patterns(registry: Registry) -> None:
    """In one decorator or in several; it stays the function that it is."""

    @registry.channel("private-a.{x}", "presence-a.{x}")
    @registry.channel("private-b.{x}")
    def may_join(user: object, x: str) -> bool:
        return True

    assert may_join(None, "1") is True
    for name in ("private-a.1", "presence-a.1", "private-b.1"):
        (found,) = registry.find(name)
        assert found.permission.function is may_join
        assert found.arguments == {"x": "1"}
    assert registry.find("private-c.1") == ()


def no_variable(user: Any) -> bool:
    return True


def more_arguments(user: Any, x: str, y: str) -> bool:
    return True


def generator(user: Any, x: str) -> Any:
    yield True


async def async_generator(user: Any, x: str) -> Any:
    yield True


def no_user() -> bool:
    return True


@pytest.mark.parametrize("function", [no_variable, more_arguments, generator, async_generator, no_user, 5])
def test_a_function_that_cannot_be_called_is_refused(registry: Registry, function: Any) -> None:
    """At the decorator: no subscriber finds out."""
    with pytest.raises(ValidationError, match=r"private-a\.\{x\}"):
        registry.channel("private-a.{x}")(function)
    assert len(registry) == 0


def test_a_decorator_without_a_pattern_is_refused(registry: Registry) -> None:
    """Also without its parentheses."""
    with pytest.raises(ValidationError, match="no pattern"):
        registry.channel()
    with pytest.raises(ValidationError, match="no pattern"):
        registry.channel(no_variable)  # type: ignore[arg-type]


def test_a_module_that_is_loaded_again_replaces_its_functions(registry: Registry) -> None:
    """As Python does with the name."""
    source = "def may(user, x):\n    return {answer}\n"
    for answer in (False, True):
        module: dict[str, Any] = {"__name__": "shop.channels"}
        exec(source.format(answer=answer), module)
        registry.add("private-a.{x}", module["may"])
    (found,) = registry.find("private-a.1")
    assert found.permission.function(None, x="1") is True


def test_overlaps_are_errors_of_the_check(registry: Registry) -> None:
    """Both are named."""
    registry.add("private-{x}", lambda user, x: True)
    registry.add("private-orders-{y}", lambda user, y: True)
    (finding,) = check(registry)
    assert (finding.level, finding.code) == ("error", "overlap")
    assert "private-{x}" in finding.text
    assert "private-orders-{y}" in finding.text
    with pytest.raises(ConfigurationError, match="match the same channels"):
        refuse_errors(check(registry))


def test_cache_channels_and_missing_keys_are_found(registry: Registry) -> None:
    """Open ones are a warning; what no client can join is an error."""
    for pattern in ("private-cache-{x}", "private-encrypted-cache-{x}", "presence-cache-{x}", "private-encrypted-{x}"):
        registry.add(pattern, lambda user, x: True)
    without_key, with_key = Sockudo("a", "k", "s"), Sockudo("a", "k", "s", encryption_master_key_base64=MASTER_KEY)
    assert [(one.level, one.code) for one in check(registry, with_key)] == [
        ("warning", "open_cache"),
        ("warning", "open_cache"),
        ("error", "presence_cache"),
    ]
    assert [one.code for one in check(registry, without_key)].count("no_master_key") == 2
    assert [one.code for one in check(registry)].count("no_master_key") == 0


def test_warnings_are_logged_and_do_not_raise(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """An open cache channel may be on purpose."""
    registry.add("private-cache-{x}", lambda user, x: True)
    refuse_errors(check(registry))
    assert "does not check the signature on private-cache-" in caplog.text


def test_two_apps_with_one_secret_are_found() -> None:
    """Without the secret in the text; two names of one app are none."""
    apps = {
        "eu": "http://k1:hush@127.0.0.1:6001/apps/a",
        "us": "http://k2:hush@127.0.0.1:6001/apps/b",
        "again": "http://k1:hush@127.0.0.1:6001/apps/a",
        "own": "http://k3:other@127.0.0.1:6001/apps/c",
    }
    (finding,) = apps_with_one_secret(Settings(apps=apps))
    assert "'eu' and 'us'" in finding.text
    assert "hush" not in finding.text


def test_sources_of_a_registry() -> None:
    """None: the default one; a function: its patterns; a registry: itself."""
    before = tuple(default_registry)
    own = Registry()
    try:

        @channel("private-sources.{x}")
        def may_join(user: object, x: str) -> bool:
            return True

        assert registry_of() is default_registry
        assert registry_of(own) is own
        assert [permission.function for permission in registry_of(may_join)] == [may_join]
        own.add("private-own.{x}", lambda user, x: True)
        assert len(registry_of(own, may_join)) == 2
    finally:
        default_registry.clear()
        for permission in before:
            default_registry._put(permission)


def test_a_function_without_patterns_decides_about_all() -> None:
    """If its parameter is the channel; a forgotten decorator is an error."""

    def every(user: object, channel: str) -> bool:
        return True

    (found,) = registry_of(every).find("presence-x.y")
    assert found.arguments == {"channel": "presence-x.y"}
    assert registry_of(every).find("public") == ()
    with pytest.raises(ValidationError, match=r"every channel: .*more_arguments"):
        registry_of(more_arguments)
    with pytest.raises(ValidationError, match="permissions: a str"):
        registry_of("private-x")  # type: ignore[arg-type]


def test_a_function_of_another_registry_needs_it() -> None:
    """Or a function whose variable is named channel would decide about all."""
    own = Registry()

    @own.channel("private-{channel}")
    def may_join(user: object, channel: str) -> bool:
        return True

    with pytest.raises(ValidationError, match="give that Registry"):
        registry_of(may_join)
