"""The thread that renews leases, and the right to probe of their holders, also during their requests."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal import lease as lease_module
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.lease import TTL_MS
from sockudo_publisher.journal.redis.link import Command
from tests.integration.journal.one_lane import OneLane

pytestmark = pytest.mark.integration

#: ms that a right has left before the keeper extends it.
SHORT_MS = TTL_MS // 2


def test_keeper_survives_an_unexpected_error(make_lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that ended in silence would let the leases of long requests run out."""
    monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0.02)
    lane = make_lane()
    keeper, rounds = lane.journal._keeper, []
    renew = keeper._renew

    def renew_from_the_second_on(leases) -> None:
        rounds.append(len(leases))
        if len(rounds) == 1:
            raise ValueError("a surprise")
        renew(leases)

    monkeypatch.setattr(keeper, "_renew", renew_from_the_second_on)
    holder = lane.acquire()
    lane.client.pexpire(f"{lane.base}:lease", 1000)
    assert wait_for(lambda: len(rounds) >= 3, 10)
    assert lane.client.pttl(f"{lane.base}:lease") > 1000
    lane.journal.release(holder)


@pytest.mark.parametrize("becomes", ["given back", "another's", "run out", "taken again", "of another type"])
def test_keeper_takes_no_right_to_probe(lane: OneLane, monkeypatch: pytest.MonkeyPatch, becomes: str) -> None:
    """The holder gives it back while the keeper is on its way: taken anew, it would be kept from all for 6 s."""
    monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 60.0)  # its own thread stays away
    keeper, shared, client = lane.journal._keeper, lane.journal.shared, lane.client
    probe = AppKeys.of(lane.app).probe
    holder = lane.acquire()
    token = holder.lease.token
    holder.lease.is_probing = shared.try_probe(token)
    client.pexpire(probe, SHORT_MS)
    keeper._renew((holder.lease,))
    assert client.pttl(probe) > SHORT_MS, "it lasts as long as the lease"

    def change() -> None:
        holder.lease.is_probing = False
        shared.end_probe(token)
        match becomes:
            case "another's":
                assert shared.try_probe("another")
            case "run out":
                holder.lease.is_probing = True
            case "taken again":
                holder.lease.is_probing = shared.try_probe(token)
            case "of another type":
                client.rpush(probe, "x")

    run = keeper._link.run

    def run_after_a_change(commands: list[Command]) -> list[Any]:
        monkeypatch.undo()
        change()
        return run(commands)

    monkeypatch.setattr(keeper._link, "run", run_after_a_change)
    keeper._renew((holder.lease,))
    assert not holder.lease.lost
    assert holder.lease.is_probing is (becomes in {"run out", "taken again"}), "the holder alone says it"
    expected = {"another's": b"another", "taken again": token.encode()}.get(becomes)
    if becomes == "of another type":
        assert client.lrange(probe, 0, -1) == [b"x"]
    else:
        assert client.get(probe) == expected
    lane.journal.release(holder)
