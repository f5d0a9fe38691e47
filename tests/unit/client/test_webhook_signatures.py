"""Webhooks: which signature holds, in which headers, under which key."""

import hmac
from email.message import Message
from types import MappingProxyType

import pytest

from sockudo_publisher.client.api import webhook as module
from sockudo_publisher.client.api.webhook import header_values
from sockudo_publisher.errors import InvalidWebhook, ValidationError
from tests.unit.client.webhooks import CLIENT, KEY, OCCUPIED, SECRET, headers, read, sign

pytestmark = pytest.mark.unit


def test_signature_is_over_the_bytes_as_they_came():
    """The same JSON written otherwise is another body."""
    for body in (b'{"a": 1}', b'{ "a":1}', b'{"a":1}\n', '{"a":"ü"}'.encode(), b'{"a":"\\u00fc"}'):
        assert read(body)
        with pytest.raises(InvalidWebhook, match="X-Pusher-Signature: does not hold"):
            CLIENT.webhook(headers(b'{"a":1}'), body)


def test_body_as_bytes_like_or_text():
    """Frameworks hand out either."""
    for body in (OCCUPIED, bytearray(OCCUPIED), memoryview(OCCUPIED), OCCUPIED.decode()):
        assert CLIENT.webhook(headers(OCCUPIED), body).events[0].name == "channel_occupied"


@pytest.mark.parametrize("body", [None, 1, {"time_ms": 1}, ["a"], "\ud800"])
def test_bodies_that_are_none(body):
    """The parsed body of a framework is named as the mistake it is."""
    with pytest.raises(InvalidWebhook, match="body: "):
        CLIENT.webhook(headers(OCCUPIED), body)


@pytest.mark.parametrize(
    "signature",
    ["", "potato", "000", "0" * 64, "ü" * 64, "0x" + "0" * 62, " " * 64, sign(OCCUPIED)[:-1], sign(OCCUPIED) + "0"],
)
def test_wrong_signatures(signature):
    """Altered, shortened, not hex, not ASCII."""
    with pytest.raises(InvalidWebhook, match=r"^X-Pusher-Signature: "):
        CLIENT.webhook({"X-Pusher-Key": KEY, "X-Pusher-Signature": signature}, OCCUPIED)


def test_each_bit_of_the_signature_counts():
    """A comparison of a part would let some through."""
    good = sign(OCCUPIED)
    for index in range(64):
        wrong = good[:index] + f"{int(good[index], 16) ^ 1:x}" + good[index + 1 :]
        with pytest.raises(InvalidWebhook, match="does not hold"):
            CLIENT.webhook({"X-Pusher-Key": KEY, "X-Pusher-Signature": wrong}, OCCUPIED)


@pytest.mark.parametrize(
    ("given_headers", "complaint"),
    [
        ({}, "X-Pusher-Key: missing"),
        ({"X-Pusher-Key": "", "X-Pusher-Signature": "0" * 64}, "X-Pusher-Key: missing"),
        ({"X-Pusher-Key": KEY}, "X-Pusher-Signature: missing"),
        ({"X-Pusher-Key": KEY, "X-Pusher-Signature": None}, "X-Pusher-Signature: missing"),
        ({"X-Pusher-Key": None, "X-Pusher-Signature": "0" * 64}, "X-Pusher-Key: missing"),
        ({"X-Pusher-Key": "other", "X-Pusher-Signature": sign(OCCUPIED)}, "X-Pusher-Key: not one of the given keys"),
        ({"X-Pusher-Key": KEY + " x", "X-Pusher-Signature": sign(OCCUPIED)}, "X-Pusher-Key: not one of the given keys"),
        (None, "headers: a NoneType"),
        (1, "headers: a int"),
        ("X-Pusher-Key: k", "headers: a str"),
        ([1, 2], "headers: a list"),
    ],
)
def test_headers_that_do_not_do(given_headers, complaint):
    """Each says what is wrong with the request, for the log of who set it up."""
    with pytest.raises(InvalidWebhook) as refusal:
        CLIENT.webhook(given_headers, OCCUPIED)
    assert str(refusal.value).startswith(complaint)
    assert SECRET not in str(refusal.value)
    assert sign(OCCUPIED) not in str(refusal.value)


