"""Versioned messages and annotations on the real server.

It has them only when it is built with ``versioned-messages``. Without, 5.2.0 logs "this binary was built without the
`versioned-messages` Cargo feature; disabling it" and answers 422 to each call, after its signature and path were
checked: that is what is tested here. What each call sends is in tests/unit/client/test_messages.py.
"""

import pytest

from sockudo_publisher.errors import SockudoHTTPError

pytestmark = pytest.mark.integration

CALLS = {
    "get": lambda c, channel, serial: c.get_message(channel, serial),
    "versions": lambda c, channel, serial: c.get_message_versions(channel, serial, limit=5, direction="oldest_first"),
    "update": lambda c, channel, serial: c.update_message(channel, serial, data={"n": 2}, op_id="op"),
    "delete": lambda c, channel, serial: c.delete_message(channel, serial, description="a test"),
    "append": lambda c, channel, serial: c.append_message(channel, serial, "more", op_id="op"),
    "annotate": lambda c, channel, serial: c.publish_annotation(channel, serial, "reactions:total.v1", count=2),
    "unannotate": lambda c, channel, serial: c.delete_annotation(channel, serial, 7),
    "annotations": lambda c, channel, serial: c.list_annotations(channel, serial, annotation_type="reactions:total.v1"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("serial", ["01J:7/ü", 2**64 - 1])
def test_call_reaches_its_endpoint(full, call, serial):
    """Signed and routed: the feature is off, or the message is not there; never 401, nor a path nobody knows."""
    with pytest.raises(SockudoHTTPError) as caught:
        call(full, "messages", serial)
    assert (caught.value.status, caught.value.code) in {(422, "feature_disabled"), (404, "not_found")}, caught.value
    assert "messages" in caught.value.message
