"""No secret is in a variable of a frame, however the settings or the client fail."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sockudo_publisher import Settings, Sockudo, configure, publish
from sockudo_publisher.client.api.webhook import check_signature
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.client.http.signing import Signer
from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.encryption import decode_master_key, encode_master_key, open_envelope
from sockudo_publisher.config import settings as settings_module
from sockudo_publisher.config.redis_url import RedisAddress, checked_broker_url
from sockudo_publisher.config.settings import get_settings, use_project_settings
from sockudo_publisher.redaction.frame_locals import clear_locals, without_locals
from sockudo_publisher.wiring.app import app_named, check_apps, target_of
from tests.support.frames import assert_hidden, error_of, errors_in_chain, find_in_frames, shows

pytestmark = pytest.mark.unit

SECRET = "S3CRETS3CRET"
KEY = base64.b64encode(b"S3CRETS3CRETS3CRETS3CRETS3CRETS3").decode()
#: The forms in which it may be somewhere: as it is, in base64, percent-encoded by the whole.
FORMS = (SECRET, KEY, KEY[:12], SECRET.encode().hex())

APP_URLS = {
    "space": f"http://key:{SECRET} x@host/apps/a",
    "scheme": f"ftp://key:{SECRET}@host/apps/a",
    "unencoded slash": f"http://key:{SECRET}/x@host/apps/a",
    "unencoded hash": f"http://key:{SECRET}#x@host/apps/a",
    "port": f"http://key:{SECRET}:x@host:{SECRET}/apps/a",
    "bracket": f"http://key:{SECRET}@[host/apps/a",
    "no path": f"http://key:{SECRET}@host",
    "no key": f"http://:{SECRET}@host/apps/a",
    "no host": f"http://key:{SECRET}@/apps/a",
    "not UTF-8": f"http://key:{SECRET}%ff@host/apps/a",
    "control character": f"http://key:{SECRET}%01@host/apps/a",
    "host": f"http://key:{SECRET}@ho<st/apps/a",
    "surrogate": f"http://key:{SECRET}\udc80@host/apps/a",
    "no URL": SECRET,
}
REDIS_URLS = {
    "scheme": f"http://:{SECRET}@host/0",
    "port": f"redis://:{SECRET}@host:x/0",
    "password as port": f"redis://user:{SECRET}/x@host/0",
    "hash": f"redis://:{SECRET}#x@host/0",
    "path": f"redis://:{SECRET}@host/abc",
    "parameter": f"redis://:{SECRET}@host/0?x={SECRET}",
    "ours": f"redis://:{SECRET}@host/0?timeout=1",
    "not UTF-8": f"redis://:{SECRET}%ff@host/0",
    "databases": f"redis://:{SECRET}@host/0?db=1",
    "private key": f"redis://host/0?ssl_password={SECRET}",
    "socket": f"unix://:{SECRET}@host",
}
BROKER_URLS = {
    "transport": f"sqs://user:{SECRET}@host",
    "no transport": f"{SECRET}@host",
    "port": f"amqp://user:{SECRET}@host:x/",
    "hash": f"amqp://user:{SECRET}#x@host/",
    "parameter": f"amqp://user:{SECRET}@host/?x={SECRET}",
    "kinds": f"amqp://user:{SECRET}@host/;redis://:{SECRET}@host/0",
    "not UTF-8": f"amqp://user:{SECRET}%ff@host/",
    "space": f"amqp://user:{SECRET} @host/",
}
MASTER_KEYS: dict[str, Any] = {
    "not base64": f"{SECRET}!",
    "short": base64.b64encode(SECRET.encode()).decode(),
    "not canonical": KEY[:-1],
    "not ASCII": f"{SECRET}é".encode(),
}
GOOD_URL = f"http://key:{SECRET}@127.0.0.1:9/apps/a"


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """No settings but those of the test."""
    for name in ("URL", "REDIS_URL", "BROKER_URL", "APPS", "ENCRYPTION_MASTER_KEY_BASE64"):
        monkeypatch.delenv(f"SOCKUDO_{name}", raising=False)
    project = settings_module._project
    configure()
    yield monkeypatch
    settings_module._project = project
    monkeypatch.undo()
    configure()


def _cases() -> list[Any]:
    """Every secret setting with every malformed value: (field, value, what uses it)."""
    cases = []
    for field, values in (("url", APP_URLS), ("redis_url", REDIS_URLS), ("broker_url", BROKER_URLS)):
        cases += [pytest.param(field, value, id=f"{field}-{name}") for name, value in values.items()]
    cases += [
        pytest.param("encryption_master_key_base64", value, id=f"master key-{name}")
        for name, value in MASTER_KEYS.items()
        if isinstance(value, str)
    ]
    cases += [
        pytest.param("apps", value, id=f"apps-{name}")
        for name, value in {
            "no JSON": f'{{"eu": "{GOOD_URL}"',
            "list": f'["{GOOD_URL}"]',
            "default": f'{{"default": "{GOOD_URL}"}}',
            "number": f'{{"eu": "{GOOD_URL}", "us": 1}}',
        }.items()
    ]
    return cases


def _use() -> None:
    """What a publisher, a worker and the doctor do with the settings."""
    found = get_settings()
    check_apps(found)
    target_of(found, "default")
    app_named()


def _fails_hidden(call: Callable[[], object]) -> BaseException:
    error = error_of(call)
    assert_hidden(error, *FORMS)
    return error


@pytest.mark.parametrize(("field", "value"), _cases())
@pytest.mark.parametrize("source", ["environment", "file", "configure", "Settings", "from_env", "Django"])
def test_malformed_setting_shows_nothing(settings, tmp_path, source, field, value):
    """From every source of settings, to every user of them."""
    variable = f"SOCKUDO_{field.upper()}"
    others = {} if field == "url" else {"url": GOOD_URL}
    if "\udc80" in value and source in ("environment", "file", "from_env"):
        value = value.replace("\udc80", "%ff")
    given: Any = value
    if field == "apps" and source in ("configure", "Settings"):
        given = {"default": GOOD_URL} if "default" in value else {"eu": GOOD_URL, "us": 1}
    if source == "environment":
        settings.setenv("SOCKUDO_URL", GOOD_URL)
        settings.setenv(variable, value)
        configure()
        _fails_hidden(_use)
    elif source == "file":
        path = tmp_path / "secret"
        path.write_text(value)
        settings.setenv("SOCKUDO_URL", GOOD_URL) if others else None
        settings.setenv(f"{variable}_FILE", str(path))
        configure()
        _fails_hidden(_use)
    elif source == "configure":
        _fails_hidden(lambda: (configure(**others, **{field: given}), _use()))
    elif source == "Settings":
        _fails_hidden(lambda: (configure(Settings(**others, **{field: given})), _use()))
    elif source == "from_env":
        environ = {"SOCKUDO_URL": GOOD_URL, variable: value}
        _fails_hidden(lambda: (configure(Settings.from_env(environ)), _use()))
    else:
        project = {"URL": GOOD_URL, field.upper(): value}
        use_project_settings(lambda: project)
        _fails_hidden(_use)


@pytest.mark.parametrize("content", [b"", f"{SECRET}".encode() + b"\xff", SECRET.encode() * 100_000])
def test_malformed_file_shows_nothing(settings, tmp_path, content):
    """Empty, not UTF-8, too large; and a secret given twice."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    settings.setenv("SOCKUDO_URL_FILE", str(path))
    configure()
    _fails_hidden(get_settings)
    _fails_hidden(Sockudo.from_env)
    settings.setenv("SOCKUDO_URL", GOOD_URL)
    _fails_hidden(get_settings)
    _fails_hidden(Sockudo.from_env)


