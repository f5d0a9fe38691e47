"""Where an app is: URLs and parts, as the seed, pusher and people write them."""

import contextlib
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.errors import ConfigurationError

pytestmark = pytest.mark.unit

URLS = {
    "seed": ("http://key:secret@127.0.0.1:6001/apps/app-id", "http://127.0.0.1:6001", "app-id"),
    "digits": ("http://key:secret@127.0.0.1:6001/apps/104060", "http://127.0.0.1:6001", "104060"),
    "tls": ("https://key:secret@my.server.com/apps/3", "https://my.server.com:443", "3"),
    "http port": ("http://key:secret@my.server.com/apps/3", "http://my.server.com:80", "3"),
    "ipv6": ("http://key:secret@[::1]:6001/apps/3", "http://[::1]:6001", "3"),
    "ipv6 no port": ("https://key:secret@[2001:db8::1]/apps/3", "https://[2001:db8::1]:443", "3"),
    "trailing slash": ("http://key:secret@h:1/apps/3/", "http://h:1", "3"),
    "escaped app id": ("http://key:secret@h:1/apps/a%20%C3%BC", "http://h:1", "a ü"),
    "spaces around": (" http://key:secret@h:1/apps/3\n", "http://h:1", "3"),
    "scheme in capitals": ("HTTP://key:secret@h:1/apps/3", "http://h:1", "3"),
}


@pytest.mark.parametrize(("url", "base_url", "app_id"), URLS.values(), ids=URLS.keys())
def test_url(url, base_url, app_id):
    """All ways to write the URL end in the same three things."""
    found = Credentials.from_url(url)
    assert (found.base_url, found.app_id, found.key, found.secret) == (base_url, app_id, "key", "secret")


def test_percent_encoded_credentials_are_decoded():
    """A key with a plus, a secret with slash, at, colon and question mark."""
    found = Credentials.from_url("http://k%2By:s%2F%40%3A%3F%C3%BC@h:1/apps/a")
    assert (found.key, found.secret) == ("k+y", "s/@:?ü")


def test_a_plus_in_the_url_stays_a_plus():
    """Credentials are percent-encoded, not form-encoded."""
    assert Credentials.from_url("http://k+y:s@h:1/apps/a").key == "k+y"


def test_path_is_escaped_so_that_it_is_signed_as_sent():
    """An app id of any text becomes one path segment."""
    assert Credentials.from_parts("a b?ü%", "k", "s").path == "/apps/a%20b%3F%C3%BC%25"


def test_path_is_escaped_only_where_it_must_be():
    """The server compares the id with the path as it arrives."""
    assert Credentials.from_parts("a-._~!$&'()*+,;=:@1", "k", "s").path == "/apps/a-._~!$&'()*+,;=:@1"


BAD_URLS = {
    "empty": "",
    "no scheme": "key:hushhush@h:1/apps/3",
    "other scheme": "ftp://key:hushhush@h:1/apps/3",
    "websocket scheme": "ws://key:hushhush@h:1/apps/3",
    "no user": "http://h:1/apps/3",
    "no secret": "http://hushhush@h:1/apps/3",
    "empty secret": "http://hushhush:@h:1/apps/3",
    "empty key": "http://:hushhush@h:1/apps/3",
    "no host": "http://key:hushhush@/apps/3",
    "no app": "http://key:hushhush@h:1",
    "no app id": "http://key:hushhush@h:1/apps/",
    "other path": "http://key:hushhush@h:1/app/3",
    "prefix with a dot segment": "http://key:hushhush@h:1/a/../apps/3",
    "prefix with an escape": "http://key:hushhush@h:1/hushhush%2F/apps/3",
    "prefix with an at": "http://key:hushhush@h:1/hush@h/apps/3",
    "two apps": "http://key:hushhush@h:1/apps/2/apps/3",
    "empty segment": "http://key:hushhush@h:1//apps/3",
    "no slash before apps": "http://key:hushhush@h:1/wsapps/3",
    "deeper path": "http://key:hushhush@h:1/apps/3/events",
    "slash in app id": "http://key:hushhush@h:1/apps/a%2Fb",
    "slash in secret": "http://key:hush/hush@h:1/apps/3",
    "question mark in secret": "http://key:hush?hush@h:1/apps/3",
    "hash in secret": "http://key:hush#hush@h:1/apps/3",
    "bracket in secret": "http://key:hush[hush@h:1/apps/3",
    "port not a number": "http://key:hushhush@h:hushhush/apps/3",
    "port too large": "http://key:hushhush@h:65536/apps/3",
    "port zero": "http://key:hushhush@h:0/apps/3",
    "newline within": "http://key:hush\nhush@h:1/apps/3",
    "space within": "http://key:hush hush@h:1/apps/3",
    "not utf-8": "http://key:hushhush%ff@h:1/apps/3",
    "control character": "http://key:hushhush%00@h:1/apps/3",
    "ipv6 without end": "http://key:hushhush@[::1/apps/3",
    "query": "http://key:hushhush@h:1/apps/3?hushhush=1",
}


