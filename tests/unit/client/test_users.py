"""Orders about one user, on the wire."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.errors import ValidationError
from tests.support.wire import wired

pytestmark = pytest.mark.unit

ORDERS = {"terminate_user_connections": "terminate_connections", "force_reconnect_user": "force_reconnect"}


@pytest.mark.parametrize(("call", "order"), ORDERS.items())
def test_pusher_terminate_goes_under_the_app(wire, call, order):
    """pusher posts to /users beside the app, and Sockudo answers 404. An object as body, as the Go SDK sends."""
    wire.answer = lambda _: {"ok": True}
    assert getattr(wire.client, call)("user-123") == {}
    assert (wire.only.method, wire.only.path, wire.only.body) == ("POST", f"/users/user-123/{order}", b"{}")


@pytest.mark.parametrize(("call", "order"), ORDERS.items())
def test_g10_user_id_is_signed_as_it_is_sent(wire, call, order):
    """The Go SDK sends ``a b/ü`` escaped and signs it unescaped. The wire checks the signature over the sent path."""
    getattr(wire.client, call)("a b/ü")
    assert wire.only.path == f"/users/a%20b%2F%C3%BC/{order}"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=50).filter(lambda text: text not in (".", "..")))
def test_any_user_id_is_one_segment(user_id):
    """Whatever it holds, it stays between its two slashes, and the server reads it back whole."""
    with wired() as wire:
        wire.client.terminate_user_connections(user_id)
    users, escaped, order = wire.only.path.removeprefix("/").split("/")
    assert (users, unquote(escaped), order) == ("users", user_id, "terminate_connections")


def test_g12_user_id_of_200_bytes(wire):
    """The Go SDK stops at 199."""
    wire.client.terminate_user_connections("x" * 200)
    assert wire.only.path == f"/users/{'x' * 200}/terminate_connections"


@pytest.mark.parametrize("call", ORDERS)
@pytest.mark.parametrize(
    ("user_id", "complaint"),
    [
        ("", "user_id: empty, limit 200 bytes"),
        ("x" * 201, "user_id: 201 bytes, limit 200"),
        (".", "user_id: a dot segment"),
        ("..", "user_id: a dot segment"),
        (123, "user_id: a int, expected a str"),
    ],
)
def test_bad_user_id_is_refused_before_anything_is_sent(wire, call, user_id, complaint):
    """No order without a user, and none that reaches another endpoint."""
    with pytest.raises(ValidationError, match=complaint):
        getattr(wire.client, call)(user_id)
    assert wire.sent == []


def test_send_to_user_publishes_on_the_users_channel(wire):
    """A trigger with all that a trigger takes but a socket to leave out."""
    wire.client.send_to_user("123456", "e", {"a": 1}, message_id="m", tags={"k": "v"}, extras={"echo": False})
    assert wire.only.path == "/events"
    assert wire.only.json() == {
        "name": "e", "data": '{"a":1}', "channels": ["#server-to-user-123456"],
        "tags": {"k": "v"}, "extras": {"echo": False}, "message_id": "m",
    }  # fmt: skip
    wire.client.send_to_user("123456", "e", "x", idempotency_key="order-789")
    assert wire.sent[1].headers["X-Idempotency-Key"] == wire.sent[1].json()["idempotency_key"] == "order-789"


def test_send_to_user_has_room_for_184_bytes(wire):
    """What a channel name of 200 leaves."""
    wire.client.send_to_user("x" * 184, "e", "x")
    assert len(wire.only.json()["channels"][0]) == 200


@pytest.mark.parametrize(
    ("user_id", "complaint"),
    [
        ("", "user_id: empty, limit 184 bytes"),
        ("x" * 185, "user_id: 185 bytes, limit 184"),
        ("a b", "user_id: some characters are not allowed in a channel name"),
        ("#server-to-user-1", "user_id: some characters are not allowed in a channel name"),
        ("1\n", "user_id: some characters are not allowed in a channel name"),
        (7, "user_id: a int, expected a str"),
    ],
)
def test_bad_user_id_of_send_to_user(wire, user_id, complaint):
    """Named as the user, not as the channel that was made of it."""
    with pytest.raises(ValidationError, match=complaint):
        wire.client.send_to_user(user_id, "e", "x")
    assert wire.sent == []


def test_bad_event_of_send_to_user_keeps_its_own_complaint(wire):
    """As of any trigger."""
    with pytest.raises(ValidationError, match="event name: 201 bytes, limit 200"):
        wire.client.send_to_user("1", "x" * 201, "x")
    with pytest.raises(ValidationError, match="data: 10241 bytes, limit 10240"):
        wire.client.send_to_user("1", "e", "x" * 10_241)
    assert wire.sent == []
