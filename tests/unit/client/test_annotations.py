"""Annotations on the wire: the server's camelCase, and DELETE signed without a digest."""

import pytest

from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

PATH = "/channels/orders/messages/7/annotations"


def test_publish(wire):
    """Names in camelCase, as the server reads them; what is not given is not sent."""
    wire.answer = lambda _: {"annotationSerial": "a:1"}
    assert wire.client.publish_annotation("orders", 7, "reactions:total.v1") == {"annotationSerial": "a:1"}
    wire.client.publish_annotation(
        "orders", "7", "reactions:distinct.v1", name="👍", client_id="user-1", socket_id="1.2", count=2**53 + 1,
        data={"a": [1]}, encoding="json",
    )  # fmt: skip
    assert [(sent.method, sent.path) for sent in wire.sent] == [("POST", PATH)] * 2
    assert [sent.json() for sent in wire.sent] == [
        {"type": "reactions:total.v1"},
        {
            "type": "reactions:distinct.v1", "name": "👍", "clientId": "user-1", "socketId": "1.2",
            "count": 9007199254740993, "data": {"a": [1]}, "encoding": "json",
        },
    ]  # fmt: skip


def test_delete(wire):
    """A DELETE, which like GET carries no body and no digest of one; its parameter is signed."""
    wire.client.delete_annotation("orders", 7, "a:1/ü")
    wire.client.delete_annotation("orders", 7, 2**64 - 1, socket_id="1.2")
    assert [(sent.method, sent.path, sent.query) for sent in wire.sent] == [
        ("DELETE", f"{PATH}/a%3A1%2F%C3%BC", {}),
        ("DELETE", f"{PATH}/18446744073709551615", {"socket_id": "1.2"}),
    ]


def test_list(wire):
    """Parameters in the server's snake_case, ``type`` under its short name."""
    wire.client.list_annotations("orders", 7)
    wire.client.list_annotations(
        "orders", 7, annotation_type="reactions:total.v1", from_serial="a:1", limit=5, socket_id="1.2"
    )
    query = {"type": "reactions:total.v1", "from_serial": "a:1", "limit": "5", "socket_id": "1.2"}
    assert [(sent.method, sent.path, sent.query) for sent in wire.sent] == [("GET", PATH, {}), ("GET", PATH, query)]


TOTAL = "reactions:total.v1"
BAD = {
    "type": (lambda c: c.publish_annotation("orders", 7, "total"), "annotation_type: 5 characters, expected namespace"),
    "type space": (lambda c: c.publish_annotation("orders", 7, "a b:total.v1"), "annotation_type: 12 characters"),
    "type newline": (lambda c: c.publish_annotation("orders", 7, TOTAL + "\n"), "annotation_type: 19 characters"),
    "type long": (lambda c: c.publish_annotation("orders", 7, "x" * 257), "annotation_type: 257 bytes, limit 256"),
    "type none": (lambda c: c.publish_annotation("orders", 7, None), "annotation_type: a NoneType"),
    "serial": (lambda c: c.publish_annotation("orders", "", TOTAL), "message_serial: empty"),
    "name": (lambda c: c.publish_annotation("orders", 7, TOTAL, name=""), "name: empty"),
    "client": (lambda c: c.publish_annotation("orders", 7, TOTAL, client_id="x" * 201), "client_id: 201 bytes"),
    "socket": (lambda c: c.publish_annotation("orders", 7, TOTAL, socket_id="x"), "socket_id: 1 characters"),
    "count": (lambda c: c.publish_annotation("orders", 7, TOTAL, count=0), "count: 0, must be at least 1"),
    "data": (lambda c: c.publish_annotation("orders", 7, TOTAL, data={1, 2}), "data: not JSON, Object of type set"),
    "data long": (lambda c: c.publish_annotation("orders", 7, TOTAL, data="x" * 65_536), "data: 65538 bytes, limit"),
    "channel": (lambda c: c.publish_annotation("..", 7, TOTAL), "channel: a dot segment"),
    "delete": (lambda c: c.delete_annotation("orders", 7, ".."), "annotation_serial: a dot segment"),
    "delete long": (lambda c: c.delete_annotation("orders", 7, "x" * 129), "annotation_serial: 129 bytes, limit 128"),
    "delete socket": (lambda c: c.delete_annotation("orders", 7, 1, socket_id=""), "socket_id: 0 characters"),
    "list limit": (lambda c: c.list_annotations("orders", 7, limit=0), "limit: 0"),
    "list from": (lambda c: c.list_annotations("orders", 7, from_serial="a b"), "from_serial: 3 characters"),
}


@pytest.mark.parametrize(("call", "complaint"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_before_anything_is_sent(wire, call, complaint):
    """Field, size, limit; and no request."""
    with pytest.raises(ValidationError, match=complaint):
        call(wire.client)
    assert wire.sent == []
