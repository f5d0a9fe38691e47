"""The client's construction and its refusals: everything here ends before a request is made."""

import base64
import inspect
import json
import math
import re
import traceback
from decimal import Decimal

import pytest
import requests

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.errors import ConfigurationError, SockudoError, ValidationError

pytestmark = pytest.mark.unit

KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="


def _shown(value: object) -> str:
    """The same in every process: pytest-xdist compares the names of tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


class Recorder(requests.adapters.BaseAdapter):
    """Answers every request with success, and keeps it."""

    def __init__(self):
        super().__init__()
        self.requests = []
        self.status, self.body = 200, b"{}"

    def send(self, request, **_):
        self.requests.append(request)
        response = requests.Response()
        response.status_code, response._content = self.status, self.body
        return response

    def close(self):
        pass


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def make(recorder):
    """A client whose requests end in the recorder."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", recorder)
        yield lambda **options: Sockudo("app", "the-key", "the-secret", session=session, **options)


def test_from_env(monkeypatch):
    """SOCKUDO_URL, or the variable named; options go along."""
    monkeypatch.setenv("SOCKUDO_URL", "http://k:s@h:1/apps/app-id")
    monkeypatch.setenv("OTHER", "https://k:s@h:2/apps/x")
    assert repr(Sockudo.from_env()) == "Sockudo(app_id='app-id', 'http://h:1')"
    assert repr(Sockudo.from_env("OTHER", ssl=True)) == "Sockudo(app_id='x', 'https://h:2')"
    assert Sockudo.from_env(max_event_bytes=5).encoder.max_event_bytes == 5


def test_from_env_reads_the_master_key(monkeypatch):
    """An encrypted channel works as soon as its variable is set; what the caller gives wins."""
    key, other = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
    monkeypatch.setenv("SOCKUDO_URL", "http://k:s@h:1/apps/a")
    monkeypatch.setenv("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", key)
    form = b"socket_id=1.2&channel_name=private-encrypted-x"

    def shared(client):
        return client.authorize_private_channel(form)["shared_secret"]

    assert shared(Sockudo.from_env()) == shared(Sockudo.from_env(encryption_master_key_base64=key))
    assert shared(Sockudo.from_env(encryption_master_key_base64=other)) != shared(Sockudo.from_env())
    with pytest.warns(DeprecationWarning, match="encryption_master_key"):
        assert shared(Sockudo.from_env(encryption_master_key=bytes([2]) * 32)) != shared(Sockudo.from_env())
    with pytest.raises(ValidationError):
        shared(Sockudo.from_env(encryption_master_key_base64=None))


@pytest.mark.parametrize("value", ["hush", "aHVzaA==", base64.b64encode(b"x" * 32).decode().rstrip("=")])
def test_from_env_names_a_malformed_master_key(monkeypatch, value):
    """By its variable, without its value; a key that the caller gives hides it."""
    monkeypatch.setenv("SOCKUDO_URL", "http://k:s@h:1/apps/a")
    monkeypatch.setenv("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", value)
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64: ") as caught:
        Sockudo.from_env()
    assert value not in str(caught.value)
    Sockudo.from_env(encryption_master_key_base64=base64.b64encode(b"x" * 32).decode())


def test_from_env_reads_timeout_and_event_size(monkeypatch):
    """The client's other variables, whichever variable holds the URL; the caller's options win."""
    monkeypatch.setenv("OTHER", "http://k:s@h:1/apps/a")
    monkeypatch.setenv("SOCKUDO_TIMEOUT", "2.5")
    monkeypatch.setenv("SOCKUDO_MAX_EVENT_BYTES", "70_000")
    client = Sockudo.from_env("OTHER")
    assert (client._timeout, client.encoder.max_event_bytes) == (2.5, 70_000)
    client = Sockudo.from_env("OTHER", timeout=1, max_event_bytes=5)
    assert (client._timeout, client.encoder.max_event_bytes) == (1.0, 5)
    monkeypatch.setenv("SOCKUDO_TIMEOUT", "soon")
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_TIMEOUT: not a number"):
        Sockudo.from_env("OTHER")
    assert Sockudo.from_env("OTHER", timeout=1)._timeout == 1.0


