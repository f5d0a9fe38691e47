"""Versioned messages on the wire: the server's names, its limits, and no payload in the clear."""

import base64
import hashlib
import json

import pytest
from nacl.secret import SecretBox

from sockudo_publisher.errors import ValidationError
from tests.support.wire import wired

pytestmark = pytest.mark.unit

PATH = "/channels/orders/messages/01J%3A7"
SERIAL = "01J:7"
KEY = base64.b64encode(b"0" * 32).decode()


def test_queries(wire):
    """One message, and a page of its versions; an integer serial as its digits."""
    client = wire.client
    client.get_message("orders", SERIAL)
    client.get_message("orders", 2**64 - 1)
    client.get_message_versions("orders", SERIAL)
    client.get_message_versions("orders", SERIAL, limit=5, direction="oldest_first", cursor="v:1")
    assert [(sent.method, sent.path, sent.query) for sent in wire.sent] == [
        ("GET", PATH, {}),
        ("GET", "/channels/orders/messages/18446744073709551615", {}),
        ("GET", f"{PATH}/versions", {}),
        ("GET", f"{PATH}/versions", {"limit": "5", "direction": "oldest_first", "cursor": "v:1"}),
    ]


def test_update_sends_what_is_given(wire):
    """Data as text, as with a publish; the rest under the server's names."""
    wire.client.update_message("orders", SERIAL, data={"a": 1})
    wire.client.update_message(
        "orders", SERIAL, data="text", name="renamed", extras={"headers": {"a": 1}}, client_id="c", socket_id="1.2",
        description="why", metadata={"n": 2**53 + 1}, op_id="op-1",
    )  # fmt: skip
    wire.client.update_message("orders", SERIAL, clear_fields=["data", "extras"])
    assert {(sent.method, sent.path) for sent in wire.sent} == {("POST", f"{PATH}/update")}
    assert [sent.json() for sent in wire.sent] == [
        {"data": '{"a":1}'},
        {
            "data": "text", "name": "renamed", "extras": {"headers": {"a": 1}}, "client_id": "c", "socket_id": "1.2",
            "description": "why", "metadata": {"n": 9007199254740993}, "op_id": "op-1",
        },
        {"clear_fields": ["data", "extras"]},
    ]  # fmt: skip


def test_delete_and_append(wire):
    """A deletion may be bare."""
    wire.client.delete_message("orders", SERIAL)
    wire.client.delete_message("orders", SERIAL, clear_fields=["data"], description="spam")
    wire.client.append_message("orders", SERIAL, "more", op_id="op-2")
    assert [(sent.path.removeprefix(PATH), sent.json()) for sent in wire.sent] == [
        ("/delete", {}),
        ("/delete", {"clear_fields": ["data"], "description": "spam"}),
        ("/append", {"data": "more", "op_id": "op-2"}),
    ]


def test_serials_of_answers_stay_whole(wire):
    """The vector of the Go SDK's response_parsing_test."""
    wire.answer = lambda _: {"history_serial": 9007199254740993, "delivery_serial": 9007199254740994}
    answer = wire.client.update_message("orders", SERIAL, data="x")
    assert (answer["history_serial"], answer["delivery_serial"]) == (9007199254740993, 9007199254740994)


def test_data_of_an_encrypted_channel_is_encrypted():
    """An update must not say in the clear what the publish kept secret."""
    channel = "private-encrypted-r"
    with wired(encryption_master_key_base64=KEY) as wire:
        wire.client.update_message(channel, SERIAL, data="hush")
        wire.client.delete_message(channel, SERIAL, data="hush")
        for sent in wire.sent:
            envelope = json.loads(sent.json()["data"])
            box = SecretBox(hashlib.sha256(channel.encode() + base64.b64decode(KEY)).digest())
            opened = box.decrypt(base64.b64decode(envelope["ciphertext"]), base64.b64decode(envelope["nonce"]))
            assert opened == b"hush"
        with pytest.raises(ValidationError, match="channel: encrypted, and no subscriber could read"):
            wire.client.append_message(channel, SERIAL, "hush")
        assert len(wire.sent) == 2


BAD = {
    "serial empty": (lambda c: c.get_message("orders", ""), "message_serial: empty, limit 128 bytes"),
    "serial long": (lambda c: c.get_message("orders", "x" * 129), "message_serial: 129 bytes, limit 128"),
    "serial space": (lambda c: c.get_message("orders", "a b"), "message_serial: 3 characters, some of them space"),
    "serial dots": (lambda c: c.get_message("orders", ".."), "message_serial: a dot segment"),
    "serial negative": (lambda c: c.delete_message("orders", -1), "message_serial: -1, must be at least 0"),
    "serial 65 bits": (lambda c: c.append_message("orders", 2**64, "x"), "message_serial: 65 bits"),
    "serial float": (lambda c: c.update_message("orders", 1e15, data="x"), "message_serial: a float"),
    "channel": (lambda c: c.get_message("a b", SERIAL), "channel: 3 characters"),
    "channel dots": (lambda c: c.get_message_versions(".", SERIAL), "channel: a dot segment"),
    "limit": (lambda c: c.get_message_versions("orders", SERIAL, limit=0), "limit: 0, must be at least 1"),
    "direction": (lambda c: c.get_message_versions("orders", SERIAL, direction="backwards"), "direction: unknown"),
    "cursor": (lambda c: c.get_message_versions("orders", SERIAL, cursor=""), "cursor: empty"),
    "nothing": (lambda c: c.update_message("orders", SERIAL), "update: nothing to change"),
    "only a socket": (lambda c: c.update_message("orders", SERIAL, socket_id="1.2"), "update: nothing to change"),
    "data long": (lambda c: c.update_message("orders", SERIAL, data="x" * 10_241), "data: 10241 bytes, limit 10240"),
    "name long": (lambda c: c.update_message("orders", SERIAL, name="x" * 201), "event name: 201 bytes, limit 200"),
    "extras": (lambda c: c.update_message("orders", SERIAL, extras=[1]), "extras: a list, expected a mapping"),
    "clear": (lambda c: c.delete_message("orders", SERIAL, clear_fields=["tags"]), "clear_fields: unknown"),
    "clear twice": (lambda c: c.delete_message("orders", SERIAL, clear_fields=["data"] * 2), "clear_fields: 2 names"),
    "both": (lambda c: c.update_message("orders", SERIAL, data="x", clear_fields=["data"]), "data: both replaced"),
    "socket": (lambda c: c.delete_message("orders", SERIAL, socket_id="1"), "socket_id: 1 characters"),
    "client": (lambda c: c.delete_message("orders", SERIAL, client_id=""), "client_id: empty"),
    "op": (lambda c: c.delete_message("orders", SERIAL, op_id="x" * 65), "op_id: 65 bytes, limit 64"),
    "why": (
        lambda c: c.delete_message("orders", SERIAL, description="x" * 1025),
        "description: 1025 bytes, limit 1024",
    ),
    "metadata": (lambda c: c.delete_message("orders", SERIAL, metadata=object()), "metadata: not JSON"),
    "append nothing": (lambda c: c.append_message("orders", SERIAL, ""), "data: empty, expected text"),
    "append object": (lambda c: c.append_message("orders", SERIAL, {"a": 1}), "data: a dict, expected text"),
}


@pytest.mark.parametrize(("call", "complaint"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_before_anything_is_sent(wire, call, complaint):
    """Field, size, limit; and no request."""
    with pytest.raises(ValidationError, match=complaint):
        call(wire.client)
    assert wire.sent == []
