"""The defects of other SDKs that concern construction and publishing, shown not to be here (docs/sdks.md, Defects).

Those of authentication and webhooks are beside their modules, those that need a socket in
tests/integration/client/test_defects_on_the_wire.py. ``wire`` checks every signature by itself.
"""

import contextlib
import copy
import inspect
import json
import math
import sys
import threading

import pytest
import requests

from sockudo_publisher.client.http import calls
from sockudo_publisher.client.http.retries import Retries
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encryption import open_envelope, shared_secret
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.errors import (
    CallError,
    ConfigurationError,
    RateLimited,
    ServerError,
    SockudoConnectionError,
    ValidationError,
)
from tests.support.timing import replace_time
from tests.support.wire import least_answer, wired

pytestmark = pytest.mark.unit

KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
SOON = Retries(attempts=3, first_wait_s=0.001)


def failing(wire, *errors):
    """Answer with these, one after the other; then with success."""
    rest = list(errors)

    def answer(sent):
        if not rest:
            return least_answer(sent)
        error = rest.pop(0)
        if isinstance(error, Exception):
            raise error
        return error

    wire.answer = answer


def opened(data, channel):
    return open_envelope(
        data, shared_secret(channel, Sockudo("a", "k", "s", encryption_master_key_base64=KEY).encoder._master_key)
    )


def test_p1_extras_have_the_servers_names():
    """In snake case the server takes it for the caller's own field, and deduplicates nothing."""
    with wired() as wire:
        wire.client.trigger("c", "e", 1, extras={"idempotencyKey": "k", "mine": 1})
        assert wire.only.json()["extras"] == {"idempotencyKey": "k", "mine": 1}
        for publish in (
            lambda: wire.client.trigger("c", "e", 1, extras={"idempotency_key": "k"}),
            lambda: wire.client.trigger_batch([Event("c", "e", 1, extras={"idempotency_key": "k"})]),
        ):
            with pytest.raises(
                ValidationError, match="extras: idempotency_key, which the server knows as idempotencyKey"
            ):
                publish()
        assert len(wire.sent) == 1


def test_p2_timeout_without_a_key_is_not_sent_again():
    """There a server that answered late got the event three times."""
    with wired(retries=SOON) as wire:
        failing(wire, *[requests.exceptions.ReadTimeout()] * 3)
        with pytest.raises(SockudoConnectionError) as caught:
            wire.client.trigger("c", "e", 1)
        assert caught.value.sent
        assert len(wire.sent) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 501])
def test_p4_redirects_and_501_are_not_retried(status):
    """They will be the same."""
    with wired(retries=SOON) as wire:
        failing(wire, (status, {}))
        with pytest.raises(CallError):
            wire.client.trigger("c", "e", 1, message_id="m")
        assert len(wire.sent) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_p4_what_passes_is_retried(status):
    """408, 425 and 429 too."""
    with wired(retries=SOON) as wire:
        failing(wire, (status, {}))
        wire.client.trigger("c", "e", 1, message_id="m")
        assert len(wire.sent) == 2


def test_p3_changes_without_an_identity_are_not_repeated():
    """There every POST is: text is appended twice, an annotation counts twice."""
    with wired(retries=SOON) as wire:
        for change in (
            lambda: wire.client.append_message("c", 7, "more"),
            lambda: wire.client.publish_annotation("c", 7, "likes:total.v1"),
        ):
            wire.sent.clear()
            failing(wire, (500, {}))
            with pytest.raises(ServerError):
                change()
            assert len(wire.sent) == 1


def test_g4_queries_are_repeated_and_waits_are_made(monkeypatch):
    """There queries never are, and publishes three times at once, into a server that is just coming back."""
    waits = []
    replace_time(monkeypatch, calls, sleep=waits.append)
    with wired() as wire:
        failing(wire, (503, {}), (429, {}))
        wire.client.channels_info()
        assert len(wire.sent) == 3
    assert len(waits) == 2
    assert all(0 <= wait <= 0.4 for wait in waits)
    assert any(waits)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500])
def test_p6_failures_raise(status):
    """An answer that no caller can inspect is forgotten."""
    with wired(retries=None) as wire:
        wire.answer = lambda _: (status, {})
        for call in (
            lambda: wire.client.trigger("c", "e", 1),
            lambda: wire.client.trigger_batch([("c", "e", 1)]),
            wire.client.channels_info,
        ):
            with pytest.raises(CallError) as caught:
                call()
            assert caught.value.status == status


def made_keys(wire):
    return [sent.json()["idempotency_key"] for sent in wire.sent]


