"""pusher-js itself, in Node, against the real server: each framework's endpoints let it in, or do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.dev.embedded import SockudoServer
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused
from tests.support.cases import in_depth
from tests.support.docs_recipe import recipe
from tests.support.pusher_js import pusher_js_modules
from tests.support.pusher_page import Page
from tests.support.web_apps import send

from .conftest import FRAMEWORKS, MASTER_KEY, Running

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Where pusher-js is."""
    return pusher_js_modules()


@pytest.fixture
def client(js_server: SockudoServer) -> Iterator[Sockudo]:
    """Of the real server."""
    made = Sockudo.from_url(js_server.url, encryption_master_key_base64=MASTER_KEY)
    yield made
    made.close()


@pytest.fixture
def page(node_modules: Path, js_server: SockudoServer, running: Running, ends: ExitStack) -> Any:
    """`page(*channels)`: a page of Ada's; ends with the test."""

    def visit(*channels: str, **wish: Any) -> Page:
        wish = {"token": "token-of-ada", "key": "js-key", "port": js_server.port, "auth": running.url, **wish}
        return ends.enter_context(Page(node_modules, channels=channels, **wish))

    return visit


def test_pusher_js_joins_what_is_permitted(running: Running, client: Sockudo, page: Any) -> None:
    """Private, presence and encrypted channels; the others are refused with 403; and Ada signs in."""
    channels = ("private-js", "presence-js", "private-encrypted-js", "private-secret", "private-broken.1")
    visited = page(*channels, sign_in=True)
    subscribed = {line["subscribed"]: line["me"] for line in visited.wait_for("subscribed", 3)}
    assert subscribed == {
        "private-js": None,
        "presence-js": {"id": "ada", "info": {"name": "Ada"}},
        "private-encrypted-js": None,
    }
    refused = {line["refused"]: line["error"]["status"] for line in visited.wait_for("refused", 2)}
    assert refused == {"private-secret": 403, "private-broken.1": 403}
    visited.wait_for("signed_in", 1)
    for channel in ("private-js", "presence-js", "private-encrypted-js"):
        client.trigger(channel, "e", {"to": channel})
    client.send_to_user("ada", "to-you", 1)
    assert sorted(visited.events(4), key=str) == sorted(
        [
            ("private-js", "e", {"to": "private-js"}),
            ("presence-js", "e", {"to": "presence-js"}),
            ("private-encrypted-js", "e", {"to": "private-encrypted-js"}),
            (None, "to-you", 1),
        ],
        key=str,
    )


@pytest.mark.parametrize("framework", in_depth(list(FRAMEWORKS), quick=["fastapi"]), indirect=True)
def test_who_loses_the_permission_is_put_out(
    running: Running, client: Sockudo, page: Any, js_server: SockudoServer
) -> None:
    """The recipe of docs/permissions.md: take the right, close the user's connections; the new ones are refused."""
    visited = page("private-js", sign_in=True)
    visited.wait_for("subscribed", 1)
    visited.wait_for("signed_in", 1)
    old = page("private-js", token="token-of-bob", sign_in=True)
    old.wait_for("subscribed", 1)
    old.wait_for("signed_in", 1)
    recipe("remove_from_room")(client, running.world.rooms, "bob", "js")
    assert ("bob", "js") not in running.world.rooms
    old.wait_for("failed", 1)
    client.trigger("private-js", "after", 1)
    assert visited.events(1) == [("private-js", "after", 1)]
    assert [line for line in old.said if "event" in line] == []
    back = page("private-js", token="token-of-bob")
    (refused,) = back.wait_for("refused", 1)
    assert refused["error"]["status"] == 403


def test_an_answer_is_of_no_use_to_another_socket(running: Running, js_server: SockudoServer) -> None:
    """Ada cannot pass her answer on."""
    headers = {"Authorization": "Bearer token-of-ada", "Content-Type": "application/x-www-form-urlencoded"}
    status, answer, _ = send(running.url + "/pusher/auth", b"socket_id=1.2&channel_name=private-js", headers)
    assert status == 200, json.dumps(answer)
    with Subscriber(js_server.ws_url()) as other, pytest.raises(SubscriptionRefused):
        other.subscribe("private-js", auth=answer["auth"])