@pytest.mark.parametrize("value", [None, "", "  "])
def test_from_env_without_the_variable(monkeypatch, value):
    """Says which variable is missing."""
    monkeypatch.delenv("MY_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_URL", value)
    with pytest.raises(ConfigurationError, match=r"^MY_URL: not set, expected http"):
        Sockudo.from_env("MY_URL")


def test_from_env_with_a_malformed_url(monkeypatch):
    """Names the variable and keeps its value to itself."""
    monkeypatch.setenv("SOCKUDO_URL", "http://key:hush@h:hush/apps/3")
    with pytest.raises(ConfigurationError, match=r"^SOCKUDO_URL: ") as caught:
        Sockudo.from_env()
    assert "hush" not in str(caught.value)


def test_from_url_with_an_unknown_option(monkeypatch):
    """A typing error is not swallowed, and the message speaks of the class that the caller knows."""
    monkeypatch.setenv("SOCKUDO_URL", "http://k:s@h:1/apps/a")
    for make in (
        lambda: Sockudo.from_url("http://k:s@h:1/apps/a", tiemout=5),
        lambda: Sockudo.from_env(tiemout=5),
        lambda: Sockudo.from_setting("SETTING", "http://k:s@h:1/apps/a", tiemout=5),
    ):
        with pytest.raises(TypeError, match=r"^Sockudo got an unexpected keyword argument 'tiemout'$"):
            make()
    for name in ("app_id", "key", "secret", "self"):  # the URL says them
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            Sockudo.from_env("SOCKUDO_URL", **{name: "x"})


class Client(Sockudo):
    """A subclass, for the type of what ``with`` gives."""


def test_with_gives_the_client_and_closes_it(monkeypatch):
    """At the end of the block, after an exception too; it stays usable, as after ``close``."""
    closed = []

    def close(transport):
        closed.append(transport)

    monkeypatch.setattr("sockudo_publisher.client.http.transport.Transport.close", close)
    with Client("a", "k", "s") as client:
        assert type(client) is Client
        assert closed == []
    assert closed == [client._transport]
    with pytest.raises(RuntimeError, match="a failure"), client:
        raise RuntimeError("a failure")
    assert len(closed) == 2


def test_with_leaves_the_session_of_the_caller_open(recorder):
    """The owner closes it."""
    with requests.Session() as session:
        session.mount("http://", recorder)
        recorder.close = lambda: pytest.fail("closed")
        with Sockudo("a", "k", "s", session=session) as client:
            client.trigger("c", "e", 1)
        client.trigger("c", "e", 2)
        del recorder.close
    assert len(recorder.requests) == 2


class Delegating:
    """A session's like that is none: what wraps one."""

    def __init__(self, session):
        self.session = session

    def __getattr__(self, name):
        return getattr(self.session, name)


def test_what_is_like_a_session_is_one(recorder):
    """A subclass, or whatever has its methods."""
    for make_session in (type("Own", (requests.Session,), {}), lambda: Delegating(requests.Session())):
        session = make_session()
        session.mount("http://", recorder)
        Sockudo("a", "k", "s", session=session).trigger("c", "e", 1)
        session.close()
    assert len(recorder.requests) == 2


def test_pusher_style_construction():
    """Positional triple, ssl, host, port."""
    client = Sockudo("4", "k", "s", ssl=True, host="my.server.com", port=8443)
    assert repr(client) == "Sockudo(app_id='4', 'https://my.server.com:8443')"
    assert (
        repr(Sockudo("4", "k", "s", cluster="eu", ssl=True)) == "Sockudo(app_id='4', 'https://api-eu.sockudo.com:443')"
    )
    assert repr(Sockudo.from_url("https://k:s@h/ws/apps/4")) == "Sockudo(app_id='4', 'https://h:443/ws')"


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, "5", None, True, 3601])
def test_bad_timeout(timeout):
    """Not a number of seconds, or one that makes no sense."""
    with pytest.raises(ConfigurationError, match=r"^timeout: "):
        Sockudo("a", "k", "s", timeout=timeout)


def test_bad_master_key_is_found_at_construction():
    """Not at the first encrypted event, perhaps a week later."""
    with pytest.raises(ConfigurationError, match="encryption_master_key_base64: 31 bytes"):
        Sockudo("a", "k", "s", encryption_master_key_base64="dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNA==")


