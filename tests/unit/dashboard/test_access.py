"""Who may do what on the dashboard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.dashboard.access import (
    LOOPBACK_NAMES,
    AccessRules,
    Allow,
    Refuse,
    RequestFacts,
    decide_access,
    host_name,
    is_loopback,
)

pytestmark = pytest.mark.unit

LOCAL = AccessRules()
REMOTE = AccessRules(frozenset({*LOOPBACK_NAMES, "ops.example.com"}), needs_token=True)

READ = RequestFacts("GET", "/api/look", ("127.0.0.1:8700",))
ACT = RequestFacts(
    "POST",
    "/api/pause",
    ("127.0.0.1:8700",),
    origin="http://127.0.0.1:8700",
    fetch_site="same-origin",
    content_type="application/json",
)
FAR = {"hosts": ("ops.example.com",), "is_local": False, "origin": "https://ops.example.com"}
SIGN_IN = replace(ACT, path="/login", content_type="application/x-www-form-urlencoded")


def status(facts: RequestFacts, rules: AccessRules = LOCAL) -> int:
    decision = decide_access(facts, rules)
    return decision.status if isinstance(decision, Refuse) else 200


@pytest.mark.parametrize("facts", [READ, ACT, replace(READ, path="/"), replace(READ, hosts=("localhost",))])
def test_this_machine_needs_no_token(facts: RequestFacts) -> None:
    """Without one set."""
    assert status(facts) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "[::2]"],
)
@pytest.mark.parametrize("facts", [READ, ACT, replace(READ, path="/"), replace(READ, path="/page/main.js"), SIGN_IN])
@pytest.mark.parametrize("rules", [LOCAL, REMOTE])
def test_rebound_name_is_refused(host: str, facts: RequestFacts, rules: AccessRules) -> None:
    """On every path, whatever else the request has: its origin is the same name then."""
    rebound = replace(facts, hosts=(host,), origin=f"http://{host}", has_bearer=True, has_session=True)
    assert status(rebound, rules) == 403


@pytest.mark.parametrize(
    "hosts",
    [(), ("127.0.0.1", "127.0.0.1"), ("",), ("a@127.0.0.1",), ("127.0.0.1/x",), ("127.0.0.1:x",), ("[::1",), ("ü",)],
)
def test_malformed_host_is_refused(hosts: tuple[str, ...]) -> None:
    """None, two, or one that is no host."""
    assert status(replace(READ, hosts=hosts)) == 400


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost.", "127.0.0.1:1", "[::1]:8700", "[::1]"])
def test_spellings_of_loopback_are_own(host: str) -> None:
    """Case, the root's dot, ports and brackets make no other name."""
    assert status(replace(READ, hosts=(host,))) == 200


def test_any_address_is_own_where_all_are_listened_on() -> None:
    """Rebinding needs a name."""
    rules = replace(REMOTE, takes_addresses=True)
    assert status(replace(READ, hosts=("192.0.2.7:8700",), has_bearer=True), rules) == 200
    assert status(replace(READ, hosts=("evil.example",), has_bearer=True), rules) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://127.0.0.1:8700.evil.example",
        "http://127.0.0.1:8700@evil.example",
        "http://localhost:8700",
        "file://",
        "ftp://127.0.0.1:8700",
        "http://127.0.0.1:8700/path",
        "http://[::1",
    ],
)
@pytest.mark.parametrize("facts", [ACT, SIGN_IN, replace(ACT, has_bearer=True)])
def test_other_origin_is_refused(origin: str, facts: RequestFacts) -> None:
    """Also beside the right token: a page that can send it is no program of the operator."""
    assert status(replace(facts, origin=origin)) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "something-new"])
def test_action_from_another_site_is_refused(site: str) -> None:
    """By what the browser says of the request."""
    assert status(replace(ACT, fetch_site=site)) == 403


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://ops.example.com", "ops.example.com"),
        ("https://ops.example.com", "ops.example.com:443"),
        ("https://ops.example.com:443", "ops.example.com"),
        ("http://OPS.example.com", "ops.example.com:80"),
    ],
)
def test_default_port_may_be_left_out(origin: str, host: str) -> None:
    """A proxy with TLS passes the name on."""
    assert status(replace(ACT, hosts=(host,), origin=origin, has_session=True), REMOTE) == 200


