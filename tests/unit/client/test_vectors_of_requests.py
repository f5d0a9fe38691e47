"""What the other SDKs' tests say of requests, limits and answers (docs/sdks.md, Requests and vectors)."""

import base64
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from nacl.secret import SecretBox

from sockudo_publisher.client.http import calls
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encryption import shared_secret
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.errors import BadRequest, ValidationError
from tests.support.timing import replace_time
from tests.support.wire import wired

pytestmark = pytest.mark.unit


class Wire(requests.adapters.BaseAdapter):
    """Keeps the URL of the request."""

    def send(self, request, **_):
        self.url = request.url
        response = requests.Response()
        response.status_code, response._content = 200, b"{}"
        return response

    def close(self):
        pass


HOSTS = {
    "default": ({}, "http://127.0.0.1:6001"),
    "cluster": ({"cluster": "eu", "ssl": False}, "http://api-eu.sockudo.com:80"),
    "host": ({"host": "my.server.com"}, "http://my.server.com:6001"),
    "host and port": ({"host": "my.server.com:80"}, "http://my.server.com:80"),
    "secure": ({"secure": True, "host": "localhost"}, "https://localhost:443"),
}


@pytest.mark.parametrize(("options", "base"), HOSTS.values(), ids=HOSTS.keys())
def test_s1_the_signature_does_not_depend_on_the_host(monkeypatch, options, base):
    """Go's vector, through the whole client."""
    replace_time(monkeypatch, calls, time=lambda: 1353088179.9)
    wire = Wire()
    with requests.Session() as session:
        session.trust_env = False
        session.mount(base, wire)
        client = Sockudo("3", "278d425bdf160c739803", "7ad3773142a6692b25b8", session=session, **options)
        client.call("POST", "/events", body=b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}')
    assert wire.url.startswith(f"{base}/apps/3/events?")
    signature = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
    assert parse_qs(urlsplit(wire.url).query)["auth_signature"] == [signature]


BODIES = {
    "plain": (("test_channel", "test", "yolo"), {}, {"name": "test", "channels": ["test_channel"], "data": "yolo"}),
    "info": (
        ("test_channel", "test", "yolo"),
        {"info": "user_count,subscription_count"},
        {"name": "test", "channels": ["test_channel"], "data": "yolo", "info": "user_count,subscription_count"},
    ),
    "socket": (
        ("test_channel", "test", "yolo"),
        {"socket_id": "1234.12"},
        {"name": "test", "channels": ["test_channel"], "data": "yolo", "socket_id": "1234.12"},
    ),
    "key": (
        ("test_channel", "test", "yolo"),
        {"idempotency_key": "abc-123"},
        {"name": "test", "channels": ["test_channel"], "data": "yolo", "idempotency_key": "abc-123"},
    ),
    "object": (
        ("test_channel", "test", {"Key": "value"}),
        {},
        {"name": "test", "channels": ["test_channel"], "data": '{"Key":"value"}'},
    ),
}


@pytest.mark.parametrize(("arguments", "options", "body"), BODIES.values(), ids=BODIES.keys())
def test_bodies_of_the_go_sdk(arguments, options, body):
    """As objects; the key in a header too."""
    with wired() as wire:
        wire.client.trigger(*arguments, **options)
        assert wire.only.json() == body
        assert wire.only.headers.get("X-Idempotency-Key") == options.get("idempotency_key")