def test_repr_shows_no_secret():
    """Neither key, secret nor master key."""
    text = repr(Sockudo("a", "the-key", "the-secret", encryption_master_key_base64=KEY))
    assert "the-" not in text
    assert KEY not in text


def makers(options):
    """By fields and by URL."""
    yield lambda: Sockudo("a", "the-key", "the-secret", use_tls=True, **options)
    yield lambda: Sockudo.from_url("https://the-key:the-secret@h/apps/a", **options)


def test_raw_master_key_is_taken_with_a_warning():
    """As pusher still does: text or bytes, the same key; the warning points at the caller's line."""
    raw = base64.b64decode(KEY)
    for make, key in (
        (lambda: Sockudo("a", "k", "s", encryption_master_key=raw), raw),
        (lambda: Sockudo.from_url("http://k:s@h/apps/a", encryption_master_key=raw), raw),
        (lambda: Sockudo("a", "k", "s", encryption_master_key="a" * 32), b"a" * 32),
    ):
        with pytest.warns(DeprecationWarning, match="give encryption_master_key_base64") as caught:
            client = make()
        assert [warning.filename for warning in caught] == [__file__]
        assert client.encoder._master_key == key
    assert Sockudo("a", "k", "s", encryption_master_key_base64=KEY).encoder._master_key == raw


@pytest.mark.filterwarnings("ignore:encryption_master_key is deprecated")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"encryption_master_key": "a" * 31}, "encryption_master_key: 31 bytes, must be 32"),
        ({"encryption_master_key": "ü" * 32}, "encryption_master_key: 64 bytes, must be 32"),
        ({"encryption_master_key": "\ud800" * 32}, "encryption_master_key: not UTF-8"),
        ({"encryption_master_key": 5}, "encryption_master_key: a int, expected 32 bytes"),
        (
            {"encryption_master_key": "a" * 32, "encryption_master_key_base64": KEY},
            "encryption_master_key: given together with encryption_master_key_base64",
        ),
        ({"backend": object}, "backend: not supported; give a requests.Session"),
        ({"json_encoder": json.JSONEncoder()}, "json_encoder: expected a subclass of json.JSONEncoder"),
        ({"json_decoder": json.loads}, "json_decoder: expected a subclass of json.JSONDecoder"),
        ({"verify": False}, "verify: cannot be switched off"),
        ({"verify": None}, "verify: cannot be switched off"),
        ({"verify": "/nowhere/ca.pem"}, "verify: no readable CA bundle"),
        ({"cert": "/nowhere/client.pem"}, "cert: no readable certificate"),
        ({"cert": 5}, "cert: no readable certificate"),
        ({"cert": ("a", "b", "c")}, "cert: no readable certificate"),
        ({"session": requests.Session}, "session: the class Session, expected a requests.Session or its like"),
        ({"session": requests}, "session: a module, expected a requests.Session"),
        ({"session": "aaa"}, "session: a str, expected a requests.Session"),
        ({"session": False}, "session: a bool, expected a requests.Session"),
        ({"session": requests.adapters.HTTPAdapter()}, "session: a HTTPAdapter, expected a requests.Session"),
        ({"verify": __file__, "session": requests.Session()}, "verify: given together with session"),
        ({"cert": __file__, "session": requests.Session()}, "cert: given together with session"),
    ],
    ids=_shown,
)
def test_options_that_contradict_or_cannot_be(options, complaint):
    """ServerReply at once, by the option's name, and without its value."""
    for make in makers(options):
        with pytest.raises(ConfigurationError, match=f"^{complaint}") as caught:
            make()
        assert "aaa" not in str(caught.value)
        assert "nowhere" not in str(caught.value)


@pytest.mark.parametrize("option", ["verify", "cert"])
def test_tls_options_without_tls(option):
    """A caller who gives them believes that there is TLS."""
    for make in (
        lambda **options: Sockudo("a", "k", "s", **options),
        lambda **options: Sockudo.from_url("http://k:s@h/apps/a", **options),
    ):
        with pytest.raises(ConfigurationError, match=f"^{option}: given without TLS"):
            make(**{option: __file__})


@pytest.mark.parametrize("name", ["notification_host", "notification_ssl", "backend_options", "max_retries"])
def test_options_of_others_are_not_swallowed(name):
    """An option that does nothing would be worse than none."""
    for make in makers({name: True}):
        with pytest.raises(TypeError, match=name):
            make()


