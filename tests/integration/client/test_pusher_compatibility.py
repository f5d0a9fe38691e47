"""Users of ``pusher`` 3.3 change one import: the same program with the one and the other, against a real server.

What ``pusher`` documents is written down here once, as functions of the class; where it works on Sockudo, both must
do the same.
"""

from __future__ import annotations

import decimal
import hashlib
import hmac
import inspect
import json
import pickle
import socket
import time

import pusher
import pusher.errors
import pytest
import requests
from pusher.http import process_response

import sockudo_publisher
from sockudo_publisher import ConfigurationError, Sockudo, SockudoConnectionError, ValidationError
from sockudo_publisher import Sockudo as Pusher
from tests.support.signed_in import join

pytestmark = pytest.mark.integration

BOTH = pytest.mark.parametrize("client_class", [pusher.Pusher, Pusher], ids=["pusher", "ours"])
KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="


@pytest.fixture
def make(full_sockudo):
    """A client of the class, made as ``pusher`` documents it."""
    app = full_sockudo.apps[0]

    def make(client_class, **options):
        # pusher takes digits only for an app id.
        app_id = app.id if client_class is Sockudo else "1"
        client = client_class(
            app_id, app.key, app.secret, ssl=False, host="127.0.0.1", port=full_sockudo.port, **options
        )
        if client_class is not Sockudo:
            client._pusher_client._app_id = app.id
        return client

    return make


def public(kind):
    return {name for name, value in vars(kind).items() if not name.startswith("_") and callable(getattr(kind, name))}