@pytest.mark.parametrize("url", APP_URLS.values(), ids=APP_URLS)
def test_malformed_url_of_a_client_shows_nothing(settings, url):
    """By every constructor that takes one."""
    _fails_hidden(lambda: Sockudo.from_url(url))
    _fails_hidden(lambda: Sockudo.from_setting("x", url))
    _fails_hidden(lambda: Credentials.from_url(url))
    settings.setenv("SOCKUDO_URL", url.replace("\udc80", "%ff"))
    _fails_hidden(Sockudo.from_env)


@pytest.mark.parametrize("url", REDIS_URLS.values(), ids=REDIS_URLS)
def test_malformed_redis_url_shows_nothing(url):
    """Read alone."""
    _fails_hidden(lambda: RedisAddress.from_url(url, setting="x"))


@pytest.mark.parametrize("url", BROKER_URLS.values(), ids=BROKER_URLS)
def test_malformed_broker_url_shows_nothing(url):
    """Read alone."""
    _fails_hidden(lambda: checked_broker_url(url, setting="x"))


@pytest.mark.parametrize("key", MASTER_KEYS.values(), ids=MASTER_KEYS)
def test_malformed_master_key_shows_nothing(key):
    """By everything that takes one; a raw one too."""
    for call in (
        lambda: Sockudo("a", "k", SECRET, encryption_master_key_base64=key),
        lambda: Sockudo.from_url(GOOD_URL, encryption_master_key_base64=key),
        lambda: Encoder(encryption_master_key_base64=key),
        lambda: decode_master_key(key),
        lambda: Sockudo("a", "k", SECRET, encryption_master_key=key),
        lambda: encode_master_key(key),
    ):
        _fails_hidden(call)


