"""What the client signs is what the real server lets in, and what is changed afterwards it refuses."""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from nacl.secret import SecretBox

from sockudo_publisher import Sockudo
from sockudo_publisher.client.api.authentication import channel_auth
from sockudo_publisher.client.http.signing import Signer
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused

pytestmark = pytest.mark.integration

MASTER_KEY = base64.b64encode(b"01234567890123456789012345678901").decode()
APP = SockudoApp("auth", "auth-key", "auth-secret", policy={"features": {"enable_user_authentication": True}})


@pytest.fixture(scope="module")
def server(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """One with sign-in, which the tests' usual app has not."""
    with SockudoServer(tmp_path_factory.mktemp("auth"), [APP], program=sockudo.program) as own:
        yield own


@pytest.fixture(scope="module")
def client(server: SockudoServer) -> Iterator[Sockudo]:
    made = Sockudo.from_url(server.url, encryption_master_key_base64=MASTER_KEY)
    yield made
    made.close()


@pytest.fixture
def socket(server: SockudoServer) -> Iterator[Subscriber]:
    """A connection that signs nothing by itself."""
    with Subscriber(server.ws_url()) as subscriber:
        yield subscriber


def join(socket: Subscriber, channel: str, answer: Any) -> dict[str, Any]:
    """Subscribe as pusher-js does, with what the auth endpoint gave; the data of the confirmation."""
    refusals = len(socket.errors())
    wanted = {name: answer[name] for name in ("auth", "channel_data") if name in answer}
    socket.send({"event": "pusher:subscribe", "data": {"channel": channel, **wanted}})
    socket.ping()
    if len(socket.errors()) > refusals:
        raise SubscriptionRefused(str(socket.errors()[refusals]))
    for frame in reversed(socket.protocol_frames):
        if frame["event"] == "pusher_internal:subscription_succeeded" and frame["channel"] == channel:
            return json.loads(frame["data"])
    raise AssertionError("neither confirmed nor refused")


def form(channel: str, socket: Subscriber) -> bytes:
    return urlencode({"socket_id": socket.socket_id, "channel_name": channel}).encode()


def test_private_channels(client: Sockudo, socket: Subscriber) -> None:
    """From arguments and from a form, and events come."""
    join(socket, "private-args", client.authenticate("private-args", socket.socket_id))
    join(socket, "private-form_=@,.;", client.authorize_private_channel(form("private-form_=@,.;", socket)))
    client.trigger(["private-args", "private-form_=@,.;"], "e", "x")
    socket.wait_for_count(2)
    assert sorted(event.channel for event in socket.events()) == ["private-args", "private-form_=@,.;"]


def test_a_signature_is_good_for_one_socket_channel_and_app(client: Sockudo, socket: Subscriber) -> None:
    """Anything else is refused."""
    stranger = Sockudo("auth", "auth-key", "another-secret")
    for wrong in (
        client.authenticate("private-b", socket.socket_id),
        client.authenticate("private-a", "1.1"),
        stranger.authenticate("private-a", socket.socket_id),
        Sockudo("auth", "another-key", "auth-secret").authenticate("private-a", socket.socket_id),
        {"auth": "auth-key:" + "0" * 64},
    ):
        with pytest.raises(SubscriptionRefused, match="requires authentication"):
            join(socket, "private-a", wrong)
    join(socket, "private-a", client.authenticate("private-a", socket.socket_id))


@pytest.mark.parametrize(
    "member",
    [
        {"user_id": "1"},
        {"user_id": "ü/#: \"'\n", "user_info": {"näme": ["<b>&", None, 1.5, {"deep": True}]}},
        {"user_id": "x" * 199, "user_info": "text"},
        {"user_id": "1", "user_info": None, "more": 1},
    ],
    ids=["id-alone", "odd-characters", "longest", "more-fields"],
)
def test_presence_channels(client: Sockudo, socket: Subscriber, member: dict[str, Any]) -> None:
    """The server reads the member out of the very text that was signed."""
    args, by_form = (f"presence-{way}-{uuid.uuid4().hex}" for way in ("args", "form"))
    for channel, answer in (
        (args, client.authenticate(args, socket.socket_id, member)),
        (by_form, client.authorize_presence_channel(form(by_form, socket), member)),
    ):
        presence = join(socket, channel, answer)["presence"]
        assert presence["ids"] == [member["user_id"]]
        assert presence["count"] == 1
        assert presence["hash"][member["user_id"]] == member.get("user_info", {})


def test_a_member_cannot_change_who_they_are(client: Sockudo, socket: Subscriber) -> None:
    """The member is signed along."""
    answer = client.authenticate("presence-who", socket.socket_id, {"user_id": "me"})
    forged = {"auth": answer["auth"], "channel_data": '{"user_id":"admin"}'}
    with pytest.raises(SubscriptionRefused, match="requires authentication"):
        join(socket, "presence-who", forged)


@pytest.mark.parametrize("data", ['{"user_id":10}', '{"id":"1"}', '"foo"'])
def test_members_that_the_client_refuses_the_server_refuses(socket: Subscriber, data: str) -> None:
    """Signed all the same: it is not the signature that is wrong."""
    auth = channel_auth(Signer("auth-key", "auth-secret"), socket.socket_id, "presence-odd", data)
    with pytest.raises(SubscriptionRefused, match="Missing user_id"):
        join(socket, "presence-odd", {"auth": auth, "channel_data": data})


def test_data_on_a_private_channel_is_not_sockudo_s(client: Sockudo, socket: Subscriber) -> None:
    """pusher signs it along, and so does the client; the server signs the channel alone, as the docstring says."""
    answer = client.authenticate("private-data", socket.socket_id, {"user_id": "1"})
    with pytest.raises(SubscriptionRefused, match="requires authentication"):
        join(socket, "private-data", answer)


def test_encrypted_channels(client: Sockudo, socket: Subscriber) -> None:
    """The subscriber's shared secret opens what is triggered, and no other channel's does."""
    for channel in ("private-encrypted-one", "private-encrypted-two"):
        join(socket, channel, client.authenticate(channel, socket.socket_id))
    client.trigger("private-encrypted-one", "e", {"geheim": "ü"})
    socket.wait_for_count(1)
    (event,) = socket.events()
    envelope = json.loads(event.data)
    assert "geheim" not in event.data
    nonce, ciphertext = (base64.b64decode(envelope[name]) for name in ("nonce", "ciphertext"))
    secret = client.authorize_private_channel(form("private-encrypted-one", socket))["shared_secret"]
    assert json.loads(SecretBox(base64.b64decode(secret)).decrypt(ciphertext, nonce)) == {"geheim": "ü"}
    assert secret != client.authenticate("private-encrypted-two", socket.socket_id)["shared_secret"]


def signed_in(socket: Subscriber, answer: Any) -> list[dict[str, Any]]:
    """Sign in, and give the users that the server has confirmed."""
    socket.send({"event": "pusher:signin", "data": dict(answer)})
    socket.ping()
    frames = [frame for frame in socket.protocol_frames if frame["event"] == "pusher:signin_success"]
    confirmed = [frame["data"] if isinstance(frame["data"], dict) else json.loads(frame["data"]) for frame in frames]
    return [json.loads(data["user_data"]) for data in confirmed]


@pytest.mark.parametrize("way", ["args", "form"])
def test_users_sign_in_and_get_what_is_sent_to_them(client: Sockudo, socket: Subscriber, way: str) -> None:
    """With everything that was said of them."""
    user = {"id": f"user-{way}", "user_info": {"näme": '"'}, "watchlist": ["other"]}
    if way == "args":
        answer = client.authenticate_user(socket.socket_id, user)
    else:
        answer = client.authenticate_user_form(urlencode({"socket_id": socket.socket_id}), user)
    assert signed_in(socket, answer) == [user]
    assert socket.errors() == []
    client.trigger(f"#server-to-user-user-{way}", "e", "to you")
    socket.wait_for_count(1)
    assert socket.data() == ["to you"]


@pytest.mark.parametrize(
    "forge",
    [
        lambda client, socket_id: {**client.authenticate_user(socket_id, {"id": "me"}), "user_data": '{"id":"admin"}'},
        lambda client, socket_id: client.authenticate_user("1.1", {"id": "admin"}),
        lambda client, socket_id: {**client.authenticate("private-a", socket_id), "user_data": '{"id":"admin"}'},
        lambda client, socket_id: Sockudo("auth", "auth-key", "x").authenticate_user(socket_id, {"id": "admin"}),
    ],
    ids=["other-data", "other-socket", "channel", "other-secret"],
)
def test_sign_in_as_another_user_is_refused(client: Sockudo, socket: Subscriber, forge: Any) -> None:
    """The server may close the connection over it, or answer an error."""
    with contextlib.suppress(SubscriptionRefused):
        assert signed_in(socket, forge(client, socket.socket_id)) == []
    assert not [frame for frame in socket.protocol_frames if frame["event"] == "pusher:signin_success"]
    assert socket.errors() or socket.close_code