@pytest.mark.parametrize("name", sorted(public(pusher.Pusher)))
def test_every_method_takes_the_same_arguments(name):
    """By position and by name; what ours has beyond them has defaults."""
    theirs, ours = (inspect.signature(getattr(kind, name)).parameters for kind in (pusher.Pusher, Sockudo))
    positional = [parameter for parameter in ours.values() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    wanted = [name for name, parameter in theirs.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    given = [parameter.name for parameter in positional]
    if name == "trigger_batch":  # our method is `batch` too; its first argument is `events`
        assert "batch" in ours
        wanted[1] = "events"
    assert given[: len(wanted)] == wanted
    for parameter in ours.values():
        if parameter.name not in wanted:
            assert parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
    for wants, has in zip(wanted, positional, strict=False):
        if wants in theirs and theirs[wants].default is not inspect.Parameter.empty and wants != "user_data":
            assert has.default is not has.empty


def test_the_constructor_takes_the_same_names():
    """All of them; the adapters of ``pusher`` are refused with a word about ``session``."""
    theirs = inspect.signature(pusher.Pusher.__init__).parameters
    ours = inspect.signature(Sockudo.__init__).parameters
    assert set(theirs) - {"backend_options"} <= set(ours)
    assert list(ours)[1:4] == ["app_id", "key", "secret"]
    Pusher(
        *("4", "key", "secret"),
        **{"ssl": True, "host": None, "port": None, "timeout": 5, "cluster": "eu", "json_encoder": None},
        **{"json_decoder": None, "backend": None, "encryption_master_key": None, "encryption_master_key_base64": None},
    )
    Pusher(app_id="4", key="key", secret="secret", ssl=True, cluster="cluster")
    with pytest.raises(ValueError, match="session="):
        Pusher("4", "key", "secret", backend=object)


@BOTH
def test_construction_by_url_and_environment(client_class, monkeypatch):
    """As both of its docstrings show."""
    client_class.from_url("http://mykey:mysecret@api.example.com/apps/432")
    monkeypatch.setenv("PUSHER_URL", "https://mykey:mysecret@api.example.com/apps/432")
    client_class.from_env("PUSHER_URL", timeout=3)
    monkeypatch.delenv("PUSHER_URL")
    with pytest.raises(Exception, match="PUSHER_URL"):
        client_class.from_env("PUSHER_URL")


@BOTH
def test_publishing(client_class, make, full_sockudo, subscriber):
    """One channel, several without a sender, a batch of dicts: what they return, and what arrives."""
    seen = subscriber(full_sockudo, "a_channel", "another_channel")
    client = make(client_class)
    assert client.trigger("a_channel", "an_event", {"some": "data"}) in ({}, {"ok": True})
    client.trigger(["a_channel", "another_channel"], "an_event", {"some": "data"}, "1234.12")
    client.trigger(channels=("a_channel",), event_name="an_event", data="text", socket_id=None)
    assert seen.take(4)
    batch = [
        {"channel": "a_channel", "name": "an_event", "data": {"some": "data"}, "socket_id": "1234.12"},
        {"channel": "a_channel", "name": "an_event", "data": "text"},
    ]
    before = json.dumps(batch)
    assert client.trigger_batch(batch) == {}
    assert (
        client.trigger_batch([{"channel": "a_channel", "name": "an_event", "data": "[1]"}], already_encoded=True) == {}
    )
    arrived = [json.loads(data) if data[0] in "{[" else data for data in seen.take(7)]
    assert arrived == [{"some": "data"}] * 3 + ["text", {"some": "data"}, "text", [1]]
    if client_class is Sockudo:
        assert json.dumps(batch) == before, "pusher puts its own text into the caller's dicts"


@BOTH
def test_send_to_user(client_class, make):
    """No user has that name: no error."""
    assert make(client_class).send_to_user("user-1", "an_event", {"some": "data"}) in ({}, {"ok": True})


def test_queries(make, full_sockudo, subscriber):
    """Their shapes; with ``pusher`` itself each answers 401, as it signs a digest that a GET must not have."""
    join(subscriber(full_sockudo), full_sockudo.apps[0], "presence-chatroom", "1035")
    ours, theirs = make(Pusher), make(pusher.Pusher)
    listed = ours.channels_info("presence-", ["user_count"])
    assert listed["channels"]["presence-chatroom"] == {"user_count": 1}
    assert ours.channels_info(prefix_filter="presence-chat", attributes=[])["channels"] == {"presence-chatroom": {}}
    channel = ours.channel_info("presence-chatroom", ["user_count"])
    assert (channel["user_count"], channel["occupied"]) == (1, True)
    assert ours.users_info("presence-chatroom") == {"users": [{"id": "1035"}]}
    for query in (
        lambda: theirs.channels_info("presence-", ["user_count"]),
        lambda: theirs.channel_info("presence-chatroom"),
        lambda: theirs.users_info("presence-chatroom"),
    ):
        with pytest.raises(pusher.errors.PusherBadAuth):
            query()


def test_terminate(make):
    """With ``pusher`` it is 404: its path lacks the app."""
    assert make(Pusher).terminate_user_connections("user-1") == {}
    with pytest.raises(pusher.errors.PusherBadStatus):
        make(pusher.Pusher).terminate_user_connections("user-1")


MEMBER = {"user_id": "1", "user_info": {"twitter": "@pusher ü"}}
AUTHENTICATED = {
    "private": lambda client: client.authenticate(channel="private-channel", socket_id="1234.12"),
    "positional": lambda client: client.authenticate("private-channel", "1234.12"),
    "presence": lambda client: client.authenticate("presence-channel", "1234.12", MEMBER),
    "presence by name": lambda client: client.authenticate(
        channel="presence-channel", socket_id="1234.12", custom_data=MEMBER
    ),
    "encrypted": lambda client: client.authenticate("private-encrypted-channel", "1234.12"),
    "user": lambda client: client.authenticate_user("1234.12", {"id": "1", "name": "ü"}),
}


@pytest.mark.parametrize("call", AUTHENTICATED.values(), ids=AUTHENTICATED.keys())
def test_authentication(call):
    """The same fields with the same meaning; only the spacing of JSON differs, and ``bytes`` are text."""
    theirs, ours = (
        call(client_class("4", "key", "secret", encryption_master_key_base64=KEY))
        for client_class in (pusher.Pusher, Pusher)
    )
    assert list(ours) == [name for name in ("auth", "channel_data", "user_data", "shared_secret") if name in theirs]
    json.dumps(ours)
    for name, value in theirs.items():
        if name in ("channel_data", "user_data"):
            assert json.loads(ours[name]) == json.loads(value)
        elif name == "shared_secret":
            assert ours[name] == value.decode()
        elif not {"channel_data", "user_data"} & set(theirs):
            assert ours[name] == value


@BOTH
def test_webhooks(client_class):
    """A dict of what was sent, or ``None``: key, signature and age."""
    client = client_class("4", "key", "secret")
    now = int(time.time() * 1000)
    body = json.dumps({"time_ms": now, "events": [{"name": "event_name", "some": "data"}]})
    signature = hmac.new(b"secret", body.encode(), hashlib.sha256).hexdigest()
    webhook = client.validate_webhook(key="key", signature=signature, body=body)
    assert webhook["events"] == [{"name": "event_name", "some": "data"}]
    assert client.validate_webhook("other", signature, body) is None
    assert client.validate_webhook("key", "0" * 64, body) is None


# What pusher raises, by name: refused input is a ValueError in both.
@BOTH
@pytest.mark.parametrize(
    "bad",
    [
        lambda client: client.trigger("bad channel", "e", 1),
        lambda client: client.trigger(["c"] * 1 + [f"c{n}" for n in range(101)], "e", 1),
        lambda client: client.trigger("c", "x" * 201, 1),
        lambda client: client.trigger("c", "e", "x" * 40_000),
        lambda client: client.trigger("c", "e", 1, socket_id="1234"),
        lambda client: client.authenticate("private-c", "1234"),
        lambda client: client.authenticate("bad channel", "1.1"),
        lambda client: client.authenticate_user("1.1", {}),
        lambda client: client.channel_info("bad channel"),
        lambda client: client.users_info("bad channel"),
    ],
)
def test_bad_input_is_a_value_error(client_class, bad):
    """Before anything is sent."""
    with pytest.raises(ValueError):  # noqa: PT011
        bad(client_class("4", "key", "secret", host="127.0.0.1", port=1, ssl=False))


URL = "http://key:secret@127.0.0.1:1/apps/4"
MINE = {"ssl": False, "host": "127.0.0.1", "port": 1}


class Sent(Exception):
    """A request left."""


# What docs/migrating.md says is another with us: what pusher does there, and what is raised here.
DIFFERENT = {
    "constructor by position": (lambda kind: kind("4", "key", "secret", False, "127.0.0.1", 1), None, TypeError),
    "from_url with a cluster": (lambda kind: kind.from_url(URL, cluster="eu"), None, ConfigurationError),
    "from_url with an app id": (lambda kind: kind.from_url(URL, app_id="5"), None, TypeError),
    "timeout": (lambda kind: kind("4", "key", "secret", timeout="5"), TypeError, ConfigurationError),
    "ssl": (lambda kind: kind("4", "key", "secret", ssl=1), TypeError, ConfigurationError),
    "channel": (lambda kind: kind("4", "k", "s", **MINE).authenticate(5, "1.1"), TypeError, ValidationError),
    "user": (lambda kind: kind("4", "k", "s", **MINE).authenticate_user("1.1", {"id": 5}), TypeError, ValidationError),
    "bytes": (lambda kind: kind("4", "k", "s").authenticate(b"private-c", b"1.1"), None, ValidationError),
    "public": (lambda kind: kind("4", "k", "s").authenticate("public", "1.1"), None, ValidationError),
    "no member": (lambda kind: kind("4", "k", "s").authenticate("presence-c", "1.1"), None, ValidationError),
    "a number": (
        *(lambda kind: kind("4", "k", "s").authenticate("presence-c", "1.1", {"user_id": 5}), None, ValidationError),
    ),
    "no answer": (
        lambda kind: kind("4", "k", "s", **MINE).trigger("c", "e", 1),
        *(requests.exceptions.ConnectionError, SockudoConnectionError),
    ),
    "cluster without ssl": (lambda kind: kind("4", "k", "s", cluster="eu"), None, ConfigurationError),
    "host and cluster": (lambda kind: kind("4", "k", "s", host="h", ssl=True, cluster="eu"), None, ConfigurationError),
    "empty host": (lambda kind: kind("4", "k", "s", host=""), None, ConfigurationError),
    "port of 0": (lambda kind: kind("4", "k", "s", port=0), None, ConfigurationError),
    "options of requests": (lambda kind: kind("4", "k", "s", proxies={}), None, TypeError),
    "no certificates": (lambda kind: kind("4", "k", "s", ssl=True, verify=False), None, ConfigurationError),
    "encoder that is no class": (
        *(lambda kind: kind("4", "k", "s", json_encoder=lambda **_: None), None, ConfigurationError),
    ),
    "empty name": (lambda kind: request(kind).trigger("c", "", 1), Sent, ValidationError),
    "length of a name": (lambda kind: request(kind).trigger("c", "ü" * 101, 1), Sent, ValidationError),
    "NaN": (lambda kind: request(kind).trigger("c", "e", {"x": float("nan")}), Sent, ValidationError),
    "surrogate": (lambda kind: request(kind).trigger("c", "e", ["\ud800"]), Sent, ValidationError),
    "empty socket": (lambda kind: request(kind).trigger("c", "e", 1, ""), Sent, ValidationError),
    "batch, already encoded": (
        lambda kind: request(kind).trigger_batch([{"channel": "bad channel", "name": "e", "data": "x"}], True),
        *(Sent, ValidationError),
    ),
}


class Recorder(requests.Session):
    """A session that sends nothing, whose requests are what it raises."""

    def send(self, request, **_):
        raise Sent(request)


def request(kind):
    """A client whose requests can be looked at."""
    if kind is Sockudo:
        return kind("4", "k", "s", **MINE, session=Recorder())
    client = kind("4", "k", "s", **MINE)
    client._pusher_client.http.session = Recorder()
    return client


def body_of(call, kind):
    """What the call sends."""
    with pytest.raises(Sent) as caught:
        call(request(kind))
    return json.loads(caught.value.args[0].body)


@pytest.mark.parametrize(("call", "there", "here"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_differences_are_the_ones_that_are_told(call, there, here):
    """A row of the page that is no longer true fails here."""
    if there is None:
        call(pusher.Pusher)
    else:
        with pytest.raises(there):
            call(pusher.Pusher)
    with pytest.raises(here):
        call(Pusher)


def test_where_a_client_connects():
    """Without a word on it, and with each of the words."""
    for options, there, here in (
        ({}, "https://api.pusherapp.com:443", "http://127.0.0.1:6001"),
        ({"ssl": True}, "https://api.pusherapp.com:443", "https://127.0.0.1:443"),
        ({"host": "h"}, "https://h:443", "http://h:6001"),
        ({"host": "h", "ssl": True}, "https://h:443", "https://h:443"),
        ({"host": "h", "ssl": False}, "http://h:80", "http://h:6001"),
        ({"cluster": "eu", "ssl": True}, "https://api-eu.pusher.com:443", "https://api-eu.sockudo.com:443"),
    ):
        theirs = pusher.Pusher("4", "k", "s", **options)._pusher_client
        assert f"{theirs.scheme}://{theirs.host}:{theirs.port}" == there
        assert repr(Pusher("4", "k", "s", **options)).endswith(f"{here!r})")


def test_arguments_by_position_are_told_what_to_do():
    """In the words of who changed one import."""
    with pytest.raises(TypeError, match=r"4 arguments were given; give the others by keyword: ssl=, host="):
        Pusher("4", "key", "secret", True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'hots'"):
        Pusher("4", "key", "secret", hots="h")
    with pytest.raises(TypeError, match="secret"):
        Pusher("4", "key")


def test_json_and_repeated_channels_on_the_wire():
    """Compact where pusher has spaces, and each channel once."""
    there, here = (body_of(lambda c: c.trigger(["c", "c"], "e", {"a": 1}), kind) for kind in (pusher.Pusher, Sockudo))
    assert (there["data"], there["channels"]) == ('{"a": 1}', ["c", "c"])
    assert (here["data"], here["channels"]) == ('{"a":1}', ["c"])


@BOTH
def test_master_key_of_bytes(client_class):
    """As base64.b64encode gives it."""
    of_text, of_bytes = (
        client_class("4", "key", "secret", encryption_master_key_base64=key).authenticate("private-encrypted-c", "1.1")
        for key in (KEY, KEY.encode())
    )
    assert of_text == of_bytes
    for bad in (b"\xff" * 44, KEY.encode() + b"\n", KEY[:-4].encode(), b""):
        with pytest.raises(ValueError):  # noqa: PT011
            client_class("4", "key", "secret", encryption_master_key_base64=bad)


class Lenient(json.JSONDecoder):
    """Takes comments, and makes numbers of its own."""

    def __init__(self, **options):
        super().__init__(parse_float=decimal.Decimal, **options)

    def decode(self, text, **options):
        return super().decode("".join(line for line in text.splitlines() if not line.startswith("//")), **options)


def signed(body):
    return "key", hmac.new(b"secret", body if isinstance(body, bytes) else body.encode(), hashlib.sha256).hexdigest()


@BOTH
def test_webhooks_of_a_lenient_decoder_and_of_a_fraction(client_class):
    """What a decoder takes is a webhook, and a time may have a fraction."""
    now = time.time() * 1000
    body = f'// a comment\n{{"time_ms":{now:.0f},"events":[NaN]}}'
    lenient = client_class("4", "key", "secret", json_decoder=Lenient)
    plain = client_class("4", "key", "secret")
    assert lenient.validate_webhook(*signed(body), body)["time_ms"] == int(f"{now:.0f}")
    assert plain.validate_webhook(*signed(body), body) is None
    for text, valid in (
        (f'{{"time_ms":{now + 0.25:.2f},"x":NaN}}', True),
        (f'{{"time_ms":{now - 299_000:.3f}}}', True),
        (f'{{"time_ms":{now - 301_000:.3f}}}', False),
        ('{"time_ms":0}', False),
        ('{"time_ms":null}', False),
        ("{}", False),
    ):
        assert (plain.validate_webhook(*signed(text), text) is not None) is valid, text


@pytest.mark.parametrize(
    "body", ["[1]", '"text"', "1", b'{"time_ms":"now"}', b"\xff", '{"time_ms":' + "[" * 100_000, None, 5]
)
def test_webhooks_that_make_pusher_raise(body):
    """Here they are no webhooks."""
    given = signed(body) if isinstance(body, str | bytes) else ("key", "0" * 64)
    with pytest.raises(Exception):  # noqa: B017, PT011
        pusher.Pusher("4", "key", "secret").validate_webhook(*given, body)
    assert Pusher("4", "key", "secret").validate_webhook(*given, body) is None
    assert Pusher("4", "key", "secret", json_decoder=Lenient).validate_webhook(*given, body) is None


@pytest.mark.parametrize("argument", [None, 5, [], b"\xff"])
def test_webhooks_without_their_headers(argument):
    """A header that is not there is None in every framework."""
    for arguments in ((argument, "0" * 64, "{}"), ("key", argument, "{}")):
        with pytest.raises((TypeError, UnicodeDecodeError)):
            pusher.Pusher("4", "key", "secret").validate_webhook(*arguments)
        assert Pusher("4", "key", "secret").validate_webhook(*arguments) is None


def test_no_answer_is_caught_as_an_error_of_requests(tmp_path):
    """By each of the three names, and it can be pickled."""
    refused = pytest.raises(requests.exceptions.RequestException)
    with refused as caught:
        Pusher("4", "k", "s", retries=0, **MINE).trigger("c", "e", 1)
    assert isinstance(caught.value, SockudoConnectionError | sockudo_publisher.PusherError)
    assert isinstance(caught.value, requests.exceptions.ConnectionError)
    assert not isinstance(caught.value, requests.exceptions.Timeout)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.sent, again.attempts) == (str(caught.value), False, 1)
    assert type(again) is type(caught.value)
    assert type(again).__name__ == "SockudoConnectionError", "the documented name is the one that is logged"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Pusher("4", "k", "s", port=silent.getsockname()[1], timeout=0.2, retries=0)
        with pytest.raises(requests.exceptions.Timeout) as late:
            client.trigger("c", "e", 1)
    assert (late.value.sent, isinstance(late.value, SockudoConnectionError)) == (True, True)
    assert not isinstance(late.value, TimeoutError)


def test_a_redirect_and_the_text_of_an_error():
    """Not followed; and the text names status and code."""
    error = sockudo_publisher.errors.error_for_status(400, "invalid_input", "no")
    assert str(error) == "HTTP 400 invalid_input: no"
    with pytest.raises(pusher.errors.PusherBadRequest, match=r"^\{\}$"):
        process_response(400, "{}")
    assert isinstance(sockudo_publisher.errors.error_for_status(302, None, ""), sockudo_publisher.PusherBadStatus)


def test_differences_that_the_server_sees(make):
    """A publish of which nothing was asked, a field that is not known, and a member with a number."""
    theirs, ours = make(pusher.Pusher), make(Pusher)
    assert (theirs.trigger("c", "e", 1), ours.trigger("c", "e", 1)) == ({"ok": True}, {})
    batch = [{"channel": "c", "name": "e", "data": 1, "tgas": {}}]
    with pytest.raises(ValidationError, match="unknown field 'tgas'"):
        ours.trigger_batch(batch)
    assert theirs.trigger_batch(batch) == {}


def test_a_member_with_a_number_is_not_let_in(make, full_sockudo, subscriber):
    """Which is why it is not signed here."""
    for user_id, let_in in ((5, False), ("5", True)):
        socket = subscriber(full_sockudo)
        signed = make(pusher.Pusher).authenticate("presence-number", socket.socket_id, {"user_id": user_id})
        socket.send({"event": "pusher:subscribe", "data": {"channel": "presence-number", **signed}})
        socket.ping()
        events = [frame["event"] for frame in socket.protocol_frames]
        assert ("pusher_internal:subscription_succeeded" in events) is let_in, events


ERRORS = ["PusherBadRequest", "PusherBadAuth", "PusherForbidden", "PusherBadStatus"]
STATUSES = [400, 401, 403, 404, 413, 422, 429, 500, 503, 301]


@pytest.mark.parametrize("status", STATUSES)
def test_errors_are_caught_by_the_same_names(status):
    """Each status by exactly the clause that ``pusher`` has for it, and by ``PusherError``."""
    with pytest.raises(pusher.errors.PusherError) as theirs:
        process_response(status, "words")
    ours = sockudo_publisher.errors.error_for_status(status, None, "words")
    for name in [*ERRORS, "PusherError"]:
        caught_there = isinstance(theirs.value, getattr(pusher.errors, name))
        assert isinstance(ours, getattr(sockudo_publisher, name)) is caught_there
        assert getattr(sockudo_publisher, name) is getattr(sockudo_publisher.errors, name)


def test_errors_of_the_real_server(make, full_sockudo):
    """401 and 404, and no server at all, through the names of ``pusher``."""
    app = full_sockudo.apps[0]
    where = {"ssl": False, "host": "127.0.0.1", "port": full_sockudo.port}
    with pytest.raises(sockudo_publisher.PusherBadAuth):
        Pusher(app.id, app.key, "wrong", **where).trigger("c", "e", 1)
    with pytest.raises(sockudo_publisher.PusherBadStatus):
        Pusher(app.id, "unknown", app.secret, **where).trigger("c", "e", 1)
    with pytest.raises(sockudo_publisher.PusherError):
        Pusher("4", "k", "s", ssl=False, host="127.0.0.1", port=1, retries=None).trigger("c", "e", 1)