def test_decoder_of_the_caller(make, recorder):
    """Reads the answers, as in pusher."""

    class Decimals(json.JSONDecoder):
        def __init__(self):
            super().__init__(parse_int=Decimal)

    recorder.body = b'{"channels":{"c":{"subscription_count":3}}}'
    answer = make(json_decoder=Decimals).channels_info()
    assert isinstance(answer["channels"]["c"]["subscription_count"], Decimal)
    assert isinstance(make().channels_info()["channels"]["c"]["subscription_count"], int)


def test_nothing_shows_a_secret(make, recorder, caplog):
    """Neither repr, nor errors, nor what urllib3 and we log."""
    caplog.set_level("DEBUG")
    secrets = ("the-secret", KEY)
    client = make(encryption_master_key_base64=KEY)
    client.trigger("private-encrypted-c", "e", {"x": 1})
    recorder.body = b'{"channels":{}}'
    client.channels_info()
    recorder.status = 401
    texts = [repr(client), str(client), repr(vars(client)), repr(client.encoder), repr(client._transport), caplog.text]
    for call in (
        lambda: client.trigger("c", "e", 1),
        lambda: client.trigger("private-encrypted-c d", "e", 1),
        lambda: Sockudo("a", "the-secret\n", "the-secret\n"),
        lambda: Sockudo.from_url("http://the-key:the-secret@h:the-secret/apps/3"),
        lambda: Sockudo("a", "k", "the-secret", encryption_master_key_base64=KEY + "="),
    ):
        with pytest.raises(SockudoError) as caught:
            call()
        texts += [str(caught.value), repr(caught.value), "".join(traceback.format_exception_only(caught.value))]
    for text in texts:
        assert not any(secret in text for secret in secrets)


REFUSED = {
    "channel": (("a b", "e", "x"), {}),
    "channel long": (("x" * 201, "e", "x"), {}),
    "no channel": (([], "e", "x"), {}),
    "101 channels": (([f"c{n}" for n in range(101)], "e", "x"), {}),
    "event name": (("c", "", "x"), {}),
    "event name long": (("c", "x" * 201, "x"), {}),
    "data long": (("c", "e", "x" * 10_241), {}),
    "nan": (("c", "e", math.nan), {}),
    "bytes": (("c", "e", b"\xff"), {}),
    "object": (("c", "e", object()), {}),
    "socket id": (("c", "e", "x", "1.1\n"), {}),
    "key empty": (("c", "e", "x"), {"idempotency_key": ""}),
    "key long": (("c", "e", "x"), {"idempotency_key": "x" * 129}),
    "key number": (("c", "e", "x"), {"idempotency_key": 5}),
    "message id": (("c", "e", "x"), {"message_id": "x" * 129}),
    "encrypted without a key": (("private-encrypted-c", "e", "x"), {}),
    "encrypted and another": ((["private-encrypted-c", "c"], "e", "x"), {}),
    "tags": (("c", "e", "x"), {"tags": {"a": 1}}),
    "extras": (("c", "e", "x"), {"extras": [1]}),
    "info": (("c", "e", "x"), {"info": 1}),
}


