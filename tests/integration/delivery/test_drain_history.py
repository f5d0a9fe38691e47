"""The loop that looks uncertain events up in the history of their channels."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.pack import Item
from tests.integration.delivery.edge import Edge, die, forgets, left_unknown
from tests.integration.delivery.world import SOON_MS, Died, DrainWorld
from tests.unit.delivery.model import AnswerLost

pytestmark = pytest.mark.integration


def test_uncertain_events_in_history_are_settled_and_counted(world: DrainWorld, edge: Edge) -> None:
    """Runs of recorded ones leave, the others are sent again, in order; each item is looked up once."""
    ids = left_unknown(edge, 10)
    edge.history = {ids[n] for n in (0, 1, 2, 5, 9)}
    forgets(world)
    edge.drain()
    assert edge.sent() == [ids, ids[3:5], ids[6:9]]
    assert edge.looked == [ids]
    assert world.counts() == {"settled": 5, "resent_after_window": 5, "settled_by_history": 5}
    assert world.depth() == 0
    assert world.marker() is None


def test_park_policy_parks_only_what_history_does_not_have(world: DrainWorld, edge: Edge) -> None:
    """Recorded is accepted."""
    ids = left_unknown(edge, 6)
    edge.history = {ids[n] for n in (1, 2, 5)}
    world.policy = Policy(on_uncertain="park")
    world.pass_time(200)
    edge.drain()
    assert edge.sent() == [ids]
    assert edge.looked == [ids]
    assert world.counts() == {"parked_uncertain": 3, "settled_by_history": 3}
    assert [json.loads(one["item"])["message_id"] for one in world.letters()] == [ids[n] for n in (0, 3, 4)]


def test_history_is_looked_at_again_after_an_attempt(world: DrainWorld, edge: Edge) -> None:
    """What it did not have before may have been recorded by that attempt."""
    ids = left_unknown(edge, 3)
    forgets(world)
    world.server.faults = [AnswerLost()]
    calls = 0

    def recorded_by_the_resend(items: Sequence[Item], since_ms: int) -> list[bool]:
        nonlocal calls
        calls += 1
        return [calls > 1] * len(items)

    edge.find = recorded_by_the_resend  # type: ignore[method-assign]
    edge.drain()
    assert edge.sent() == [ids, ids]
    assert world.counts() == {"settled_by_history": 3, "resent_after_window": 3}, "that attempt may have repeated them"


def test_search_that_history_ends_leaves_the_next_batch_whole(world: DrainWorld, edge: Edge) -> None:
    """Half of it is asked for after a refusal; then history has the rest, culprit and all."""
    ids = left_unknown(edge, 8)
    fresh = world.append(world.channel(), 10)
    forgets(world)
    world.server.forget()
    world.server.poison = {ids[7]}

    def recorded_after_the_first_half(items: Sequence[Item], since_ms: int) -> list[bool]:
        return [len(edge.sent()) == 3] * len(items)

    edge.find = recorded_after_the_first_half  # type: ignore[method-assign]
    edge.drain()
    assert edge.sent() == [ids, ids, ids[:4], fresh]
    copies = 7 + 4  # those before the culprit in the refused batch, and the half that was accepted
    assert world.counts() == {"settled": 14, "resent_after_window": copies, "searched": 1, "settled_by_history": 4}


def test_event_in_history_is_settled_though_it_has_expired(world: DrainWorld, edge: Edge) -> None:
    """It was accepted in time; one that was not found is counted as expired."""
    channel = world.channel()
    expires_ms = world.journal.now_ms() + SOON_MS
    ids = world.append(channel, 2, expires_ms=expires_ms)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    forgets(world)
    edge.history = {ids[0]}
    world.wait_until_past(expires_ms)
    edge.drain()
    assert world.counts() == {"settled_by_history": 1, "expired_uncertain": 1}


def test_history_is_not_looked_at_while_the_server_remembers(world: DrainWorld, edge: Edge) -> None:
    """A resend is free then, and proves more."""
    left_unknown(edge, 3)
    edge.drain()
    assert edge.looked == []
    world.check()


def test_history_is_asked_about_each_event_once(world: DrainWorld, edge: Edge) -> None:
    """Every second one is recorded: the answer about the others holds while those before them are sent."""
    ids = left_unknown(edge, 10)
    forgets(world)
    edge.history = set(ids[::2])
    edge.drain()
    assert [one for looked in edge.looked for one in looked] == ids
    assert world.counts() == {"settled": 5, "resent_after_window": 5, "settled_by_history": 5}
