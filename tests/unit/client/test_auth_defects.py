"""The defects of other SDKs that concern authentication, each shown not to be here (docs/sdks.md, Defects)."""

import json
from urllib.parse import urlencode

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

CLIENT = Sockudo("1", "key", "secret", encryption_master_key_base64="zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU=")


def test_p11_a_channel_is_not_signed_into_a_sign_in():
    """The official Python SDK gives the signature of user admin for this channel."""
    sign_in = CLIENT.authenticate_user("1.1", {"id": "admin"})
    assert sign_in["user_data"] == '{"id":"admin"}'
    for channel in (':user::{"id":"admin"}', ':user::{"id": "admin"}'):
        with pytest.raises(ValidationError, match=r"^channel: "):
            CLIENT.authenticate(channel, "1.1")


def test_p11_a_channel_is_not_signed_into_a_member():
    """Nor that of member admin of a presence channel for this one."""
    for data in (None, {"user_id": "me"}):
        with pytest.raises(ValidationError, match=r"^channel: "):
            CLIENT.authenticate('presence-x:{"user_id":"admin","user_info":{}}', "1.1", data)


def test_p11_socket_ids_are_checked():
    """A socket id that goes on would be signed for a channel of its own choice."""
    for socket_id in ("1.1:private-other", "1.1::user", "x"):
        with pytest.raises(ValidationError, match=r"^socket_id: "):
            CLIENT.authenticate("private-a", socket_id)


def test_p11_a_user_has_an_id():
    """The server would refuse it, long after."""
    with pytest.raises(ValidationError, match=r"^user_data.id: missing"):
        CLIENT.authenticate_user("1.1", {"name": "x"})


def test_g6_forms_with_an_injected_channel_are_refused():
    """The Go SDK signs them."""
    for channel in (':user::{"id":"admin"}', 'private-:user::{"id":"admin"}'):
        body = urlencode({"channel_name": channel, "socket_id": "1.1"}).encode()
        with pytest.raises(ValidationError, match=r"^channel: "):
            CLIENT.authorize_private_channel(body)
        with pytest.raises(ValidationError, match=r"^channel: "):
            CLIENT.authorize_presence_channel(body, {"user_id": "1"})


def test_pusher_shared_secret_is_text():
    """pusher 3.3 returns bytes there, and json.dumps fails."""
    answer = CLIENT.authenticate("private-encrypted-a", "1.1")
    assert isinstance(answer["shared_secret"], str)
    assert json.loads(json.dumps(answer)) == answer


def test_official_sdk_reversed_order_is_refused():
    """authenticate(socket_id, channel), the official SDK's order, raises here and signs nothing wrong there."""
    with pytest.raises(ValidationError, match=r"^socket_id: "):
        CLIENT.authenticate("1.1", "private-a")


def test_java_shared_secret_is_padded():
    """Without its '=' some decoders refuse it."""
    assert CLIENT.authenticate("private-encrypted-a", "1.1")["shared_secret"].endswith("=")