def test_p7_made_keys_are_unique_over_threads():
    """A counter without a lock gives one key to two events, and one of them is lost."""
    before = sys.getswitchinterval()
    with wired() as wire, contextlib.ExitStack() as ends:
        ends.callback(sys.setswitchinterval, before)
        sys.setswitchinterval(1e-6)  # threads take turns in the middle of each call: such a counter is found mostly

        def work():
            for _ in range(60):
                wire.client.trigger("c", "e", 1, idempotency_key=True)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        keys = made_keys(wire)
    assert len(keys) == len(set(keys)) == 480


def test_g2_made_keys_are_unique_over_copies():
    """A copied counter goes on twice from where it was."""
    with wired() as wire:
        for client in (wire.client, copy.copy(wire.client), wire.client):
            client.trigger("c", "e", 1, idempotency_key=True)
        assert len(set(made_keys(wire))) == 3


def test_no_identity_is_made_unasked():
    """An identity that the caller does not know protects none of its repeats; a counter's repeats after a restart."""
    with wired() as wire:
        wire.client.trigger("c", "e", 1)
        wire.client.trigger_batch([("c", "e", 1)])
        assert "idempotency_key" not in str([sent.json() for sent in wire.sent])
        assert all("X-Idempotency-Key" not in sent.headers for sent in wire.sent)


@pytest.mark.parametrize("text", ["text", '{"a":1}', '"quoted"', ""])
def test_p14_strings_are_encrypted_raw(text):
    """As on plain channels; quoted, subscribers would see another value on encrypted ones."""
    with wired(encryption_master_key_base64=KEY) as wire:
        wire.client.trigger("private-encrypted-c", "e", text)
        wire.client.trigger_batch([("private-encrypted-c", "e", text)])
        wire.client.trigger("c", "e", text)
        single, batch, plain = (sent.json() for sent in wire.sent)
        assert opened(single["data"], "private-encrypted-c").decode() == text
        assert opened(batch["batch"][0]["data"], "private-encrypted-c").decode() == text
        assert plain["data"] == text


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (("c", "x" * 500, 1), "event name: 500 bytes, limit 200"),
        (("c", "e", "x" * 200_000), "data: 200000 bytes, limit 10240"),
        (("c d", "e", 1), "channel: 3 characters"),
        (("c" * 201, "e", 1), "channel: 201 bytes, limit 200"),
    ],
)
def test_p15_limits_are_checked_before_anything_is_sent(bad, complaint):
    """Field, limit and size; in a batch also the index."""
    with wired() as wire:
        with pytest.raises(ValidationError, match=f"^{complaint}"):
            wire.client.trigger(*bad)
        with pytest.raises(ValidationError, match=f"^event 1: {complaint}"):
            wire.client.trigger_batch([("c", "e", 1), bad])
        with pytest.raises(ValidationError, match=r"^socket_id: "):
            wire.client.trigger("c", "e", 1, socket_id="1.1:x")
        assert wire.sent == []


def test_p16_false_is_no_key():
    """There the JSON false is sent, which the server cannot read."""
    with wired() as wire:
        wire.client.trigger("c", "e", 1, idempotency_key=False)
        wire.client.trigger_batch([Event("c", "e", 1, idempotency_key=False)])
        assert "idempotency_key" not in str([sent.json() for sent in wire.sent])


@pytest.mark.parametrize("key", ["", "ü", "a\r\nX-Evil: 1", " a", "a ", "a\n", "x" * 129, b"k", 5])
def test_p16_bad_keys_are_bad_input(key):
    """Not a network error that is tried three times, nor an encoding error from the depths."""
    with wired() as wire:
        with pytest.raises(ValidationError, match=r"^idempotency_key: "):
            wire.client.trigger("c", "e", 1, idempotency_key=key)
        with pytest.raises(ValidationError, match=r"^event 0: idempotency_key: "):
            wire.client.trigger_batch([Event("c", "e", 1, idempotency_key=key)])
        assert wire.sent == []


def test_p17_url_is_decoded_and_takes_options():
    """Credentials, scheme, timeout, key; and the environment."""
    client = Sockudo.from_url("https://k%2B:s%2F@h:1/apps/a%20b", timeout=2, encryption_master_key_base64=KEY, ssl=True)
    assert (client._credentials.key, client._credentials.secret) == ("k+", "s/")
    assert (client._credentials.app_id, client._timeout) == ("a b", 2.0)
    with pytest.raises(ConfigurationError, match="scheme"):
        Sockudo.from_url("ftp://k:s@h/apps/a")
    assert "env" in inspect.signature(Sockudo.from_env).parameters


def test_p18_no_retries_still_send_once():
    """There 0 sends nothing."""
    with wired(retries=0) as wire:
        wire.client.trigger("c", "e", 1)
        assert len(wire.sent) == 1


def test_p19_nan_is_refused_and_bytes_are_taken():
    """NaN is no JSON; bytes are text."""
    with wired() as wire:
        for data in (math.nan, {"x": [math.inf]}):
            with pytest.raises(ValidationError, match="NaN or an infinite number"):
                wire.client.trigger("c", "e", data)
        wire.client.trigger("c", "e", "ü".encode())
        assert wire.only.json()["data"] == "ü"


