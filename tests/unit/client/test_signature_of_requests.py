"""Whole requests against a verifier of their own, written from the server's rules alone (docs/server.md, 2).

Nothing of the package is used to check: it takes what is on the wire apart as the server does. The clock is real.
"""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from sockudo_publisher.client.sockudo import Sockudo

pytestmark = pytest.mark.unit

#: Seconds by which the server lets a timestamp differ.
TOLERANCE_S = 600


class Wire(requests.adapters.BaseAdapter):
    """Keeps requests as they go out."""

    def __init__(self):
        super().__init__()
        self.requests = []

    def send(self, request, **_):
        self.requests.append(request)
        response = requests.Response()
        response.status_code, response._content = 200, b"{}"
        return response

    def close(self):
        pass


def decoded(text):
    """As a form: ``+`` is a space, then percent-escapes, then UTF-8."""
    return unquote_to_bytes(text.replace("+", " ")).decode()


def verify(request, app_id, key, secret):
    """What the server does with a request: it raises, or knows who sent it and that nothing was changed."""
    url = urlsplit(request.url)
    assert url.fragment == ""
    request.url.encode("ascii")  # everything else is escaped
    # The path is signed as it came; only then is the app's id read from it.
    segments = url.path.split("/")
    assert segments[:2] == ["", "apps"]
    assert unquote_to_bytes(segments[2]).decode() == app_id
    pairs = [pair.split("=", 1) for pair in url.query.split("&")]
    parameters = {decoded(name): decoded(value) for name, value in pairs}
    assert len(parameters) == len(pairs)
    assert parameters["auth_key"] == key
    assert parameters["auth_version"] == "1.0"
    assert parameters["auth_timestamp"].isdigit()
    assert abs(int(parameters["auth_timestamp"]) - time.time()) <= TOLERANCE_S
    body = request.body
    if request.method == "POST":
        assert parameters["body_md5"] == hashlib.md5(body).hexdigest()
        assert request.headers["Content-Type"] == "application/json"
    else:
        assert "body_md5" not in parameters
        assert not body
    claimed = parameters.pop("auth_signature")
    canonical = "&".join(f"{name}={value}" for name, value in sorted((n.lower(), v) for n, v in parameters.items()))
    signed = f"{request.method}\n{url.path}\n{canonical}"
    assert hmac.compare_digest(claimed, hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest())
    return body


printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
app_ids = printable.filter(lambda text: "/" not in text and text not in (".", ".."))
channels = st.from_regex(r"[-a-zA-Z0-9_=@,.;:]{1,60}", fullmatch=True).filter(
    lambda name: not name.startswith("private-encrypted-")
)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def clients(draw):
    """A client of any app, its wire, and how to check it."""
    app_id, key, secret = draw(app_ids), draw(printable), draw(printable)
    wire = Wire()
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", wire)
    return Sockudo(app_id, key, secret, session=session), wire, (app_id, key, secret)


@given(clients(), st.lists(channels, min_size=1, max_size=5), printable, values, st.none() | printable)
def test_trigger(client, names, event, data, message_id):
    """Any event: the request holds, and its body says what was given."""
    client, wire, who = client
    client.trigger(names, event, data, message_id=message_id)
    body = json.loads(verify(wire.requests[0], *who))
    assert body["channels"] == list(dict.fromkeys(names))
    assert body["name"] == event
    assert (body["data"] if isinstance(data, str) else json.loads(body["data"])) == data
    assert body.get("message_id") == message_id


@given(clients(), st.lists(st.tuples(channels, printable, values), min_size=1, max_size=5))
def test_trigger_batch(client, events):
    """Any batch."""
    client, wire, who = client
    client.trigger_batch(events)
    batch = json.loads(verify(wire.requests[0], *who))["batch"]
    assert [(item["channel"], item["name"]) for item in batch] == [(channel, name) for channel, name, _ in events]
    for item, (_, _, data) in zip(batch, events, strict=True):
        assert (item["data"] if isinstance(data, str) else json.loads(item["data"])) == data


@given(clients(), st.dictionaries(st.from_regex(r"[a-zA-Z_]{1,12}", fullmatch=True), text, max_size=4))
def test_queries(client, parameters):
    """Any parameters, of any case and with anything in them."""
    client, wire, who = client
    mine = {name: value for name, value in parameters.items() if not name.lower().startswith(("auth_", "body_md5"))}
    if len({name.lower() for name in mine}) < len(mine):
        return
    client.call("GET", "/channels", query=mine)
    verify(wire.requests[0], *who)


@given(clients(), printable)
def test_paths(client, user_id):
    """Any user id in the path: what is sent is what is signed."""
    client, wire, who = client
    if user_id in (".", ".."):
        return
    client.terminate_user_connections(user_id)
    verify(wire.requests[0], *who)
    segment = urlsplit(wire.requests[0].url).path.split("/")[4]
    assert unquote_to_bytes(segment).decode() == user_id


@given(st.binary(min_size=32, max_size=32), text)
def test_encryption_is_read_by_nacl_alone(master_key, data):
    """By the documented derivation: SHA-256 of the channel's name and the key."""
    wire = Wire()
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", wire)
        key = base64.b64encode(master_key).decode()
        client = Sockudo("a", "k", "s", session=session, encryption_master_key_base64=key)
        client.trigger("private-encrypted-x", "e", data)
    envelope = json.loads(json.loads(wire.requests[0].body)["data"])
    box = SecretBox(hashlib.sha256(b"private-encrypted-x" + master_key).digest())
    opened = box.decrypt(base64.b64decode(envelope["ciphertext"]), base64.b64decode(envelope["nonce"]))
    assert opened.decode() == data


@pytest.mark.parametrize("spoil", ["method", "path", "parameter", "body", "secret", "order"])
def test_the_verifier_finds_what_is_changed(spoil):
    """It would otherwise prove nothing."""
    wire = Wire()
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", wire)
        Sockudo("app", "key", "secret", session=session).trigger("c", "e", 1)
    (request,) = wire.requests
    verify(request, "app", "key", "secret")
    secret = "secret"
    if spoil == "method":
        request.method = "PUT"
    elif spoil == "path":
        request.url = request.url.replace("/events", "/batch_events")
    elif spoil == "parameter":
        request.url += "&info=user_count"
    elif spoil == "body":
        request.body = request.body.replace(b'"c"', b'"d"')
    elif spoil == "secret":
        secret = "another"
    else:  # a copy signed over what is not sorted
        parameters = dict(pair.split("=") for pair in urlsplit(request.url).query.split("&"))
        parameters.pop("auth_signature")
        backwards = "&".join(f"{name}={value}" for name, value in sorted(parameters.items(), reverse=True))
        wrong = hmac.new(b"secret", f"POST\n/apps/app/events\n{backwards}".encode(), hashlib.sha256).hexdigest()
        request.url = request.url.partition("auth_signature=")[0] + f"auth_signature={wrong}"
    with pytest.raises(AssertionError):
        verify(request, "app", "key", secret)
