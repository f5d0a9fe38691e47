"""One user: events reach all their connections, orders close them, on the real server."""

import pytest

from tests.support.signed_in import sign_in

pytestmark = pytest.mark.integration


@pytest.fixture
def signed_in(full_sockudo, subscriber):
    """`signed_in(user)`: a connection of that user."""

    def connect(user_id):
        connection = subscriber(full_sockudo)
        sign_in(connection, full_sockudo.apps[0], user_id)
        return connection

    return connect


def test_send_to_user_reaches_each_connection_of_the_user_alone(full, signed_in):
    """Without a subscription; and no other user."""
    phone, laptop, other = signed_in("user-1"), signed_in("user-1"), signed_in("user-2")
    full.send_to_user("user-1", "hello", {"n": 1})
    full.send_to_user("user-2", "hello", "you too")
    assert phone.take(1) == laptop.take(1) == ['{"n":1}']
    assert other.take(1) == ["you too"]
    assert phone.events()[0].channel == "#server-to-user-user-1"


def test_send_to_user_once_per_message_id(full, signed_in):
    """As any publish."""
    connection = signed_in("user-3")
    answers = [full.send_to_user("user-3", "e", "once", message_id="to-user-3") for _ in range(2)]
    assert answers[0] == answers[1] == {"channels": {"#server-to-user-user-3": {"acknowledgement_id": "to-user-3"}}}
    full.send_to_user("user-3", "e", "end")
    assert connection.take(2) == ["once", "end"]


def test_longest_user_id(full, signed_in):
    """184 bytes are what the server's channel names have room for; one more, and it refuses what we would have sent."""
    connection = signed_in("u" * 184)
    full.send_to_user("u" * 184, "e", "x")
    assert connection.take(1) == ["x"]
    raw = full.send("POST", "/events", body=b'{"name":"e","data":"x","channels":["#server-to-user-%s"]}' % (b"u" * 185))
    assert raw.status == 400


def test_terminate_closes_every_connection_of_the_user(full, signed_in):
    """With 4009, which tells clients to stay away; others stay; a repeat finds no connection and succeeds."""
    gone, also_gone, stays = signed_in("user-4"), signed_in("user-4"), signed_in("user-5")
    assert full.terminate_user_connections("user-4") == {}
    for connection in (gone, also_gone):
        connection.wait_closed()
        assert [error["code"] for error in connection.errors()] == [4009]
    stays.ping()
    assert full.terminate_user_connections("user-4") == {}


def test_force_reconnect_closes_with_4200(full, signed_in):
    """Which tells clients to come back at once."""
    connection = signed_in("user-6")
    assert full.force_reconnect_user("user-6") == {}
    connection.wait_closed()
    assert [error["code"] for error in connection.errors()] == [4200]


def test_g10_user_id_of_any_characters(full, signed_in):
    """Escaped once and signed so, where the Go SDK's signature is refused: the server finds the very user."""
    connection = signed_in("a b/ü?#%2F")
    full.terminate_user_connections("a b/ü?#%2F")
    connection.wait_closed()
    assert [error["code"] for error in connection.errors()] == [4009]


@pytest.mark.parametrize("user_id", ["tenant:7", "jane@example.com", "=,.;_-"])
def test_send_to_user_with_every_character_of_a_channel(full, signed_in, user_id):
    """A colon makes no namespace here, as it does in other channels."""
    connection = signed_in(user_id)
    full.send_to_user(user_id, "e", "x")
    assert connection.take(1) == ["x"]
