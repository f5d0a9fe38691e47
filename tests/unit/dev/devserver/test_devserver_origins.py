"""Which pages may connect, and which Host names are this server's."""

from __future__ import annotations

import pytest

from sockudo_publisher.dev.devserver.origins import is_allowed_origin, is_own_host, is_same_origin, matches_pattern

pytestmark = pytest.mark.unit

HERE = "127.0.0.1:6001"

ORIGINS = {
    "no page": (None, HERE, True),
    "a page of this machine": ("http://localhost:3000", HERE, True),
    "a named one of this machine": ("https://shop.localhost", HERE, True),
    "a page of a loopback address": ("http://127.0.0.1:8000", HERE, True),
    "IPv6 loopback": ("http://[::1]:8000", "[::1]:6001", True),
    "the machine's own address": ("http://10.0.0.5:3000", "10.0.0.5:6001", True),
    "the bound name": ("http://dev.example:3000", "dev.example:6001", True),
    "a foreign page": ("https://evil.example", HERE, False),
    "a foreign page that names its host": ("http://evil.example", "evil.example:6001", False),
    "a foreign page in disguise": ("http://localhost.evil.example", HERE, False),
    "a user part in disguise": ("http://localhost@evil.example", HERE, False),
    "another address": ("http://10.0.0.6", "10.0.0.5:6001", False),
    "a sandboxed page": ("null", HERE, False),
    "a file": ("file://", HERE, False),
    "an extension": ("chrome-extension://abc", HERE, False),
    "nothing": ("", HERE, False),
    "a broken address": ("http://[::1", HERE, False),
    "no host": ("https://evil.example", None, False),
}


@pytest.mark.parametrize(("origin", "host", "expected"), ORIGINS.values(), ids=ORIGINS)
def test_pages_of_this_machine_may_connect(origin: str | None, host: str | None, expected: bool) -> None:
    """And no others, unless they are allowed by name."""
    assert is_allowed_origin(origin, host, "dev.example") is expected
    assert is_allowed_origin(origin, host, "dev.example", ["*"])
    if origin:
        assert is_allowed_origin(origin, host, "dev.example", [origin])


@pytest.mark.parametrize(
    ("origin", "pattern", "expected"),
    [
        ("https://a.example", "https://a.example", True),
        ("https://A.example", "https://a.EXAMPLE", True),
        ("https://a.example", "a.example", True),
        ("http://a.example:3000", "a.example", False),
        ("https://x.a.example", "*.a.example", True),
        ("https://a.example", "*.a.example", False),
        ("https://x.a.example", "https://*.a.example", True),
        ("http://x.a.example", "https://*.a.example", False),
        ("https://a.example", "any", True),
        ("", "a.example", False),
    ],
)
def test_patterns_are_the_server_s(origin: str, pattern: str, expected: bool) -> None:
    """As in `allowed_origins` of the real server."""
    assert matches_pattern(origin, pattern) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in (HERE, "localhost", "[::1]:6001", "10.1.2.3:1", "dev.example:6001")),
        *((host, False) for host in ("evil.example:6001", None, "", "a/b", "[::1", "x@127.0.0.1")),
    ],
)
def test_a_foreign_name_is_no_own_host(host: str | None, expected: bool) -> None:
    """Its DNS may point here."""
    assert is_own_host(host, "dev.example") is expected


def test_the_page_is_of_the_same_origin() -> None:
    """Scheme aside, host and port must be equal."""
    assert is_same_origin("http://127.0.0.1:6001", HERE)
    assert is_same_origin(None, HERE)
    for origin in ("http://localhost:6001", "http://127.0.0.1:3000", "null", "http://[::1", "ftp://127.0.0.1:6001"):
        assert not is_same_origin(origin, HERE)