def message(pairs):
    """The headers of the standard library's server."""
    made = Message()
    for name, value in pairs.items():
        made[name] = value
    return made


@pytest.mark.parametrize(
    "form",
    [
        lambda h: h,
        lambda h: {name.lower(): value for name, value in h.items()},
        lambda h: {name.upper(): value for name, value in h.items()},
        lambda h: (
            {"HTTP_" + name.upper().replace("-", "_"): value for name, value in h.items()} | {"wsgi.input": object()}
        ),
        lambda h: list(h.items()),
        lambda h: iter(h.items()),
        lambda h: [(name.lower().encode(), value.encode()) for name, value in h.items()],
        lambda h: {name: [value] for name, value in h.items()},
        lambda h: {name: (f" {value}\t",) for name, value in h.items()},
        lambda h: MappingProxyType({**h, 1: 2, None: None, b"\xff": b"\xff"}),
        message,
    ],
    ids=[
        "as-is",
        "lower",
        "upper",
        "wsgi",
        "pairs",
        "iterator",
        "asgi",
        "lists",
        "spaces",
        "odd-neighbours",
        "message",
    ],
)
def test_headers_of_frameworks(form):
    """Whatever the case, the spelling or the container."""
    assert CLIENT.webhook(form(headers(OCCUPIED)), OCCUPIED).time_ms == 1403175510755


def test_header_values_are_all_of_that_name():
    """Repeated headers, in order; look-alikes are others."""
    pairs = [
        ("X-Pusher-Key", "a"),
        ("x_pusher_key", "b"),
        ("X-Pusher-Keys", "c"),
        ("Pusher-Key", "d"),
        ("X-PUSHER-KEY", ["e"]),
    ]
    assert header_values(pairs, "X-Pusher-Key", "Other") == (("a", "b", "e"), ())


def test_one_of_several_header_values_may_hold():
    """As the seed reads them: a proxy or a test may have added one."""
    several = {"X-Pusher-Key": ["other", KEY], "X-Pusher-Signature": ["0" * 64, sign(OCCUPIED)]}
    assert CLIENT.webhook(several, OCCUPIED)


def test_rotation_accepts_old_and_new():
    """Several pairs, also with one key; a key goes with its own secret only."""
    old = (("old-key", "old-secret"), (KEY, "older-secret"))
    for key, secret in (("old-key", "old-secret"), (KEY, "older-secret"), (KEY, SECRET)):
        assert CLIENT.webhook(headers(OCCUPIED, key, secret), OCCUPIED, credentials=old)
    for key, secret in (("old-key", SECRET), (KEY, "old-secret"), ("old-key", "older-secret")):
        with pytest.raises(InvalidWebhook, match="does not hold"):
            CLIENT.webhook(headers(OCCUPIED, key, secret), OCCUPIED, credentials=old)
    with pytest.raises(InvalidWebhook, match="not one of the given keys"):
        CLIENT.webhook(headers(OCCUPIED, "old-key", "old-secret"), OCCUPIED)


@pytest.mark.parametrize(
    "credentials",
    [
        (("k", ""),),
        (("", "s"),),
        (("k", None),),
        (("k",),),
        ("k", "s"),
        "ks",
        {"k": "s"},
        5,
        (("k", "\ud800"),),
        (("a", "secret-shown"), ("k", b"secret-shown")),
    ],
)
def test_malformed_credentials(credentials):
    """An unset variable as secret must not let everybody in; the complaint shows none."""
    with pytest.raises(ValidationError, match=r"^credentials: ") as refusal:
        CLIENT.webhook(headers(OCCUPIED), OCCUPIED, credentials=credentials)
    assert "secret-shown" not in str(refusal.value)


def test_comparison_is_constant_time(monkeypatch):
    """Every signature goes through hmac.compare_digest, also those behind one that holds."""
    compared = []

    def compare_digest(a, b):
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    fake = type("hmac", (), {"digest": staticmethod(hmac.digest), "compare_digest": staticmethod(compare_digest)})
    monkeypatch.setattr(module, "hmac", fake)
    good = bytes.fromhex(sign(OCCUPIED))
    CLIENT.webhook(headers(OCCUPIED), OCCUPIED, credentials=((KEY, "other"),))
    assert (good, good) in compared
    assert len(compared) == 2
    assert {type(part) for pair in compared for part in pair} == {bytes}