@pytest.mark.parametrize("url", BAD_URLS.values(), ids=BAD_URLS.keys())
def test_malformed_url_is_refused_without_being_echoed(url):
    """The complaint names the setting; no piece of the URL is in it or in its traceback."""
    with pytest.raises(ConfigurationError) as caught:
        Credentials.from_url(url, setting="SOCKUDO_URL")
    assert str(caught.value).startswith("SOCKUDO_URL:")
    printed = "".join(traceback.format_exception(caught.value)).replace(__file__, "")
    assert "hush" not in printed.split("ConfigurationError")[-1]
    assert "During handling" not in printed


@given(st.text())
def test_any_text_is_a_url_or_a_configuration_error(url):
    """Nothing else is ever raised."""
    with contextlib.suppress(ConfigurationError):
        Credentials.from_url(url)


@given(st.text(alphabet=st.characters(min_codepoint=33, exclude_categories=("Cs", "Cc"))).filter(bool))
def test_every_secret_survives_percent_encoding(secret):
    """What quote() made of a secret, from_url() undoes."""
    assert Credentials.from_url(f"http://k:{quote(secret, safe='')}@h:1/apps/a").secret == secret


PARTS = {
    "defaults": ({}, "http://127.0.0.1:6001"),
    "tls": ({"use_tls": True, "host": "h"}, "https://h:443"),
    "ssl": ({"ssl": True, "host": "h"}, "https://h:443"),
    "secure": ({"secure": True, "host": "h", "port": 8443}, "https://h:8443"),
    "agreeing": ({"use_tls": False, "ssl": False, "secure": False}, "http://127.0.0.1:6001"),
    "host": ({"host": "h"}, "http://h:6001"),
    "host:port": ({"host": "h:7"}, "http://h:7"),
    "host:port twice the same": ({"host": "h:7", "port": 7}, "http://h:7"),
    "port": ({"port": 7}, "http://127.0.0.1:7"),
    "ipv6 bare": ({"host": "::1"}, "http://[::1]:6001"),
    "ipv6 brackets": ({"host": "[::1]"}, "http://[::1]:6001"),
    "ipv6 and port": ({"host": "[::1]:7"}, "http://[::1]:7"),
    "cluster": ({"cluster": "eu", "ssl": False}, "http://api-eu.sockudo.com:80"),
    "cluster tls": ({"cluster": "eu", "ssl": True}, "https://api-eu.sockudo.com:443"),
    "cluster port": ({"cluster": "eu", "port": 7, "secure": False}, "http://api-eu.sockudo.com:7"),
}


@pytest.mark.parametrize(("parts", "base_url"), PARTS.values(), ids=PARTS.keys())
def test_parts(parts, base_url):
    """Host, port, TLS and cluster in all their spellings."""
    assert Credentials.from_parts("app", "k", "s", **parts).base_url == base_url


BAD_PARTS = {
    "tls contradiction": ({"use_tls": True, "ssl": False}, "use_tls, ssl: contradict"),
    "secure contradiction": ({"secure": True, "ssl": False}, "ssl, secure: contradict"),
    "tls not a bool": ({"ssl": "no"}, "ssl: a str"),
    "cluster and host": ({"cluster": "eu", "host": "h"}, "cluster: given together"),
    "cluster without TLS or not": ({"cluster": "eu"}, r"cluster: without use_tls \(or ssl, secure\)"),
    "cluster and port": ({"cluster": "eu", "port": 443}, "cluster: without use_tls"),
    "prefix of another type": ({"path_prefix": 5}, "path_prefix: a int"),
    "prefix without its slash": ({"path_prefix": "ws"}, "path_prefix: expected /segments"),
    "prefix with a dot segment": ({"path_prefix": "/a/.."}, "path_prefix: expected"),
    "prefix with an escape": ({"path_prefix": "/a%2e"}, "path_prefix: expected"),
    "prefix with an empty segment": ({"path_prefix": "/a//b"}, "path_prefix: expected"),
    "prefix with a query": ({"path_prefix": "/a?b"}, "path_prefix: expected"),
    "prefix with the app": ({"path_prefix": "/apps/5"}, "path_prefix: expected"),
    "cluster elsewhere": ({"ssl": True, "cluster": "eu.evil.com/"}, "cluster: expected"),
    "cluster empty": ({"ssl": True, "cluster": ""}, "cluster: expected"),
    "two ports": ({"host": "h:7", "port": 8}, "port: given twice"),
    "port text": ({"port": "7"}, "port: expected"),
    "port true": ({"port": True}, "port: expected"),
    "port large": ({"port": 65536}, "port: expected"),
    "port in host": ({"host": "h:x"}, "host: expected"),
    "port in host large": ({"host": "h:99999"}, "port: expected"),
    "host empty": ({"host": ""}, "host: expected"),
    "host url": ({"host": "http://h"}, "host: expected"),
    "host path": ({"host": "h/x"}, "host: expected"),
    "host user": ({"host": "u@h"}, "host: expected"),
    "host newline": ({"host": "h\n"}, "host: expected"),
    "host bytes": ({"host": b"h"}, "host: expected"),
    "host label too long": ({"host": "ü" * 70}, "host: expected"),
    "ipv6 junk": ({"host": "[::1]x"}, "host: expected"),
    "brackets without ipv6": ({"host": "[h]"}, "host: expected"),
}


