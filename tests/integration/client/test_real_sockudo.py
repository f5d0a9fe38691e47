"""The client against the real server and a real WebSocket subscriber."""

import base64
import hashlib
import json
import threading
from dataclasses import replace

import pytest
import requests
from nacl.secret import SecretBox

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.errors import (
    AuthFailed,
    BadRequest,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    SockudoConnectionError,
    SockudoHTTPError,
    ValidationError,
)
from tests.support.http_api import HttpApi

pytestmark = pytest.mark.integration

MASTER_KEY = base64.b64encode(b"01234567890123456789012345678901").decode()


def taken(subscriber, count):
    """The events of a subscriber, when this number has arrived."""
    subscriber.wait_for_count(count)
    return [(event.channel, event.event, event.data) for event in subscriber.events()]


@pytest.fixture
def client(sockudo):
    with_key = Sockudo.from_url(sockudo.url, encryption_master_key_base64=MASTER_KEY)
    yield with_key
    with_key.close()


def test_trigger_reaches_a_subscriber(sockudo, subscriber, client):
    """Text as it is, JSON as compact text, any characters."""
    seen = subscriber(sockudo, "news")
    assert client.trigger("news", "text", 'as "it" is') == {}
    assert client.trigger(["news"], "object ü\n", {"a": [1, None], "ü": "\u2028"}) == {}
    assert client.trigger("news", "bytes", b"raw") == {}
    assert taken(seen, 3) == [
        ("news", "text", 'as "it" is'),
        ("news", "object ü\n", '{"a":[1,null],"ü":"\u2028"}'),
        ("news", "bytes", "raw"),
    ]


def test_several_channels_each_once(sockudo, subscriber, client):
    """Duplicates are merged before the server would deliver them twice."""
    seen = subscriber(sockudo, "m1", "m2")
    answer = client.trigger(["m1", "m2", "m1"], "e", "x", info="subscription_count")
    assert {name: info["subscription_count"] for name, info in answer["channels"].items()} == {"m1": 1, "m2": 1}
    client.trigger("m1", "end", "x")
    client.trigger("m2", "end", "x")
    assert sorted(taken(seen, 4)) == [("m1", "e", "x"), ("m1", "end", "x"), ("m2", "e", "x"), ("m2", "end", "x")]


def test_excluded_socket_gets_nothing(sockudo, subscriber, client):
    """Others do."""
    sender, other = subscriber(sockudo, "chat"), subscriber(sockudo, "chat")
    client.trigger("chat", "message", "x", sender.socket_id)
    client.trigger("chat", "end", "x")
    assert taken(other, 2) == [("chat", "message", "x"), ("chat", "end", "x")]
    assert taken(sender, 1) == [("chat", "end", "x")]


def test_names_of_dots_are_channels(sockudo, subscriber, client):
    """'.' and '..' are legal, and no client library must take them for directories."""
    seen = subscriber(sockudo, "..")
    client.trigger([".", ".."], "e", "x")
    assert taken(seen, 1) == [("..", "e", "x")]


def test_batch_arrives_in_order(sockudo, subscriber, client):
    """Two hundred events of three shapes; {} without info, a list with."""
    seen = subscriber(sockudo, "b1", "b2")
    events = [Event("b1", "e", n) if n % 2 else ("b2", "e", {"n": n}) for n in range(200)]
    assert client.trigger_batch(events) == {}
    seen.wait_for_count(200)
    assert seen.data("b1") == [str(n) for n in range(1, 200, 2)]
    assert seen.data("b2") == [f'{{"n":{n}}}' for n in range(0, 200, 2)]
    answer = client.trigger_batch([Event("b1", "e", 1, info=["subscription_count"]), Event("b2", "e", 2)])
    assert "subscription_count" in answer["batch"][0]
    assert len(answer["batch"]) == 2


def test_message_id_is_published_once(sockudo, subscriber, client):
    """A replay gets the same acknowledgement and reaches no subscriber."""
    seen = subscriber(sockudo, "once")
    first = client.trigger("once", "e", {"n": 1}, message_id="order-789 ü")
    again = client.trigger("once", "e", {"n": 1}, message_id="order-789 ü")
    assert first == again == {"channels": {"once": {"acknowledgement_id": "order-789 ü"}}}
    client.trigger("once", "end", "x")
    assert taken(seen, 2) == [("once", "e", '{"n":1}'), ("once", "end", "x")]


