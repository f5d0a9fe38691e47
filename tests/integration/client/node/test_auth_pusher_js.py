"""pusher-js itself, in Node, against the real server: our endpoint authorizes it, and it reads what we encrypt.

It comes from npm as package-lock.json pins it, once, into the user's cache. Where there is no node or npm, or the
package cannot be had, the tests are skipped and say why; in CI they fail, unless `WITHOUT_NODE` says that it is known.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher import Sockudo, ValidationError
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from tests.support.auth_endpoint import AuthEndpoint
from tests.support.pusher_js import pusher_js_modules
from tests.support.pusher_page import SOON_S, Page

pytestmark = pytest.mark.integration

MASTER_KEY = base64.b64encode(b"01234567890123456789012345678901").decode()
#: The longest text whose envelope has 10,240 bytes at most (docs/sdks.md, F20).
LONGEST = 7619


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The directory that pusher-js is in, installed if it is not there yet."""
    return pusher_js_modules()


@pytest.fixture(scope="module")
def server(sockudo: SockudoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    app = SockudoApp("js", "js-key", "js-secret", policy={"features": {"enable_user_authentication": True}})
    with SockudoServer(tmp_path_factory.mktemp("js"), [app], program=sockudo.program) as own:
        yield own


@pytest.fixture
def client(server: SockudoServer) -> Iterator[Sockudo]:
    made = Sockudo.from_url(server.url, encryption_master_key_base64=MASTER_KEY)
    yield made
    made.close()


@pytest.fixture
def endpoint(client: Sockudo) -> Iterator[AuthEndpoint]:
    with AuthEndpoint(client) as running:
        yield running


@pytest.fixture
def page(node_modules: Path, server: SockudoServer, endpoint: AuthEndpoint) -> Iterator[Any]:
    """`page(*channels)`: a page of Ada's that has asked for them; ends with the test."""
    with ExitStack() as ends:

        def visit(*channels: str, **wish: Any) -> Page:
            wish = {"token": "token-of-ada", "key": "js-key", "port": server.port, "auth": endpoint.url, **wish}
            return ends.enter_context(Page(node_modules, channels=channels, **wish))

        yield visit


def as_page_gets_it(data: Any) -> Any:
    """pusher-js gives a page the value of JSON text, and text that is none as it is."""
    if not isinstance(data, str):
        return data
    try:
        return json.loads(data)
    except ValueError:
        return data


PAYLOADS = [
    'plain "text"\n',
    {"a": [1, None, 1.5, True], "nested": {"<b>": "&"}},
    '{"json":"as text"}',
    "ą§¶™€łü€ß£ 😀 \u2028",
    {"ü": "日本語"},
    ["a", 1],
    12.5,
    "",
    "x" * LONGEST,
    "€" * (LONGEST // 3),
]


def test_encrypted_events_are_read_by_pusher_js(client: Sockudo, page: Any) -> None:
    """Text, JSON, any characters, up to the limit; one by one and as a batch, each channel with its own secret."""
    channels = ["private-encrypted-js", "private-encrypted-js_=@,.;2"]
    visited = page(*channels)
    visited.wait_for("subscribed", 2)
    for index, data in enumerate(PAYLOADS):
        client.trigger(channels[index % 2], f"e{index}", data)
    client.trigger_batch([(channel, "batch", data) for channel in channels for data in PAYLOADS[:3]])
    expected = [(channels[index % 2], f"e{index}", as_page_gets_it(data)) for index, data in enumerate(PAYLOADS)]
    expected += [(channel, "batch", as_page_gets_it(data)) for channel in channels for data in PAYLOADS[:3]]
    seen = visited.events(len(expected))
    for channel in channels:
        assert [event for event in seen if event[0] == channel] == [event for event in expected if event[0] == channel]


def test_one_byte_more_is_refused_before_it_is_sent(client: Sockudo) -> None:
    """10,240 bytes of envelope is the limit, and the longest text above reaches it."""
    with pytest.raises(ValidationError, match=r"data: .* bytes, limit 10240"):
        client.trigger("private-encrypted-js", "e", "x" * (LONGEST + 1))


def test_what_another_key_has_encrypted_is_not_read(
    server: SockudoServer, client: Sockudo, endpoint: AuthEndpoint, page: Any
) -> None:
    """pusher-js asks for the channel's secret again, in case it has changed, and then drops the event."""
    channel = "private-encrypted-other"
    visited = page(channel)
    visited.wait_for("subscribed", 1)
    other_key = base64.b64encode(b"another 32 bytes master key !!!!").decode()
    stranger = Sockudo.from_url(server.url, encryption_master_key_base64=other_key)
    stranger.trigger(channel, "wrong", "secret")
    stranger.close()
    deadline = time.monotonic() + SOON_S
    while endpoint.channels() != [channel] * 2:
        assert time.monotonic() < deadline, endpoint.channels()
        time.sleep(0.02)
    client.trigger(channel, "right", "x")
    assert visited.events(1) == [(channel, "right", "x")]


def test_private_and_presence_channels(client: Sockudo, endpoint: AuthEndpoint, page: Any) -> None:
    """The form that pusher-js posts is the form that is read; the member is the session's."""
    visited = page("private-js", "presence-js", "private-mail-of-bob")
    subscribed = {line["subscribed"]: line["me"] for line in visited.wait_for("subscribed", 2)}
    assert subscribed == {"private-js": None, "presence-js": {"id": "ada", "info": {"name": "Ada"}}}
    (refused,) = visited.wait_for("refused", 1)
    assert (refused["refused"], refused["error"]["status"]) == ("private-mail-of-bob", 403)
    socket_id = visited.wait_for("connected", 1)[0]["connected"]
    form = next(body for path, body in endpoint.forms if b"private-js" in body)
    assert client.authorize_private_channel(form) == client.authenticate("private-js", socket_id)
    form = next(body for path, body in endpoint.forms if b"presence-js" in body)
    member = {"user_id": "ada", "user_info": {"name": "Ada"}}
    assert client.authorize_presence_channel(form, member) == client.authenticate("presence-js", socket_id, member)
    client.trigger(["private-js", "presence-js"], "e", {"a": 1})
    assert sorted(visited.events(2)) == [("presence-js", "e", {"a": 1}), ("private-js", "e", {"a": 1})]


def test_users_sign_in(client: Sockudo, page: Any) -> None:
    """And get what is sent to them."""
    visited = page(sign_in=True)
    assert visited.wait_for("signed_in", 1)[0] == {"signed_in": "ada"}
    client.trigger("#server-to-user-ada", "to-you", {"ü": 1})
    assert visited.events(1) == [(None, "to-you", {"ü": 1})]
