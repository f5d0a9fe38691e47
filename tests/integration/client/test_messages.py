"""Versioned messages and annotations on the real server.

It has them only when it is built with ``versioned-messages``. Without, 5.2.0 logs "this binary was built without the
`versioned-messages` Cargo feature; disabling it" and answers 422 to each call, but only after it has checked the
signature, found the endpoint and read query and body into its types: that is what is tested here. What each call sends
is in tests/unit/client.
"""

import pytest

from sockudo_publisher.errors import SockudoHTTPError

pytestmark = pytest.mark.integration

ABOUT = {
    "client_id": "user-1",
    "socket_id": "1.2",
    "description": "a test",
    "op_id": "op-1",
    "extras": {"headers": {"a": 1}, "ephemeral": False},
}
CALLS = {
    "get": lambda c, channel, serial: c.get_message(channel, serial),
    "versions": lambda c, channel, serial: c.get_message_versions(
        channel, serial, limit=5, direction="oldest_first", cursor="v:1"
    ),
    "update": lambda c, channel, serial: c.update_message(
        channel, serial, data={"n": 2}, clear_fields=["name"], **ABOUT
    ),
    "delete": lambda c, channel, serial: c.delete_message(channel, serial, clear_fields=["name", "data"], **ABOUT),
    "bare delete": lambda c, channel, serial: c.delete_message(channel, serial),
    "append": lambda c, channel, serial: c.append_message(channel, serial, "more", **ABOUT),
    "annotate": lambda c, channel, serial: c.publish_annotation(
        channel, serial, "reactions:multiple.v1", name="ok", client_id="user-1", socket_id="1.2", count=2**64 - 1,
        encoding="json",
    ),
    "unannotate": lambda c, channel, serial: c.delete_annotation(channel, serial, 7, socket_id="1.2"),
    "annotations": lambda c, channel, serial: c.list_annotations(
        channel, serial, annotation_type="reactions:total.v1", from_serial=7, limit=5, socket_id="1.2"
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("serial", ["01J:7/ü", 2**64 - 1])
def test_call_reaches_its_endpoint(full, call, serial):
    """Signed and routed: the feature is off, or the message is not there; never 401, nor an unknown path."""
    with pytest.raises(SockudoHTTPError) as caught:
        call(full, "messages", serial)
    assert (caught.value.status, caught.value.code) in {(422, "feature_disabled"), (404, "not_found")}, caught.value
    assert "messages" in caught.value.message


@pytest.mark.parametrize("value", ["text", 5, {"a": 1}])
@pytest.mark.parametrize(
    "call",
    [
        lambda c, value: c.update_message("messages", 7, metadata=value),
        lambda c, value: c.publish_annotation("messages", 7, "reactions:total.v1", data=value),
    ],
    ids=["metadata", "annotation data"],
)
def test_server_reads_no_metadata_and_no_data_of_annotations(full, call, value):
    """5.2.0's JSON reader takes no value for these two fields, whatever it is, as our docstrings state."""
    with pytest.raises(SockudoHTTPError, match="data: invalid type: newtype struct") as caught:
        call(full, value)
    assert (caught.value.status, caught.value.code) == (422, None)


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", "/update", None, b'{"clear_fields":["tags"]}'),
        ("POST", "/annotations", None, b'{"type":"reactions:total.v1","count":-1}'),
        ("GET", "/versions", {"direction": "backwards"}, None),
    ],
)
def test_server_reads_a_call_before_it_says_feature_disabled(full, method, path, query, body):
    """Or the test above would prove nothing: what its types do not hold, it refuses in plain text."""
    answer = full.send(method, f"/channels/messages/messages/7{path}", query=query, body=body)
    assert answer.status in (400, 422)
    assert b"feature_disabled" not in answer.body