@pytest.mark.parametrize(("arguments", "options"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_of_trigger_is_refused_before_anything_is_sent(make, recorder, arguments, options):
    """A ValueError of our own, and no request."""
    with pytest.raises(ValidationError) as caught:
        make().trigger(*arguments, **options)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SockudoError)
    assert recorder.requests == []


@pytest.mark.parametrize(
    "bad",
    [
        ("c d", "e", "x"),
        ("c", "e"),
        Event("c", "e", "x", socket_id="1"),
        Event("c", "e", "x", idempotency_key=""),
        {"channel": "c", "name": "e"},
        {"channel": "c", "name": "e", "data": "x" * 10_241},
        5,
    ],
)
def test_bad_event_of_a_batch_is_named_before_anything_is_sent(make, recorder, bad):
    """By its index, in the message and as an attribute."""
    with pytest.raises(ValidationError, match=r"^event 2: ") as caught:
        make().trigger_batch([("a", "e", 1), ("b", "e", 2), bad, ("d", "e", 4)])
    assert caught.value.index == 2
    assert recorder.requests == []


def test_batch_of_every_shape(make, recorder):
    """Events, tuples and dicts, in order; the caller's are left as they were; any iterable will do."""
    given = {"channel": "private-encrypted-c", "name": "e", "data": {"x": 1}, "idempotency_key": True}
    before = json.dumps(given)
    make(encryption_master_key_base64=KEY).trigger_batch(iter([Event("a", "e", 1), ("b", "e", "2"), given]))
    (request,) = recorder.requests
    batch = json.loads(request.body)["batch"]
    assert [(item["channel"], item["data"]) for item in batch[:2]] == [("a", "1"), ("b", "2")]
    assert batch[2]["data"].startswith('{"nonce":"')
    assert len(batch[2]["idempotency_key"]) == 32
    assert json.dumps(given) == before


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        *(
            (None, "None"),
            (5, "a int"),
            (True, "a bool"),
            ("text", "a str"),
            (b"text", "a bytes"),
            (object(), "a object"),
        ),
        ({"channel": "c", "name": "e", "data": 1}, "a dict"),
        (Event("c", "e", 1), "a Event"),
    ],
    ids=_shown,
)
def test_what_is_no_sequence_of_events_is_named(make, recorder, bad, kind):
    """By the argument it came as; a single event, too, which is the usual mistake."""
    client = make()
    with pytest.raises(ValidationError, match=f"^events: {kind}, expected a sequence of events$"):
        client.trigger_batch(bad)
    with pytest.raises(ValidationError, match=f"^events: {kind}, "):
        client.trigger_batch(events=bad)
    if bad is not None:
        with pytest.raises(ValidationError, match=f"^batch: {kind}, expected a sequence of events$"):
            client.trigger_batch(batch=bad)
    assert recorder.requests == []


def test_an_iterable_s_own_failure_is_the_caller_s(make):
    """A TypeError of a generator is no bad argument."""

    def given():
        yield ("c", "e", 1)
        raise TypeError("theirs")

    with pytest.raises(TypeError, match="theirs"):
        make().trigger_batch(given())


def test_empty_batch_is_no_request(make, recorder):
    """There is nothing to say."""
    assert make().trigger_batch([]) == {}
    assert recorder.requests == []


def test_already_encoded_batch(make, recorder):
    """Text goes as it is, an envelope too; an object or plain text for an encrypted channel does not."""
    envelope = '{"nonce":"AAAA","ciphertext":"AAAA"}'
    client = make(encryption_master_key_base64=KEY)
    client.trigger_batch(
        [("c", "e", '{"x": 1}'), ("private-encrypted-c", "e", envelope.encode())], already_encoded=True
    )
    batch = json.loads(recorder.requests[0].body)["batch"]
    assert [item["data"] for item in batch] == ['{"x": 1}', envelope]
    for bad in (("c", "e", {"x": 1}), ("private-encrypted-c", "e", "plain"), ("c", "e", b"\xff")):
        with pytest.raises(ValidationError, match=r"^event 0: data: "):
            client.trigger_batch([bad], already_encoded=True)


def test_send_signs_each_attempt_anew(make, recorder):
    """The path with its escapes, the parameters, the digest of the body for POST alone."""
    client = make()
    client.send("POST", "/users/a%20b/terminate_connections")
    client.send("GET", "/channels", query={"filter_by_prefix": "a b"})
    post, get = recorder.requests
    assert "/apps/app/users/a%20b/terminate_connections?auth_key=the-key&auth_timestamp=" in post.url
    assert "body_md5=d41d8cd98f00b204e9800998ecf8427e" in post.url
    assert "body_md5" not in get.url
    assert "filter_by_prefix=a+b" in get.url


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_send_refuses_a_body_where_the_server_does(make, recorder, method):
    """It would answer 401, which is misleading."""
    with pytest.raises(ValidationError, match=f"not allowed with {method}"):
        make().send(method, "/channels", body=b"{}")
    assert recorder.requests == []


def test_signature_of_trigger_is_the_public_one():
    """The names and the order that the documentation promises."""
    names = ["channels", "event_name", "data", "socket_id", "info", "idempotency_key", "message_id", "tags", "extras"]
    assert list(inspect.signature(Sockudo.trigger).parameters) == ["self", *names, "delta", "retries"]
    names = ["events", "already_encoded", "batch", "split", "retries"]
    assert list(inspect.signature(Sockudo.trigger_batch).parameters) == ["self", *names]
