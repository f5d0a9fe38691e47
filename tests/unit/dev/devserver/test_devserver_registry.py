"""Subscriptions: against a set of pairs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.dev.devserver.registry import SocketRegistry

pytestmark = pytest.mark.unit


class Listener:
    """A socket that is given nothing here."""

    def __init__(self, socket_id: str) -> None:
        self.socket_id = socket_id

    def put(self, frame: str) -> None:
        raise AssertionError("the registry sends nothing by itself")


STEPS = st.tuples(
    st.sampled_from(["subscribe", "unsubscribe", "remove"]), st.integers(0, 2), st.sampled_from(["a", "b", "c"])
)


@given(st.lists(STEPS, max_size=40))
def test_it_does_what_a_set_of_pairs_does(steps):
    """Any sequence over three sockets and three channels; nothing is left of what is gone."""
    registry = SocketRegistry()
    listeners = [Listener(str(number)) for number in range(3)]
    pairs: set[tuple[int, str]] = set()
    for what, number, channel in steps:
        if what == "subscribe":
            registry.subscribe(listeners[number], channel)
            pairs.add((number, channel))
        elif what == "unsubscribe":
            registry.unsubscribe(listeners[number], channel)
            pairs.discard((number, channel))
        else:
            registry.remove(listeners[number])
            pairs = {pair for pair in pairs if pair[0] != number}
    for channel in ("a", "b", "c"):
        members = {number for number, one in pairs if one == channel}
        assert {int(socket.socket_id) for socket in registry.audience(channel)} == members
        assert registry.count(channel) == len(members)
        assert {int(socket.socket_id) for socket in registry.audience(channel, excluding="1")} == members - {1}
    for listener in listeners:
        registry.remove(listener)
    assert not registry._channels
    assert not registry._sockets
