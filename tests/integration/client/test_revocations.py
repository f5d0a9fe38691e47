"""Capability tokens, taken back on the real server: connections close, and the token opens none."""

import base64
import hmac
import json
import time
import uuid
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.docs_recipe import recipe

pytestmark = pytest.mark.integration


def token(app, jti, client_id):
    """A JWT as the server's capability_token.rs reads it."""

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    now = int(time.time())
    claims = {
        "x-sockudo-capability": json.dumps({"*": ["subscribe"]}), "x-sockudo-client-id": client_id,
        "iat": now - 5, "exp": now + 600, "jti": jti,
    }  # fmt: skip
    signed = part({"alg": "HS256", "typ": "JWT", "kid": app.key}) + b"." + part(claims)
    signature = hmac.digest(app.secret.encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.fixture
def opens(full_sockudo):
    """`opens(token)`: a V2 connection with that token, and whether the server keeps it."""
    url = full_sockudo.ws_url().replace("protocol=7", "protocol=2")
    with ExitStack() as ends:

        def open_with(text):
            connection = ends.enter_context(connect(f"{url}&token={text}", open_timeout=15, proxy=None))
            first = json.loads(connection.recv(15))
            return connection, first["event"] == "sockudo:connection_established"

        yield open_with


def closed(connection):
    """Until the server closes it: what it said before."""
    events = []
    try:
        while True:
            events.append(json.loads(connection.recv(15)))
    except ConnectionClosed:
        return events


@pytest.mark.parametrize("by", ["jti", "client_id"])
def test_revoked_token_closes_and_opens_nothing(full, full_sockudo, opens, by):
    """By the token's id or by its holder's; another's stays."""
    app = full_sockudo.apps[0]
    ids = {"jti": f"token-{uuid.uuid4()}", "client_id": f"user-{uuid.uuid4()}"}
    revoked, opened = opens(token(app, ids["jti"], ids["client_id"]))
    other, also_opened = opens(token(app, "another-token", "another-user"))
    assert opened
    assert also_opened
    answer = full.revoke_tokens(**{by: ids[by]}, ttl_seconds=60, reason="a test")
    assert answer == {"revoked_jti": by == "jti", "revoked_client_id": by == "client_id", "closed_connections": 1}
    assert any(event["event"] == "sockudo:token_expired" for event in closed(revoked))
    _, opened = opens(token(app, ids["jti"], ids["client_id"]))
    assert not opened
    assert other.ping().wait(15)
    # A repeat is no error, and closes no connection once the server is done with the connection.
    deadline = time.monotonic() + 30
    while full.revoke_tokens(**{by: ids[by]})["closed_connections"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_holder_is_put_out_of_a_room(full, full_sockudo, opens):
    """The recipe of docs/permissions.md: the right is gone, the connection too, and the token opens none."""
    app, holder, members = full_sockudo.apps[0], f"user-{uuid.uuid4()}", {("other", "room")}
    members.add((holder, "room"))
    connection, opened = opens(token(app, "a-token", holder))
    assert opened
    recipe("remove_holder_from_room")(full, members, holder, "room")
    assert members == {("other", "room")}
    assert closed(connection)
    _, opened = opens(token(app, "a-new-token", holder))
    assert not opened
