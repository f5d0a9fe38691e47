"""Clients of the embedded server: `pusher`, unmodified; one that is silent; one of a small app."""

from __future__ import annotations

import json

import pusher
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sockudo_publisher.dev.devserver import websockets as devserver_websockets
from sockudo_publisher.dev.devserver.config import AppConfig, ServerConfig, ServerLimits
from sockudo_publisher.dev.embedded import DevServer, SockudoApp
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused

pytestmark = pytest.mark.integration


def test_pusher_publishes_unmodified() -> None:
    """Its queries are signed with a digest of no body, which the real server refuses too."""
    with DevServer([SockudoApp("123", "key", "secret")]) as server:
        address = {"host": server.host, "port": server.port, "ssl": False}
        client = pusher.Pusher(app_id=server.app_id, key=server.key, secret=server.secret, **address)
        with Subscriber(server.ws_url(), "c") as subscriber:
            client.trigger("c", "e", {"a": 1})
            client.trigger_batch([{"channel": "c", "name": "e", "data": "2"}])
            assert subscriber.take(2) == ['{"a": 1}', "2"]


def test_a_silent_client_is_asked_and_then_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a ping after the activity timeout, and an error and a close with 4201 without a pong."""
    monkeypatch.setattr(devserver_websockets, "PONG_TIMEOUT_S", 0.2)
    config = ServerConfig((AppConfig("a", "key", "s"),), activity_timeout_s=1)
    with DevServer(config=config) as server, connect(server.ws_url(), proxy=None) as websocket:
        greeting = json.loads(websocket.recv(timeout=60))
        assert json.loads(greeting["data"])["activity_timeout"] == 1
        websocket.send('{"event":"pusher:subscribe","data":{"channel":"c"}}')
        websocket.recv(timeout=60)
        assert json.loads(websocket.recv(timeout=60)) == {"event": "pusher:ping"}
        error = json.loads(websocket.recv(timeout=60))
        assert (error["event"], error["data"]["code"]) == ("pusher:error", 4201)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4201, "Pong reply not received in time")


def test_an_app_has_no_more_connections_than_allowed() -> None:
    """The next one gets an error and a close with the protocol's code, until one has gone."""
    config = ServerConfig((AppConfig("a", "key", "s", ServerLimits(max_connections=1)),))
    with DevServer(config=config) as server:
        with Subscriber(server.ws_url()), pytest.raises(SubscriptionRefused, match="4004"):
            Subscriber(server.ws_url())
        assert wait_for(lambda: is_greeted(server), 60)


def is_greeted(server: DevServer) -> bool:
    with connect(server.ws_url(), proxy=None) as websocket:
        return "connection_established" in str(websocket.recv(timeout=60))