def test_p20_requests_name_the_library():
    """As the protocol wants it."""
    with wired() as wire:
        wire.client.trigger("c", "e", 1)
        assert wire.only.headers["X-Pusher-Library"].startswith("sockudo-publisher ")


def test_p20_a_shared_client_does_not_change():
    """Host, port and credentials are for good: nothing to lock."""
    client = Sockudo("a", "k", "s")
    assert not [name for name in dir(client) if name.startswith("set_")]
    with pytest.raises(AttributeError):
        client._credentials.host = "elsewhere"


def test_g1_the_callers_batch_is_not_written_into():
    """Published again, the same list would carry the same keys, and be dropped."""
    event = Event("c", "e", 1, idempotency_key=True)
    given = [event, {"channel": "c", "name": "e", "data": 1, "idempotency_key": True}]
    with wired() as wire:
        wire.client.trigger_batch(given)
        wire.client.trigger_batch(given)
        keys = [item["idempotency_key"] for sent in wire.sent for item in sent.json()["batch"]]
        assert len(set(keys)) == 4
    assert given == [event, {"channel": "c", "name": "e", "data": 1, "idempotency_key": True}]


def test_g3_first_use_by_many_threads_at_once():
    """Nothing is made lazily that two could make."""
    with wired(encryption_master_key_base64=KEY) as wire:
        barrier = threading.Barrier(8)

        def work():
            barrier.wait(10)
            wire.client.trigger("private-encrypted-c", "e", 1)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(wire.sent) == 8


def test_g5_key_is_in_header_and_body():
    """Of a single event; a batch has one an item, and no header, which would block the whole."""
    with wired() as wire:
        wire.client.trigger("c", "e", 1, idempotency_key="k 1")
        wire.client.trigger_batch([Event("c", "e", 1, idempotency_key="k 1")])
        single, batch = wire.sent
        assert single.headers["X-Idempotency-Key"] == single.json()["idempotency_key"] == "k 1"
        assert "X-Idempotency-Key" not in batch.headers
        assert batch.json()["batch"][0]["idempotency_key"] == "k 1"


@pytest.mark.parametrize("answer", [1, {"ok": True}, {}, [], None, True, "x"], ids=str)
def test_g7_every_success_is_one(answer):
    """A bare 1 is what the server answers for a key that a batch used first."""
    with wired() as wire:
        wire.answer = lambda _: (200, answer)
        assert wire.client.trigger("c", "e", 1) == {}
        assert wire.client.trigger_batch([("c", "e", 1)]) == {}


@pytest.mark.parametrize("prefix", ["a b", "a+b", "a&b", "a%41", "a=b#?/ü"])
def test_g8_query_values_are_escaped(prefix):
    """Signed as the server reads them: the wire decodes and checks."""
    with wired() as wire:
        wire.client.call("GET", "/channels", query={"filter_by_prefix": prefix})
        assert wire.only.query == {"filter_by_prefix": prefix}


@pytest.mark.parametrize("none", [[], (), {}.keys(), iter(())], ids=["list", "tuple", "keys", "iterator"])
def test_g12_no_channels_are_bad_input(none):
    """The Go SDK panics."""
    with wired() as wire:
        with pytest.raises(ValidationError, match=r"^channels: none, expected 1 to 100"):
            wire.client.trigger_multi(none, "e", 1)
        assert wire.sent == []


def test_g13_the_seeds_own_samples_construct():
    """A port of its own, and text as app id."""
    client = Sockudo("app-id", "app-key", "app-secret", host="127.0.0.1", port=6001)
    assert repr(client) == "Sockudo(app_id='app-id', 'http://127.0.0.1:6001')"
    assert repr(Sockudo.from_url("http://k:s@127.0.0.1:6001/apps/app-id")) == repr(client)


def test_pusher_url_keeps_its_port():
    """There it becomes http://host:6001:80."""
    assert Sockudo.from_url("http://k:s@h:6001/apps/3")._credentials.base_url == "http://h:6001"


def test_pusher_queries_carry_no_digest():
    """The server answers 401 to one with a GET; ``wire`` refuses it too."""
    with wired() as wire:
        wire.client.channels_info("presence-", ["user_count"])
        assert "body_md5" not in wire.only.query
        assert wire.only.query == {"filter_by_prefix": "presence-", "info": "user_count"}


def test_pusher_namespaces_are_names():
    """``:`` and ``#server-to-user-`` are refused by several SDKs; users are sent to."""
    with wired() as wire:
        wire.client.trigger("orders:eu", "e", 1)
        wire.client.send_to_user("1", "e", 1)
        assert [sent.json()["channels"] for sent in wire.sent] == [["orders:eu"], ["#server-to-user-1"]]


