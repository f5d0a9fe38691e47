"""Looking for events in their channels' history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sockudo_publisher.errors import SockudoConnectionError
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.workerapp.history_lookup import CLOCKS_MS, MAX_PAGES, MAX_S, look_up_history

pytestmark = pytest.mark.unit


class Server:
    """A history of ids by channel, newest first, in pages of two."""

    def __init__(self, **channels: list[str]) -> None:
        self.channels = channels
        self.asked: list[tuple[str, str | None]] = []
        self.since: set[int] = set()

    def query(self, path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        assert parameters["direction"] == "newest_first"
        assert parameters["limit"] == "100"
        self.since.add(int(parameters["start_time_ms"]))
        channel = path.removeprefix("/channels/").removesuffix("/history")
        self.asked.append((channel, parameters.get("cursor")))
        if channel not in self.channels:
            return 422, b'{"error":"Durable history is disabled","code":"feature_disabled","status":422}'
        start = int(parameters.get("cursor", 0))
        ids = self.channels[channel]
        more = start + 2 < len(ids)
        page: dict[str, Any] = {"items": [{"message_id": one} for one in ids[start : start + 2]]}
        return 200, json.dumps({**page, "next_cursor": str(start + 2) if more else None}).encode()


def item(channel: str, message_id: str) -> Item:
    return Item(channel, json.dumps({"channel": channel, "name": "n", "data": "x", "message_id": message_id}).encode())


def test_each_item_is_looked_for_in_its_own_channel() -> None:
    """An id is the channel's: another channel's event of that id says nothing. A channel is asked once."""
    server = Server(a=["3", "2", "1"], b=["9", "8"])
    items = [item("a", "1"), item("b", "1"), item("a", "7"), item("b", "9"), item("c", "1")]
    assert look_up_history(items, server.query) == [True, False, False, True, False]
    assert server.asked == [("a", None), ("a", "2"), ("b", None), ("c", None)]


def test_what_was_recorded_long_before_is_another_event() -> None:
    """A key that was used again after it was forgotten: only what came since the first attempt is looked at."""
    server = Server(a=["3", "2", "1"])
    look_up_history([item("a", "1")], server.query, 10_000_000)
    assert server.since == {10_000_000 - CLOCKS_MS}
    look_up_history([item("a", "1")], server.query, 1)
    assert server.since == {10_000_000 - CLOCKS_MS, 0}


def test_pages_end_when_all_is_found() -> None:
    """Newest first: what was just sent is on the first page."""
    server = Server(a=[str(n) for n in range(50)])
    assert look_up_history([item("a", "1")], server.query) == [True]
    assert server.asked == [("a", None)]


def test_pages_are_bounded() -> None:
    """A long history is not read to its end."""
    server = Server(a=[str(n) for n in range(1000)])
    assert look_up_history([item("a", "999")], server.query) == [False]
    assert len(server.asked) == MAX_PAGES


def test_time_is_bounded() -> None:
    """A batch of many channels does not wait for all of them; what was not looked for is not recorded."""
    server, clock = Server(a=["1"], b=["1"], c=["1"]), iter(range(100))
    late = look_up_history([item(one, "1") for one in "abc"], server.query, monotonic=lambda: next(clock) * MAX_S / 3)
    assert late == [True, True, False]


def test_time_is_bounded_within_a_channel_too() -> None:
    """A slow server's long history is left."""
    server, clock = Server(a=[str(n) for n in range(30)]), iter(range(100))
    assert look_up_history([item("a", "29")], server.query, monotonic=lambda: next(clock) * MAX_S / 3) == [False]
    assert len(server.asked) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"items":[1,null]}', b'{"items":null}', b"[" * 10**5])
def test_answers_of_others_are_no_history(body: bytes) -> None:
    """A proxy's page, or nonsense."""
    assert look_up_history([item("a", "1")], lambda path, parameters: (200, body)) == [False]


def test_server_in_trouble_has_no_history() -> None:
    """Unknown: the policy decides."""

    def query(path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        raise SockudoConnectionError("away", sent=False)

    assert look_up_history([item("a", "1")], query) == [False]
    assert look_up_history([item("a", "1")], lambda path, parameters: (500, b"{}")) == [False]
    assert look_up_history([], query) == []


def test_names_of_channels_are_encoded() -> None:
    """They are users' words."""
    asked = []

    def query(path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        asked.append(path)
        return 200, b"{}"

    look_up_history([item("#server-to-user-a/b", "1")], query)
    assert asked == ["/channels/%23server-to-user-a%2Fb/history"]


@pytest.mark.parametrize("channel", [".", "..", "", "\ud800"])
def test_channel_that_no_path_can_name_is_not_looked_for(channel: str) -> None:
    """A dot is a channel to Sockudo. The lookup is unknown, and the other items are looked up."""
    server = Server(a=["1"])
    assert look_up_history([item(channel, "1"), item("a", "1")], server.query) == [False, True]
    assert server.asked == [("a", None)]


@pytest.mark.parametrize("items", [5, "1", {"message_id": "1"}, True, None, [["message_id", "1"], 1]])
def test_page_of_another_shape_says_nothing(items: object) -> None:
    """Whatever the answer is, the lane goes on."""
    page = json.dumps({"items": items, "next_cursor": 7}).encode()
    assert look_up_history([item("a", "1")], lambda path, parameters: (200, page)) == [False]
