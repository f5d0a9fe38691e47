"""Private cache channels: Sockudo 5.2.0 admits any subscriber; a process warns once (docs/server.md, 7)."""

from __future__ import annotations

import base64
import logging

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.client.wire import stock_server
from sockudo_publisher.client.wire.encoding import _item_head

pytestmark = pytest.mark.unit

CLIENT = Sockudo("1", "k", "s", encryption_master_key_base64=base64.b64encode(bytes(32)).decode())


def publish(channel: str) -> bytes:
    return CLIENT.encoder.item(channel, "e", "x", message_id="1")


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The warnings of a process that has not warned of anything yet."""
    monkeypatch.setattr(stock_server, "_warned", {})
    _item_head.cache_clear()
    caplog.set_level(logging.WARNING, "sockudo_publisher.client")
    return caplog


def test_private_cache_channels_are_warned_of_once(warned: pytest.LogCaptureFixture) -> None:
    """Each class, published to or authorized; the server may check signatures, so nothing is refused."""
    ways = [
        publish,
        lambda channel: CLIENT.encoder.event([channel], "e", "x", message_id="1"),
        lambda channel: CLIENT.authenticate(channel, "1.2"),
        lambda channel: CLIENT.authorize_private_channel(f"socket_id=1.2&channel_name={channel}".encode()),
    ]
    for way in ways:
        stock_server._warned.clear()
        _item_head.cache_clear()
        warned.clear()
        for number in range(3):
            way(f"private-cache-{number}")
            way(f"private-encrypted-cache-{number}")
        texts = [record.getMessage() for record in warned.records]
        assert [text.rpartition(" ")[2] for text in texts] == [
            "channels=private-cache-*",
            "channels=private-encrypted-cache-*",
        ]
        assert all("docs/server.md, 7" in text and "-0" not in text for text in texts)
        assert [("gets the events" in text, "encrypted events" in text) for text in texts] == [
            (True, False),
            (False, True),
        ]


@pytest.mark.parametrize(
    "channel",
    ["cache-a", "private-a", "private-cached", "presence-cache-a", "private-encrypted-a", "my-private-cache-a"],
)
def test_other_channels_are_not_warned_of(warned: pytest.LogCaptureFixture, channel: str) -> None:
    publish(channel)
    assert warned.records == []