def test_action_without_origin_needs_the_bearer() -> None:
    """A browser sends an Origin; a cookie alone is no proof of the page."""
    bare = replace(ACT, origin=None, fetch_site="")
    assert status(bare) == 403
    assert status(replace(bare, has_session=True), REMOTE) == 403
    assert status(replace(bare, has_bearer=True), REMOTE) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_data_is_not_read_from_another_site(site: str) -> None:
    """A link elsewhere may open the page."""
    assert status(replace(READ, fetch_site=site)) == 403
    assert status(replace(READ, path="/", fetch_site=site)) == 200


@pytest.mark.parametrize(
    "path", ["/", "/api/look", "/api/letters", "/api/payload", "/api/", "/page", "/login/", "/loginx"]
)
def test_nothing_is_read_without_the_token(path: str) -> None:
    """Whether from here or from elsewhere."""
    for is_local in (True, False):
        facts = replace(READ, path=path, is_local=is_local)
        assert status(facts, REMOTE) == 401
        assert status(replace(facts, has_session=True), REMOTE) == 200
        assert status(replace(facts, has_bearer=True), REMOTE) == 200


@pytest.mark.parametrize("path", ["/api/pause", "/api/replay", "/api/preview", "/logout"])
def test_nothing_is_done_without_the_token(path: str) -> None:
    """From the dashboard's own origin."""
    content = SIGN_IN.content_type if path == "/logout" else ACT.content_type
    facts = replace(ACT, path=path, content_type=content, **FAR)
    assert status(facts, REMOTE) == 401
    assert status(replace(facts, has_session=True), REMOTE) == 200


@pytest.mark.parametrize("facts", [replace(READ, path="/login"), replace(READ, path="/page/style.css"), SIGN_IN])
def test_sign_in_needs_no_token(facts: RequestFacts) -> None:
    """With what its page needs."""
    assert status(facts, REMOTE) == 200


@pytest.mark.parametrize("facts", [replace(READ, is_local=False), replace(READ, is_forwarded=True)])
def test_without_a_token_only_this_machine_is_served(facts: RequestFacts) -> None:
    """A proxy on this machine connects from it, for clients elsewhere."""
    assert status(facts) == 403
    assert status(replace(facts, has_bearer=True), REMOTE) == 200


@pytest.mark.parametrize(
    "path", ["/api/pause", "/api/resume", "/api/replay", "/api/purge", "/api/cancel", "/api/preview"]
)
def test_read_only_refuses_every_action(path: str) -> None:
    """With 403, and only after the token is known."""
    rules = replace(REMOTE, is_read_only=True)
    assert status(replace(ACT, path=path, has_session=True), rules) == 403
    assert status(replace(ACT, path=path), rules) == 401
    assert status(replace(READ, has_session=True), rules) == 200
    assert status(SIGN_IN, rules) == 200


@pytest.mark.parametrize(
    ("facts", "content"),
    [(ACT, ""), (ACT, "text/plain"), (ACT, "application/x-www-form-urlencoded"), (SIGN_IN, "application/json")],
)
def test_other_content_is_refused(facts: RequestFacts, content: str) -> None:
    """What a form elsewhere can send is no action."""
    assert status(replace(facts, content_type=content)) == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"])
def test_other_methods_are_refused(method: str) -> None:
    """No route has them."""
    assert status(replace(ACT, method=method)) == 405


def test_content_type_may_have_parameters() -> None:
    """As some clients send it."""
    assert status(replace(ACT, content_type="Application/JSON; charset=utf-8")) == 200


@given(host=st.text(max_size=40), origin=st.none() | st.text(max_size=40), path=st.text(max_size=20))
def test_any_text_gets_a_decision(host: str, origin: str | None, path: str) -> None:
    """Never an error; and no request without a token is allowed to act."""
    facts = replace(ACT, hosts=(host,), origin=origin, path=path)
    assert not isinstance(decide_access(facts, REMOTE), Allow)
    assert host_name(host) == host_name(host).lower()


@pytest.mark.parametrize(
    ("host", "is_own"), [("127.3.4.5", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)]
)
def test_loopback_addresses(host: str, is_own: bool) -> None:
    """Names are not resolved."""
    assert is_loopback(host) is is_own