ANSWERS = {
    "channels": {
        "channels": {
            "presence-test_channel": {"subscription_count": 2, "user_count": 1},
            "test_channel": {"subscription_count": 3},
        }
    },
    "64 bits": {"channels": {"c": {"history_serial": 9007199254740993, "delivery_serial": 9007199254740994}}},
    "nothing": {},
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_answers_of_trigger_are_the_servers(answer):
    """To the last digit."""
    with wired() as wire:
        wire.answer = lambda _: answer
        assert wire.client.trigger("c", "e", 1, info="subscription_count") == answer


def test_answer_of_a_batch_is_the_servers():
    """In the order of the events."""
    answer = {"batch": [{"subscription_count": 2, "user_count": 1}, {"subscription_count": 3}]}
    with wired() as wire:
        wire.answer = lambda _: answer
        events = [Event("presence-a", "e", 1, info="user_count,subscription_count"), Event("b", "e", 1, info="x")]
        assert wire.client.trigger_batch(events) == answer


def test_text_of_a_400_is_told():
    """Status and the server's words."""
    with wired(show_answers=True) as wire:
        wire.answer = lambda _: (400, "some words")
        with pytest.raises(BadRequest, match="some words") as caught:
            wire.client.trigger("c", "e", 1)
        assert caught.value.status == 400


REFUSED = {
    "101 channels": lambda client: client.trigger([f"c{n}" for n in range(101)], "e", "x"),
    "channel of foreign letters": lambda client: client.trigger("w000^$$£@@@", "e", "x"),
    "channel of 203": lambda client: client.trigger("a" * 203, "e", "x"),
    "channel of 201": lambda client: client.trigger("x" * 201, "e", "x"),
    "no channel": lambda client: client.trigger("", "e", "x"),
    "channel with a dollar": lambda client: client.trigger("abc$", "e", "x"),
    "channel with a line's end": lambda client: client.trigger("abc\n", "e", "x"),
    "data of 20,481": lambda client: client.trigger("c", "e", "x" * 20_481),
    "data of 20,481 in a batch": lambda client: client.trigger_batch([("c", "e", "x" * 20_481)]),
    "event name of 201": lambda client: client.trigger("c", "x" * 201, "x"),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED.keys())
def test_what_other_sdks_refuse(call):
    """Before anything is sent."""
    with wired() as wire:
        with pytest.raises(ValidationError):
            call(wire.client)
        assert wire.sent == []


@pytest.mark.parametrize(
    "socket_id", ["1234.12:lalala", "12341234", "1.1:", ":1.1", ":\n1.1", "1.1\n:", "1.1\n", "", "\u0661.\u0661"]
)
def test_socket_ids_that_other_sdks_refuse(socket_id):
    """In a trigger and in a batch."""
    with wired() as wire:
        with pytest.raises(ValidationError, match="socket_id: "):
            wire.client.trigger("c", "e", "x", socket_id)
        with pytest.raises(ValidationError, match="socket_id: "):
            wire.client.trigger_batch([Event("c", "e", "x", socket_id=socket_id)])
        assert wire.sent == []


def test_data_of_eighty_kilobytes_where_it_is_allowed():
    """To the byte, alone and in a batch."""
    with wired(max_event_bytes=80 * 1024) as wire:
        wire.client.trigger("c", "e", "x" * 81_920)
        wire.client.trigger_batch([("c", "e", "x" * 81_920)])
        assert len(wire.sent) == 2
        with pytest.raises(ValidationError, match="data: 81921 bytes, limit 81920"):
            wire.client.trigger("c", "e", "x" * 81_921)
        with pytest.raises(ValidationError, match="event 0: data: 81921 bytes, limit 81920"):
            wire.client.trigger_batch([("c", "e", "x" * 81_921)])


def test_plaintext_that_fits_an_encrypted_channel():
    """7,619 bytes: what is left of 10,240 by encryption and base64."""
    key = base64.b64encode(b"k" * 32).decode()
    with wired(encryption_master_key_base64=key) as wire:
        wire.client.trigger("private-encrypted-c", "e", "x" * 7619)
        assert len(wire.only.json()["data"]) <= 10_240
        with pytest.raises(ValidationError, match="limit 10240"):
            wire.client.trigger("private-encrypted-c", "e", "x" * 7620)


@pytest.mark.parametrize("channel", ["private-encrypted-bla", "private-encrypted-room", "private-encrypted-orders"])
@pytest.mark.parametrize(
    "key",
    [base64.b64encode(b"01234567890123456789012345678901").decode(), "ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI="],
    ids=["node and python", "go"],
)
def test_round_trips_of_other_sdks(channel, key):
    """Their keys and channels; read by NaCl."""
    with wired(encryption_master_key_base64=key) as wire:
        wire.client.trigger(channel, "e", {"some": "data"})
        envelope = json.loads(wire.only.json()["data"])
    assert list(envelope) == ["nonce", "ciphertext"]
    box = SecretBox(shared_secret(channel, base64.b64decode(key)))
    nonce, ciphertext = (base64.b64decode(envelope[name]) for name in ("nonce", "ciphertext"))
    assert box.decrypt(ciphertext, nonce) == b'{"some":"data"}'


def test_timestamp_is_that_of_the_request():
    """Seconds of now: the server allows for ten minutes."""
    wire = Wire()
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", wire)
        before = int(time.time())
        Sockudo("a", "k", "s", session=session).trigger("c", "e", 1)
    assert before <= int(parse_qs(urlsplit(wire.url).query)["auth_timestamp"][0]) <= time.time()