def test_message_id_with_another_payload_is_a_conflict(client):
    """400, in the server's words."""
    client.trigger("conflict", "e", "one", message_id="same")
    with pytest.raises(BadRequest, match="already used with a different payload") as caught:
        client.trigger("conflict", "e", "two", message_id="same")
    assert (caught.value.status, caught.value.code) == (400, "invalid_input")


def test_items_made_by_the_encoder_replay_identically(client):
    """The bytes that a worker stores and resends: each accepted again, with the same receipt."""
    encoder = client.encoder
    items = [
        encoder.item("private-encrypted-r", "e", encoder.payload({"n": n}), message_id=f"r-{n}", tags={"k": "ü"})
        for n in range(20)
    ]
    body = b'{"batch":[' + b",".join(items) + b"]}"
    answers = [client.send("POST", "/batch_events", body=body, timeout=10) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    receipts = [json.loads(answer.body)["batch"] for answer in answers]
    assert receipts[0] == receipts[1] == [{"acknowledgement_id": f"r-{n}"} for n in range(20)]


def test_idempotency_key_suppresses_a_repeat(sockudo, subscriber, client):
    """The HTTP API's own key, in header and body; a key that a batch used first answers the bare 1."""
    seen = subscriber(sockudo, "keyed")
    client.trigger("keyed", "e", "1", idempotency_key="k 1")
    client.trigger("keyed", "e", "ignored", idempotency_key="k 1")
    client.trigger_batch([Event("keyed", "e", "2", idempotency_key="k2")])
    assert client.trigger("keyed", "e", "ignored", idempotency_key="k2") == {}
    client.trigger("keyed", "e", "3", idempotency_key=True)
    assert seen.take(3) == ["1", "2", "3"]


def test_encrypted_event_is_read_with_the_channels_secret(sockudo, subscriber, client):
    """By NaCl alone, from what the socket carried; also in a batch, each channel with its own secret."""
    channels = ["private-encrypted-a", "private-encrypted-b"]
    seen = subscriber(sockudo, *channels)
    client.trigger(channels[0], "e", {"gate": "C71 ü"})
    client.trigger_batch([(channels[0], "e", "text"), (channels[1], "e", b"bytes")])
    opened = []
    for channel, _, data in taken(seen, 3):
        envelope = json.loads(data)
        assert set(envelope) == {"nonce", "ciphertext"}
        secret = hashlib.sha256(channel.encode() + base64.b64decode(MASTER_KEY)).digest()
        box, decode = SecretBox(secret), base64.b64decode
        opened.append((channel, box.decrypt(decode(envelope["ciphertext"]), decode(envelope["nonce"])).decode()))
    assert opened == [(channels[0], '{"gate":"C71 ü"}'), (channels[0], "text"), (channels[1], "bytes")]


def stranger(sockudo, **wrong):
    app = replace(sockudo.apps[0], **wrong)
    return Sockudo(app.id, app.key, app.secret, port=sockudo.port)


def test_unknown_key_is_404(sockudo):
    """As Sockudo says it, where others say 401."""
    with pytest.raises(NotFound) as caught:
        stranger(sockudo, key="nobodys-key").trigger("c", "e", "x")
    assert caught.value.code == "app_not_found"
    assert caught.value.sent is False


@pytest.mark.parametrize("wrong", [{"secret": "another-secret"}, {"id": "another-app"}])
def test_wrong_secret_or_app_is_401(sockudo, wrong):
    """Nothing was published."""
    with pytest.raises(AuthFailed) as caught:
        stranger(sockudo, **wrong).trigger("c", "e", "x")
    assert (caught.value.code, caught.value.sent) == ("auth_failed", False)
    assert "another-secret" not in str(caught.value)


def test_refusal_in_a_batch_says_that_something_may_be_out(sockudo, subscriber, client):
    """The server publishes the items before the bad one."""
    seen = subscriber(sockudo, "half")
    with pytest.raises(BadRequest) as caught:
        client.trigger_batch([("half", "e", "1"), ("nonamespace:x", "e", "2"), ("half", "e", "3")])
    assert caught.value.sent is True
    client.trigger("half", "end", "x")
    assert seen.take(2) == ["1", "x"]


REFUSED_EVENTS = {
    "channel": (("nonamespace:x", "e", "x"), {}, BadRequest, "invalid_input"),
    "size": (("one", "e", "x" * 20_000), {}, PayloadTooLarge, "payload_too_large"),
    "AI": (("one", "ai-input", "x"), {}, Forbidden, "ai_event_not_permitted"),
    "known id": (("one", "e", "other"), {"message_id": "known"}, BadRequest, "invalid_input"),
}


@pytest.mark.parametrize(("event", "options", "kind", "code"), REFUSED_EVENTS.values(), ids=REFUSED_EVENTS.keys())
def test_refusal_of_one_event_says_that_nothing_is_out(tmp_path, sockudo, subscriber, event, options, kind, code):
    """Alone, on one channel or in a batch of one, it is certainly not delivered; a subscriber sees so."""
    app = {"id": "limited", "key": "limited-key", "secret": "limited-secret", "enabled": True}
    app["policy"] = {"limits": {"max_event_payload_in_kb": 10}}
    settings = {"app_manager": {"array": {"apps": [app]}}}
    known = SockudoApp("limited", "limited-key", "limited-secret")
    with SockudoServer(tmp_path, (known,), settings=settings, program=sockudo.program) as server:
        client = Sockudo.from_url(server.url, max_event_bytes=100_000)
        seen = subscriber(server, "one", "two")
        client.trigger("one", "e", "first", message_id="known")
        calls = [lambda: client.trigger(*event, **options)]
        if "extras" not in options:
            key = options.get("message_id")
            calls.append(lambda: client.trigger_batch([Event(*event, key=key)]))
        for call in calls:
            with pytest.raises(kind) as caught:
                call()
            error = caught.value
            assert (error.code, error.sent) == (code, False), error
            assert error.doubtful in (None, range(0))
        if code == "invalid_input" and not options:  # of several channels, the others may be out, and are
            with pytest.raises(kind) as caught:
                client.trigger(["one", event[0]], "e", "several")
            assert caught.value.sent is True
            assert seen.take(2) == ["first", "several"]
        else:
            client.trigger("one", "end", "last")
            assert seen.take(2) == ["first", "last"]


@pytest.mark.parametrize(
    "refused",
    [
        Event("ai-half", "ai-input", "2"),
        Event("ai-half", "ai-run-start", "2"),
        Event("ai-half", "ai-cancel", "2"),
        Event("ai-half", "ai-step-start", "2"),
        Event("ai-half", "ai-turn-end", "2"),
        Event("ai-half", "e", "2", extras={"ai": {}}),
    ],
    ids=["input", "run", "cancel", "step", "turn", "extras"],
)
def test_403_for_one_event_comes_after_the_events_before_it(sockudo, subscriber, client, refused):
    """Without AI transport its events are refused in their turn, by a 403 that is no refusal of the request."""
    seen = subscriber(sockudo, "ai-half")
    with pytest.raises(Forbidden) as caught:
        client.trigger_batch([("ai-half", "e", "1"), refused, ("ai-half", "e", "3")])
    error = caught.value
    assert (error.status, error.code) == (403, "ai_event_not_permitted")
    assert (error.sent, error.attempts, error.accepted, error.doubtful) == (True, 1, 0, range(3))
    client.trigger("ai-half", "end", "x")
    assert seen.take(2) == ["1", "x"]


def test_403_of_a_later_part_leaves_the_earlier_ones_accepted(sockudo, subscriber):
    """Of a batch in several requests, the doubt is about one."""
    seen = subscriber(sockudo, "ai-parts")
    client = Sockudo.from_url(sockudo.url, max_batch_events=2)
    given = [("ai-parts", "e", str(number)) for number in range(3)] + [("ai-parts", "ai-input", "3")]
    with pytest.raises(Forbidden) as caught:
        client.trigger_batch([*given, ("ai-parts", "e", "4")], split=True)
    assert (caught.value.accepted, caught.value.doubtful) == (2, range(2, 4))
    client.trigger("ai-parts", "end", "x")
    assert seen.take(4) == ["0", "1", "2", "x"]


def test_signed_get_with_parameters_that_need_escaping(client):
    """What is signed decoded is read decoded."""
    answer = client.send("GET", "/channels", query={"filter_by_prefix": "a b+c&d=é%", "info": "subscription_count"})
    assert (answer.status, json.loads(answer.body)) == (200, {"channels": {}})
    assert client.send("GET", "/channels/..").status == 200


def test_own_session(sockudo):
    """A requests.Session of the caller's does as well, with dots and escapes in the path."""
    with requests.Session() as session:
        client = Sockudo.from_url(sockudo.url, session=session)
        assert client.trigger("c", "e", "x") == {}
        assert client.send("GET", "/channels/..").status == 200


def test_limits_of_ours_and_of_the_server(sockudo, client):
    """Ours first; raised, the event goes through, as this app has no limit of its own."""
    with pytest.raises(ValidationError, match="data: 81920 bytes, limit 10240"):
        client.trigger("c", "e", "x" * 81_920)
    assert Sockudo.from_url(sockudo.url, max_event_bytes=81_920).trigger("c", "e", "x" * 81_920) == {}


def test_two_extras_headers_go_in_a_direct_call(client):
    """Refused in queued publishes only."""
    assert client.trigger("c", "e", "x", tags={"a": "b"}, extras={"headers": {"a": 1, "b": 2}}) == {}


@pytest.mark.parametrize("push", [{}, {"notification": {"title": "t", "body": "b"}}, "x", []], ids=str)
def test_push_extras_answer_422(sockudo, subscriber, client, push):
    """To all of a batch, so the caller refuses them. Should this fail, the server reads them: let them through."""
    seen = subscriber(sockudo, "pushed")
    api = HttpApi(sockudo)
    event = {"channel": "pushed", "name": "e", "data": "x"}
    for answer in (
        api.event(**event, extras={"push": push}),
        api.batch(event, {**event, "extras": {"push": push}}),
    ):
        assert (answer.status, b"extras.push" in answer.body) == (422, True)
    for call in (
        lambda: client.trigger("pushed", "e", "x", extras={"push": push}),
        lambda: client.trigger_batch([("pushed", "e", "x"), Event("pushed", "e", "x", extras={"push": push})]),
    ):
        with pytest.raises(ValidationError, match=r"extras\.push"):
            call()
    client.trigger("pushed", "end", "end")
    assert seen.take(1) == ["end"]


def test_many_threads(sockudo, subscriber, client):
    """One client for all of them."""
    failures = []

    def work(number):
        try:
            for n in range(20):
                client.trigger(f"t{number}", "e", n)
        except SockudoHTTPError as error:
            failures.append(error)
        finally:
            client.close()

    seen = subscriber(sockudo, *[f"t{number}" for number in range(8)])
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    seen.wait_for_count(160)
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert seen.by_channel() == {f"t{number}": [str(n) for n in range(20)] for number in range(8)}


def test_credentials_that_need_escaping(sockudo, tmp_path):
    """A key and secret of any characters; an app id of all that a path may hold as it is."""
    app = SockudoApp("app-1.x_~!$&'()*+,;=:@", "key +&=%/ü", "secret +&=%/ü")
    configured = [
        {"id": each.id, "key": each.key, "secret": each.secret, "enabled": True} for each in (sockudo.apps[0], app)
    ]
    settings = {"app_manager": {"array": {"apps": configured}}}
    with SockudoServer(tmp_path, sockudo.apps, program=sockudo.program, settings=settings) as server:
        client = Sockudo.from_url(server.url_of(app))
        assert client.trigger("c", "e", "x") == {}
        assert client.send("GET", "/channels", query={"info": "subscription_count"}).status == 200


def test_app_ids_that_need_escaping_answer_401(sockudo, tmp_path):
    """As docs/client.md says: the server compares the path undecoded. Should this fail, it does so no longer."""
    apps = [SockudoApp(app_id, f"key-{number}", "secret") for number, app_id in enumerate(["a b", "a%20b", "ü", "a|b"])]
    configured = [
        {"id": each.id, "key": each.key, "secret": each.secret, "enabled": True} for each in (sockudo.apps[0], *apps)
    ]
    settings = {"app_manager": {"array": {"apps": configured}}}
    with SockudoServer(tmp_path, sockudo.apps, program=sockudo.program, settings=settings) as server:
        for app in apps:
            with pytest.raises(AuthFailed, match="does not match route app_id"):
                Sockudo.from_url(server.url_of(app)).trigger("c", "e", "x")


def test_stopped_and_frozen_server(sockudo, tmp_path):
    """No server: certainly not sent. A frozen server: unknown."""
    with SockudoServer(tmp_path, program=sockudo.program) as server:
        client = Sockudo.from_url(server.url, timeout=0.5)
        client.trigger("c", "e", "x")
        server.pause()
        with pytest.raises(SockudoConnectionError) as frozen:
            client.trigger("c", "e", "x")
        server.resume()
    with pytest.raises(SockudoConnectionError) as stopped:
        client.trigger("c", "e", "x")
    assert (frozen.value.sent, stopped.value.sent) == (True, False)
