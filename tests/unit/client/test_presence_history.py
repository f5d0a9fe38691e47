"""Presence history on the wire."""

import pytest

from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

PATH = "/channels/presence-room/presence/history"


def test_queries_and_orders(wire):
    """Each under its path, with the server's names."""
    client = wire.client
    client.channel_presence_history("presence-room", limit=5, direction="oldest_first", start_serial=2**64 - 1)
    client.channel_presence_snapshot("presence-room")
    client.channel_presence_snapshot("presence-room", at_serial="18446744073709551615", at_time_ms=7)
    client.presence_history_state("presence-room")
    client.reset_presence_history("presence-room", "a test", "me")
    assert [(sent.method, sent.path.removeprefix(PATH), sent.query) for sent in wire.sent] == [
        ("GET", "", {"limit": "5", "direction": "oldest_first", "start_serial": "18446744073709551615"}),
        ("GET", "/snapshot", {}),
        ("GET", "/snapshot", {"at_serial": "18446744073709551615", "at_time_ms": "7"}),
        ("GET", "/state", {}),
        ("POST", "/reset", {}),
    ]
    assert wire.sent[-1].json() == {
        "confirm_channel": "presence-room", "confirm_operation": "reset", "reason": "a test", "requested_by": "me",
    }  # fmt: skip


def test_iterator_repeats_direction_and_bounds(wire):
    """As that of channel history."""
    pages = {None: (["a", "b"], "one"), "one": (["c"], None)}

    def answer(sent):
        items, cursor = pages[sent.query.get("cursor")]
        return {"items": items, "next_cursor": cursor}

    wire.answer = answer
    events = wire.client.iter_channel_presence_history("presence-room", direction="oldest_first", end_time_ms=9)
    assert wire.sent == []
    assert list(events) == ["a", "b", "c"]
    assert [sent.query for sent in wire.sent] == [
        {"direction": "oldest_first", "end_time_ms": "9"},
        {"direction": "oldest_first", "end_time_ms": "9", "cursor": "one"},
    ]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda c: c.channel_presence_history("room"),
            "channel: no presence channel, its name must begin with presence-",
        ),
        (lambda c: c.iter_channel_presence_history("private-room"), "channel: no presence channel"),
        (lambda c: c.channel_presence_snapshot("room"), "channel: no presence channel"),
        (lambda c: c.presence_history_state("room"), "channel: no presence channel"),
        (lambda c: c.reset_presence_history("room", "x"), "channel: no presence channel"),
        (lambda c: c.channel_presence_history("presence-" + "x" * 192), "channel: 201 bytes, limit 200"),
        (lambda c: c.channel_presence_history("presence-room", limit=0), "limit: 0, must be at least 1"),
        (lambda c: c.iter_channel_presence_history("presence-room", direction="up"), "direction: unknown"),
        (lambda c: c.channel_presence_snapshot("presence-room", at_serial=-1), "at_serial: -1, must be at least 0"),
        (lambda c: c.channel_presence_snapshot("presence-room", at_time_ms=1.0), "at_time_ms: a float"),
        (lambda c: c.reset_presence_history("presence-room", ""), "reason: empty"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(wire, call, complaint):
    """Only presence channels have members."""
    with pytest.raises(ValidationError, match=complaint):
        call(wire.client)
    assert wire.sent == []