WRONG_ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "too many": (("a", "k", SECRET, True), {}),
    "secret of bytes": (("a", "k", SECRET.encode()), {}),
    "key of another type": (("a", 1, SECRET), {}),
    "empty key": (("a", "", SECRET), {}),
    "app id": ((1.5, "k", SECRET), {}),
    "unknown": (("a", "k", SECRET), {"x": 1}),
    "missing": (("a",), {"secret": SECRET}),
    "port": (("a", "k", SECRET), {"port": "x"}),
    "host": (("a", "k", SECRET), {"host": "a b"}),
    "timeout": (("a", "k", SECRET), {"timeout": -1}),
    "cluster": (("a", "k", SECRET), {"cluster": "eu"}),
    "session": (("a", "k", SECRET), {"session": 1}),
    "verify": (("a", "k", SECRET), {"verify": False}),
    "two keys": (("a", "k", SECRET), {"encryption_master_key": KEY, "encryption_master_key_base64": KEY}),
    "key of a list": (("a", "k", SECRET), {"encryption_master_key_base64": [KEY]}),
    "surrogate": (("a", "k", f"{SECRET}\udc80"), {}),
}


@pytest.mark.parametrize(("args", "options"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument_of_the_client_shows_nothing(args, options):
    """By position, by name, of another type."""
    _fails_hidden(lambda: Sockudo(*args, **options))
    if len(args) == 3 and options:
        _fails_hidden(lambda: Sockudo.from_url(GOOD_URL, **options))


def _client() -> Sockudo:
    return Sockudo.from_url(GOOD_URL, encryption_master_key_base64=KEY, retries=None)


BODY = b'{"time_ms":1,"events":[]}'
HEADERS = {"X-Pusher-Key": "key", "X-Pusher-Signature": "0" * 64}
ENCRYPTED = "private-encrypted-c"


class Unwilling:
    """A value whose every use fails."""

    def __iter__(self):
        raise RuntimeError("unwilling")

    __str__ = __iter__


CALLS: dict[str, Callable[[Sockudo], object]] = {
    "webhook": lambda client: client.webhook(HEADERS, BODY),
    "webhook with credentials": lambda client: client.webhook(HEADERS, BODY, credentials=[("key", SECRET)]),
    "webhook with wrong credentials": lambda client: client.webhook(HEADERS, BODY, credentials=[("", SECRET)]),
    "webhook with a surrogate": lambda client: client.webhook(HEADERS, BODY, credentials=[("k", f"{SECRET}\udc80")]),
    "webhook of another key": lambda client: client.webhook({**HEADERS, "X-Pusher-Key": "other"}, BODY),
    "webhook without a body": lambda client: client.webhook(HEADERS, None),  # type: ignore[arg-type]
    "webhook with unwilling headers": lambda client: client.webhook(Unwilling(), BODY),  # type: ignore[arg-type]
    "authenticate": lambda client: client.authenticate("public", "1.1"),
    "authenticate an encrypted channel": lambda client: client.authenticate(ENCRYPTED, "1.1", {"a": Unwilling()}),
    "authenticate a member": lambda client: client.authenticate("presence-c", "1.1", {"user_id": 1}),
    "authenticate a user": lambda client: client.authenticate_user("1.1", {"id": "", "x": SECRET}),
    "private form": lambda client: client.authorize_private_channel("channel_name=private-c"),
    "presence form": lambda client: client.authorize_presence_channel("socket_id=1.1&channel_name=presence-c", None),
    "user form": lambda client: client.authenticate_user_form("x=1", {"id": "1"}),
    "encrypted trigger": lambda client: client.trigger(ENCRYPTED, "e", {"a": Unwilling()}),
    "encrypted trigger too large": lambda client: client.trigger(ENCRYPTED, "e", "x" * 20_000),
    "encrypted batch": lambda client: client.trigger_batch([(ENCRYPTED, "e", "x")], already_encoded=True),
    "several encrypted channels": lambda client: client.trigger([ENCRYPTED, f"{ENCRYPTED}2"], "e", "x"),
    "no server": lambda client: client.trigger("c", "e", SECRET),
    "no server, encrypted": lambda client: client.trigger(ENCRYPTED, "e", SECRET),
    "no server to a batch": lambda client: client.trigger_batch([("c", "e", SECRET)]),
    "no server to a query": lambda client: client.channels_info(),
    "no server to a user's event": lambda client: client.send_to_user("u", "e", SECRET),
    "no server to an update": lambda client: client.update_message("c", "1", data=SECRET),
    "sent by hand": lambda client: client.send("POST", "/events", body=SECRET.encode()),
    "called by hand": lambda client: client.call("POST", "/events", body=SECRET.encode()),
    "signed parameters": lambda client: client.send("GET", "/channels", query={"auth_key": "x"}),
    "transport": lambda client: client._transport.request(
        "GET", "/x", query=f"auth_signature={SECRET}", timeout=5.0, headers={"X": SECRET}
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_failed_call_of_the_client_shows_nothing(call):
    """Neither secrets nor what was to be signed, nor the payload."""
    client = _client()
    error = _fails_hidden(lambda: call(client))
    assert "auth_signature" not in str(find_in_frames(error, ["auth_signature"]))


def test_functions_below_the_client_show_nothing():
    """Called alone, as other code of this package does."""
    _fails_hidden(lambda: check_signature(["key"], ["0" * 64], BODY, [("key", SECRET)]))
    _fails_hidden(lambda: open_envelope({"nonce": "", "ciphertext": ""}, SECRET.encode()))
    _fails_hidden(lambda: Signer("k", SECRET).query("GET", "/x", now=0, parameters={"auth_key": "x"}))


def test_refused_publish_shows_no_payload(settings):
    """Stored, sent, run or called."""
    settings.setenv("SOCKUDO_URL", GOOD_URL)
    configure()
    data = {"card": SECRET, "x": Unwilling()}
    for call in (
        lambda: publish.delay("c", "e", data),
        lambda: publish.apply_async(("c", "e", data), countdown=1),
        lambda: publish.delay("c", "", SECRET),
        lambda: publish.delay("c", "e", SECRET, tags={"x": SECRET, "y": 1}),  # type: ignore[dict-item]
        lambda: publish.delay("c", "e", SECRET * 1000),
        lambda: publish.run("c", "e", data, app="x"),
        lambda: publish("c", "e", data),
        lambda: publish("c", "e", SECRET),
    ):
        _fails_hidden(call)


def test_objects_show_no_secret(settings):
    """Neither their repr nor their attributes: the application's own frames hold these."""
    settings.setenv("SOCKUDO_URL", GOOD_URL)
    settings.setenv("SOCKUDO_REDIS_URL", f"redis://user:{SECRET}@127.0.0.1:9/0")
    settings.setenv("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", KEY)
    settings.setenv("SOCKUDO_APPS", f'{{"eu": "{GOOD_URL}"}}')
    configure()
    found = get_settings()
    assert found.url == GOOD_URL
    assert SECRET in found.redis_url
    assert SECRET in found.app_urls()["eu"]
    app = app_named()
    for one in (found, found.redis_address, _client(), Credentials.from_url(GOOD_URL), app, app.producer, app.client):
        assert not shows(one, FORMS), one
    assert app.client._credentials.secret == SECRET
    configure(url=GOOD_URL, encryption_master_key_base64=KEY)
    assert not shows(settings_module._source.given, FORMS)


def test_location_stays_and_variables_go():
    """Each frame keeps its file and line; the application's frames keep their variables too."""

    @without_locals
    def inner(value: str) -> None:
        doubled = value * 2
        if doubled:
            raise KeyError("x")

    error = error_of(lambda: inner(SECRET))
    names = []
    traceback = error.__traceback__
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert names[-2:] == ["call", "inner"]
    assert not find_in_frames(error, [SECRET])


def test_error_that_the_caller_handles_stays_whole():
    """Its frames are the caller's; and the error keeps it as its context."""

    def fail() -> None:
        kept = "kept"
        raise LookupError(kept)

    client = _client()
    try:
        try:
            fail()
        except LookupError:
            client.webhook(HEADERS, BODY)
    except Exception as error:
        earlier = errors_in_chain(error)[-1]
        assert isinstance(earlier, LookupError)
        assert earlier.__traceback__ is not None
        assert earlier.__traceback__.tb_next is not None
        assert earlier.__traceback__.tb_next.tb_frame.f_locals["kept"] == "kept"


def test_subclass_of_the_application_stays_as_it_is():
    """Its methods are its own; those that it inherits show nothing."""

    class Own(Sockudo):
        def announce(self) -> None:
            kept = "kept"
            raise LookupError(kept)

    error = error_of(Own.from_url(GOOD_URL).announce)
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_next is not None
    assert error.__traceback__.tb_next.tb_frame.f_locals["kept"] == "kept"
    _fails_hidden(lambda: Own.from_url(GOOD_URL).webhook(HEADERS, BODY))


def test_circle_of_errors_ends():
    """A chain that comes back to its beginning."""
    one, two = ValueError("1"), ValueError("2")
    one.__context__ = two
    two.__cause__ = one
    clear_locals(one)
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, TimeoutError])
def test_interrupted_call_shows_nothing(kind, monkeypatch):
    """A time limit or Ctrl-C in the middle of a request has the frames of requests and urllib3."""
    client = _client()

    def interrupt(*_args: Any, **_options: Any) -> None:
        raise kind

    monkeypatch.setattr("sockudo_publisher.client.http.deadline._connect", interrupt)
    error = _fails_hidden(lambda: client.trigger("c", "e", SECRET))
    assert not find_in_frames(error, ["auth_signature"])