def test_pusher_batch_data_is_not_replaced():
    """There a second call encrypts the ciphertext of the first."""
    given = [{"channel": "private-encrypted-c", "name": "e", "data": {"x": 1}}]
    with wired(encryption_master_key_base64=KEY) as wire:
        wire.client.trigger_batch(given)
        wire.client.trigger_batch(given)
        for sent in wire.sent:
            assert opened(sent.json()["batch"][0]["data"], "private-encrypted-c") == b'{"x":1}'


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_pusher_any_2xx_is_success(status):
    """Not 200 and 202 alone."""
    with wired() as wire:
        wire.answer = lambda _: (status, {})
        assert wire.client.trigger("c", "e", 1) == {}


def test_node_batch_is_encrypted_once():
    """There each attempt encrypts the ciphertext of the one before; here not a byte changes."""
    with wired(encryption_master_key_base64=KEY, retries=SOON) as wire:
        failing(wire, (500, {}), (500, {}))
        wire.client.trigger_batch([Event("private-encrypted-c", "e", {"x": 1}, key="m")])
        assert len(wire.sent) == 3
        assert len({sent.body for sent in wire.sent}) == 1
        assert opened(wire.sent[2].json()["batch"][0]["data"], "private-encrypted-c") == b'{"x":1}'


def test_node_made_key_is_one_for_all_attempts():
    """A new one for each attempt deduplicates nothing."""
    with wired(retries=SOON) as wire:
        failing(wire, (500, {}), (500, {}))
        wire.client.trigger("c", "e", 1, idempotency_key=True)
        assert len(wire.sent) == 3
        assert len(set(made_keys(wire))) == 1
        assert len({sent.headers["X-Idempotency-Key"] for sent in wire.sent}) == 1


def test_node_there_is_a_timeout_by_default():
    """Five seconds, and a timeout is retried where the server can tell it."""
    assert Sockudo("a", "k", "s")._timeout == 5.0
    with wired(retries=SOON) as wire:
        failing(wire, requests.exceptions.ReadTimeout())
        wire.client.trigger("c", "e", 1, message_id="m")
        assert len(wire.sent) == 2


def test_php_two_encrypted_channels_do_not_share_a_secret():
    """Together they are refused; in a batch each has its own."""
    channels = ["private-encrypted-a", "private-encrypted-b"]
    with wired(encryption_master_key_base64=KEY) as wire:
        with pytest.raises(ValidationError, match="must be the only one"):
            wire.client.trigger(channels, "e", 1)
        wire.client.trigger_batch([(channel, "e", channel) for channel in channels])
        for item in wire.only.json()["batch"]:
            assert opened(item["data"], item["channel"]).decode() == item["channel"]


def test_php_network_errors_are_retried():
    """There they are wrapped first and never looked at."""
    with wired(retries=SOON) as wire:
        failing(wire, requests.exceptions.ConnectTimeout(), requests.exceptions.ConnectTimeout())
        wire.client.trigger("c", "e", 1)
        assert len(wire.sent) == 3


def test_rust_batches_of_more_than_ten():
    """The server's limit is the app's; there is none of ten."""
    with wired() as wire:
        wire.client.trigger_batch([("c", "e", number) for number in range(1000)])
        assert len(wire.only.json()["batch"]) == 1000


def test_v5_failed_batch_with_keys_is_not_sent_again():
    """The server would skip the event that failed, and answer 200."""
    with wired(retries=SOON) as wire:
        failing(wire, (500, {}))
        with pytest.raises(ServerError) as caught:
            wire.client.trigger_batch([Event("c", "e", n, idempotency_key=f"k{n}") for n in range(3)])
        assert (caught.value.sent, caught.value.doubtful) == (True, range(3))
        assert len(wire.sent) == 1


def test_v13_errors_of_any_shape_are_read():
    """JSON with a code, the limiter's without, plain text of the framework, a proxy's page."""
    limited = "Rate limit exceeded. Please try again later."
    with wired(retries=None) as wire:
        wire.answer = lambda _: (429, {"error": "Too Many Requests", "message": limited})
        with pytest.raises(RateLimited, match=f"Too Many Requests: {limited}") as caught:
            wire.client.trigger("c", "e", 1)
        assert caught.value.code is None
        for answer in ("text", [1], None, {"error": 5, "code": 7}):
            wire.answer = lambda _, answer=answer: (422, answer)
            with pytest.raises(CallError):
                wire.client.trigger("c", "e", 1)


def test_v14_nothing_is_asked_that_the_caller_did_not():
    """``info`` of counts is 400 on a node that serves the API alone."""
    with wired() as wire:
        wire.client.trigger("c", "e", 1)
        wire.client.trigger_batch([("c", "e", 1)])
        assert "info" not in json.dumps([sent.json() for sent in wire.sent])
