"""A worker frozen with a batch in hand wakes when its successor has delivered it and the server has forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockudo_publisher import publish_many
from sockudo_publisher.dev.embedded import WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from tests.acceptance.conftest import MakeProxied
from tests.support.oracle import compare, numbers
from tests.support.proxy import Gate, Pass

pytestmark = pytest.mark.acceptance

#: Events before the freeze, and of the lane's traffic when the zombie wakes; a batch, so that some are left of them.
BEFORE, AFTER, BATCH = 1000, 100, 200
CHANNELS = 8


def is_frozen(worker: WorkerProcess) -> bool:
    """Whether SIGSTOP has come to its main process (with threads its only one)."""
    return Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("point", [pytest.param("taken", marks=pytest.mark.long), "posted"])
def test_frozen_worker_sends_and_settles_nothing_when_it_wakes(make_proxied: MakeProxied, point: str) -> None:
    """Frozen before its request it does not send it any more; frozen with the answer it settles nothing.

    A request of it would be seen: the server was restarted, and remembers no id.
    """
    proxied = make_proxied(60, SOCKUDO_LANES="1", SOCKUDO_BATCH_MAX_EVENTS=str(BATCH))
    stack, proxy = proxied.stack, proxied.proxy
    channels = stack.channels(CHANNELS)

    def publish(first: int, count: int) -> dict[str, list[int]]:
        publish_many((channels[n % CHANNELS], "n", {"n": n}) for n in range(first, first + count))
        return {channels[n]: list(range(first + n, first + count, CHANNELS)) for n in range(CHANNELS)}

    seen = stack.subscribe(*channels)
    promised = publish(0, BEFORE)
    zombie = stack.worker(concurrency=1, env={"SOCKUDO_FAULTPOINT": f"{point}:3:stop"}, wait=False)
    assert wait_for(lambda: is_frozen(zombie), 60), "the fault must have fired"
    in_hand = list(range(2 * BATCH, 3 * BATCH))
    assert proxied.sent()[2:] == ([] if point == "taken" else [in_hand])

    stack.worker()
    seen.wait_for_count(BEFORE, 60)
    assert wait_for(lambda: proxied.depth() == 0, 60)
    assert proxied.sent().count(in_hand) == (1 if point == "taken" else 2), "the successor sent what was marked"
    verdict = compare(promised, numbers(seen.events()))
    assert verdict.is_exact, verdict

    proxied.sockudo.restart()
    after = stack.subscribe(*channels)
    already = len(proxied.sent())
    proxy.behaviour = gate = Gate()
    promised = publish(BEFORE, AFTER)
    assert wait_for(lambda: len(proxied.sent()) > already, 60), "the successor holds the lane, its request is under way"
    settled = proxied.counts()["settled"]
    assert settled == BEFORE
    zombie.resume()
    assert wait_for(lambda: "lease lost" in zombie.log_text(), 60), zombie.log_tail()
    assert proxied.counts()["settled"] == settled, "and the successor's batch is not settled either"
    gate.opened.set()
    proxy.behaviour = Pass()

    after.wait_for_count(AFTER, 60)
    assert wait_for(lambda: proxied.depth() == 0, 60)
    after.wait_until_quiet(1.0)
    verdict = compare(promised, numbers(after.events()))
    assert verdict.is_exact, verdict
    assert min(n for batch in proxied.sent()[already:] for n in batch) == BEFORE, "nothing of before was sent again"
    assert proxied.counts() == {"settled": BEFORE + AFTER}
    assert zombie.is_running