@pytest.mark.parametrize(("parts", "complaint"), BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_contradicting_or_malformed_parts_are_refused(parts, complaint):
    """The complaint names the argument."""
    with pytest.raises(ConfigurationError, match=complaint):
        Credentials.from_parts("app", "k", "s", **parts)


@pytest.mark.parametrize(
    ("triple", "complaint"),
    [
        (("", "k", "s"), "app_id: empty"),
        (("a/b", "k", "s"), "app_id: must not hold '/'"),
        ((None, "k", "s"), "app_id: a NoneType"),
        ((True, "k", "s"), "app_id: a bool"),
        (("a", "", "s"), "key: empty"),
        (("a", b"k", "s"), "key: a bytes"),
        (("a", "k", ""), "secret: empty"),
        (("a", "k", None), "secret: a NoneType"),
        (("a", "k\r\nX: y", "s"), "key: holds a control"),
        (("a", "k", "\ud800"), "secret: not UTF-8"),
    ],
)
def test_bad_app_id_key_or_secret_is_refused(triple, complaint):
    """Empty, of the wrong type, or unfit for a request."""
    with pytest.raises(ConfigurationError, match=complaint):
        Credentials.from_parts(*triple)


def test_number_as_app_id():
    """Old Pusher app ids are numbers, and people write them so."""
    assert Credentials.from_parts(104060, "k", "s").path == "/apps/104060"


@pytest.mark.parametrize("option", ["use_tls", "ssl", "secure"])
def test_tls_option_against_the_scheme_is_refused(option):
    """Neither of the two is silently taken."""
    with pytest.raises(ConfigurationError, match="contradicts"):
        Credentials.from_url("http://k:s@h:1/apps/a", **{option: True})
    assert Credentials.from_url("https://k:s@h:1/apps/a", **{option: True}).use_tls


def test_host_and_port_replace_those_of_the_url():
    """As pusher's options do."""
    url = "http://k:s@h:1/apps/a"
    assert Credentials.from_url(url, host="other").base_url == "http://other:1"
    assert Credentials.from_url(url, host="other:2").base_url == "http://other:2"
    assert Credentials.from_url(url, port=3).base_url == "http://h:3"
    with pytest.raises(ConfigurationError, match="cluster"):
        Credentials.from_url(url, cluster="eu")
    with pytest.raises(ConfigurationError, match="port: given twice"):
        Credentials.from_url(url, host="other:2", port=3)


PREFIXES = {
    "one segment": ("https://k:s@h/ws/apps/3", "/ws"),
    "several": ("https://k:s@h/a-b/c.d/~e_f/apps/3", "/a-b/c.d/~e_f"),
    "none": ("https://k:s@h/apps/3", ""),
    "slash at the end": ("https://k:s@h/ws/apps/3/", "/ws"),
    "app of that name": ("https://k:s@h/ws/apps/apps", "/ws"),
}


@pytest.mark.parametrize(("url", "prefix"), PREFIXES.values(), ids=PREFIXES.keys())
def test_url_with_a_path_prefix(url, prefix):
    """It stands beside what is signed, never in it."""
    found = Credentials.from_url(url)
    assert found.path_prefix == prefix
    assert found.path in ("/apps/3", "/apps/apps")
    assert found.base_url == "https://h:443"


def test_prefix_as_an_option():
    """Of the parts, and beside a URL that has none, or the same."""
    assert Credentials.from_parts("3", "k", "s", path_prefix="/ws/").path_prefix == "/ws"
    assert Credentials.from_parts("3", "k", "s", path_prefix="/").path_prefix == ""
    assert Credentials.from_url("http://k:s@h/apps/3", path_prefix="/ws").path_prefix == "/ws"
    assert Credentials.from_url("http://k:s@h/ws/apps/3", path_prefix="/ws").path_prefix == "/ws"
    with pytest.raises(ConfigurationError, match="path_prefix: given together with another in url"):
        Credentials.from_url("http://k:s@h/ws/apps/3", path_prefix="/other")


def test_repr_hides_key_and_secret():
    """Logs may show where, never as whom."""
    text = repr(Credentials.from_parts("app", "the-key", "the-secret"))
    assert "app" in text
    assert "the-key" not in text
    assert "the-secret" not in text
