"""The loop and a server whose memory of ids is full: nothing is sent again unless ids are remembered.

The server is the model; `tests/integration/canary/test_full_memory.py` has the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from sockudo_publisher.canaries.ask import CHANNEL, FRESH_CANARIES
from sockudo_publisher.delivery.dedup_check import ROUNDS_IN_DOUBT
from sockudo_publisher.delivery.drain import DrainAgain, drain
from sockudo_publisher.delivery.outcome import NoReply, Outcome, Reply
from sockudo_publisher.delivery.window import FORGETFUL_BATCH, Policy
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.keys import AppKeys
from tests.integration.delivery.edge import Edge, die, forgets
from tests.integration.delivery.world import APP, Died, DrainWorld
from tests.unit.delivery import model
from tests.unit.delivery.model import AnswerLost, Cut, Lie

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class FreshEdge(Edge):
    """With fresh canaries too. ``during_check``: called when they were planted."""

    def __init__(self, world: DrainWorld) -> None:
        super().__init__(world)
        self.rounds: list[int] = []
        self.during_check: Callable[[], None] = lambda: None

    def drain(
        self, lane: int = 0, channel: str | None = None, *, at: Callable[[str], None] = lambda point: None
    ) -> DrainAgain | None:
        return drain(
            self.world.worker(),
            lane,
            channel,
            post=self.world.server.post,
            policy=self.world.policy,
            control=self.world.control,
            crash_point=at,
            ask_canaries=self.ask,
            ask_fresh_canaries=self.fresh,
            history_lookup=self.find,
        )

    def fresh(self, rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> object:
        self.rounds.append(rounds)

        def asleep(seconds: float) -> bool:
            self.during_check()
            return sleep(seconds)

        return self.canaries.check_with_fresh_canaries(rounds, timeout_s, asleep)

    def canary_requests(self) -> int:
        return len(self.world.server.bodies) - len(self.sent())


@pytest.fixture
def edge(world: DrainWorld) -> FreshEdge:
    return FreshEdge(world)


def parks(world: DrainWorld) -> None:
    world.policy = Policy(on_uncertain="park")


# -- a first send that is delivered and answered "in progress" ------------------------------------------------


@pytest.mark.parametrize("count", [1, 8])
def test_lie_about_a_first_send_is_parked(world: DrainWorld, edge: FreshEdge, count: int) -> None:
    """Policy `park`: not sent again, dead letters say why; what comes later flows."""
    parks(world)
    ids = world.append(world.channel(), count)
    world.server.is_full = True
    world.server.faults = [Lie(count // 2)]
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": count}
    later = world.append(world.channel(), 3)
    edge.drain()
    assert edge.sent() == [ids, later]
    assert edge.report().verdict == "forgets"


def test_lie_about_a_first_send_is_counted(world: DrainWorld, edge: FreshEdge) -> None:
    """Policy `resend`: every event arrives, each copy is among the counted."""
    world.append(world.channel(), 8)
    world.server.is_full = True
    world.server.faults = [Lie(5)]
    edge.drain()
    copies = sum(count - 1 for (channel, _), count in world.server.repeated().items() if channel != CHANNEL)
    assert 0 < copies <= world.counts()["resent_after_window"]
    assert world.counts()["settled"] == 8


def test_claim_of_another_request_is_searched_as_ever(world: DrainWorld, edge: FreshEdge) -> None:
    """The server remembers: its "in progress" to a first send is true, and nothing is uncertain."""
    parks(world)
    channel = world.channel()
    world.append(channel, 8)
    world.server.claim("e5", channel)
    edge.drain()
    assert edge.rounds == [ROUNDS_IN_DOUBT], "once for the whole search"
    assert world.counts() == {"settled": 5, "searched": 1, "stuck": 1}
    world.server.release("e5", channel)
    world.settle_down(lambda lane, held=None: edge.drain(lane, held))
    world.check()


def test_planting_itself_is_answered_in_progress(world: DrainWorld, edge: FreshEdge) -> None:
    """An id that no other program has is in progress: proof enough."""
    parks(world)
    ids = world.append(world.channel(), 4)
    world.server.faults = [Lie(0)]
    edge.replies = [model.receipts(["old"]), model.STUCK]
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 4}


def test_question_answered_in_progress_means_forgotten(world: DrainWorld, edge: FreshEdge) -> None:
    """A server that had the id would refuse the other payload before it waits."""
    parks(world)
    ids = world.append(world.channel(), 4)
    world.server.faults = [Lie(0)]
    edge.replies = [model.receipts(["old"]), model.receipts([str(n) for n in range(FRESH_CANARIES)]), model.STUCK]
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 4}


def test_question_answered_with_two_receipts_means_forgotten(world: DrainWorld, edge: FreshEdge) -> None:
    """The other payload was taken; that the answer is odd beside does not make it remembered."""
    parks(world)
    ids = world.append(world.channel(), 4)
    world.server.faults = [Lie(0)]
    edge.replies = [
        model.receipts(["old"]),
        model.receipts([str(n) for n in range(FRESH_CANARIES)]),
        model.receipts(["a", "b"]),
    ]
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 4}


# -- every other way to a resend --------------------------------------------------------------------------


@pytest.mark.parametrize("culprit", ["poison", "foreign", "oversized"])
def test_refused_batch_is_not_searched_in_a_full_memory(world: DrainWorld, edge: FreshEdge, culprit: str) -> None:
    """The search sends the accepted prefix again, and the server would deliver it again."""
    parks(world)
    ids = world.append(world.channel(), 8)
    getattr(world.server, culprit).add(ids[5])
    world.server.is_full = True
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 8, "searched": 1}


@pytest.mark.parametrize("max_items", [1, 4, 9])
def test_server_of_small_batches_receives_canaries_in_small_ones(
    world: DrainWorld, edge: FreshEdge, max_items: int
) -> None:
    """Ten canaries at once are too many for it, which says nothing of its memory."""
    parks(world)
    channel = world.channel()
    ids = world.append(channel, 2)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    world.server.max_items = max_items
    world.server.is_full = True
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 2}


def test_refused_batch_is_searched_while_ids_are_remembered(world: DrainWorld, edge: FreshEdge) -> None:
    """One check for a search, and for the searches of the next seconds."""
    parks(world)
    ids = world.append(world.channel(), 30)
    world.server.poison = {ids[5], ids[20]}
    edge.drain()
    assert edge.rounds == [1]
    assert world.counts() == {"settled": 28, "refused": 2, "searched": 2}
    world.check(without=[ids[5], ids[20]])


def test_single_refused_events_ask_nothing(world: DrainWorld, edge: FreshEdge) -> None:
    """They are not sent again: a flood of them costs one request each."""
    channel = world.channel()
    ids = world.append(channel, 40)
    world.server.poison = set(ids)
    edge.drain()
    assert world.counts() == {"refused": 40, "searched": 1}
    assert edge.rounds == [1], "for the search in the first batch"


def test_successor_asks_before_it_sends_a_dead_workers_batch(world: DrainWorld, edge: FreshEdge) -> None:
    """It finds a mark: one attempt may have carried it."""
    parks(world)
    ids = world.append(world.channel(), 5)
    world.server.is_full = True
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 5}


def test_successor_notices_a_memory_that_was_lost(world: DrainWorld, edge: FreshEdge) -> None:
    """Worker and server died together: no request has met the restart, old canaries tell."""
    parks(world)
    edge.plant(70, 80, 90)
    ids = world.append(world.channel(), 5)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.server.forget()
    world.lose_leases()
    edge.drain()
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 5}


def test_successor_of_a_worker_under_a_server_that_remembers(world: DrainWorld, edge: FreshEdge) -> None:
    """The batch goes again, once the canaries have said so."""
    parks(world)
    ids = world.append(world.channel(), 5)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    edge.drain()
    assert edge.sent() == [ids, ids]
    assert edge.rounds == [1]
    world.check()


def test_check_of_another_worker_counts_for_some_seconds(world: DrainWorld, edge: FreshEdge) -> None:
    """Lanes of a dead worker do not ask one by one."""
    for lane in (0, 1):
        world.append(world.channel(lane=lane), 3)
        with pytest.raises(Died):
            edge.drain(lane, at=die)
    world.lose_leases()
    edge.drain(0)
    edge.drain(1)
    assert edge.rounds == [1]
    world.check()


def test_held_event_is_not_sent_again_to_a_full_memory(world: DrainWorld, edge: FreshEdge) -> None:
    """Its claim was dropped like everything else: it would be delivered now."""
    parks(world)
    channel = world.channel()
    ids = world.append(channel, 4)
    world.server.claim(ids[1], channel)
    edge.drain()
    assert world.holds() == [channel]
    world.server.release(ids[1], channel)
    world.server.is_full = True
    world.redis.hset(AppKeys.of(APP).memory, "checked", 1)  # the last check was long ago
    world.pass_time(10)
    sent = len(edge.sent())
    edge.drain(0, channel)
    assert ids[1] not in [one for batch in edge.sent()[sent:] for one in batch]
    assert world.counts()["parked_uncertain"] == 3, "the item, and those behind it that were carried with it"
    assert [letter["reason"] for letter in world.letters()] == ["uncertain"] * 3


@pytest.mark.parametrize("faults", [[AnswerLost()], [AnswerLost(), AnswerLost()], [Cut(3)]], ids=["one", "two", "cut"])
def test_unknown_outcome_in_a_full_memory_is_uncertain(
    world: DrainWorld, edge: FreshEdge, faults: list[model.Fault]
) -> None:
    """After the pause fresh canaries are asked, also where there are no old ones."""
    parks(world)
    ids = world.append(world.channel(), 8)
    world.server.faults = list(faults[:1])
    world.server.is_full = True
    world.settle_down(lambda lane, held=None: edge.drain(lane, held))
    assert edge.sent() == [ids]
    assert world.counts() == {"parked_uncertain": 8}


def test_other_lanes_ask_again_after_trouble(world: DrainWorld, edge: FreshEdge) -> None:
    """A lane that does not probe has a batch that may be out, too."""
    parks(world)
    sent = []
    for lane in (0, 1):
        sent.append(world.append(world.channel(lane=lane), 3))
        world.server.faults = [AnswerLost()]
        edge.world.control.stops_after = len(edge.world.control.slept) + 1
        edge.drain(lane)
        world.control.is_stopping, world.control.stops_after = False, None
        OperatorRecords(world.journal.link, world.journal.app).resume("test")
    world.server.is_full = True
    world.lose_leases()
    world.settle_down(lambda lane, held=None: edge.drain(lane, held))
    assert edge.sent() == sent
    assert world.counts(0) == world.counts(1) == {"parked_uncertain": 3}


def test_trouble_while_asking_pauses_and_keeps_the_mark(world: DrainWorld, edge: FreshEdge) -> None:
    """The server went away: the batch waits, marked, and is asked for again."""
    ids = world.append(world.channel(), 5)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    edge.replies = [NoReply(sent=False)]
    world.control.stops_after = 1
    edge.drain()
    assert world.pause() == "unreachable"
    assert world.marker() is not None
    world.control.is_stopping, world.control.stops_after = False, None
    world.settle_down(lambda lane, held=None: edge.drain(lane, held))
    assert edge.sent() == [ids, ids]
    world.check()


def test_worker_that_shuts_down_while_asking_has_learned_nothing(world: DrainWorld, edge: FreshEdge) -> None:
    """Its wait is cut short, and so new canaries are remembered by a full memory too: no other worker may trust it."""
    ids = world.append(world.channel(), 5)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    edge.during_check = lambda: setattr(world.control, "is_stopping", True)
    edge.drain()
    assert edge.rounds == [1]
    assert world.journal.shared.view().checked_ms == 0
    assert (edge.sent(), world.marker() is not None, world.is_leased()) == ([ids], True, False)


def test_worker_that_dies_while_asking_leaves_the_batch_marked(world: DrainWorld, edge: FreshEdge) -> None:
    """Its successor asks again and sends nothing else."""
    ids = world.append(world.channel(), 5)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    edge.die_asking = True
    with pytest.raises(Died):
        edge.drain()
    edge.die_asking = False
    world.lose_leases()
    edge.drain()
    assert edge.sent() == [ids, ids]
    world.check()


def test_happy_path_asks_nothing(world: DrainWorld, edge: FreshEdge) -> None:
    """Not a request more than before."""
    world.append(world.channel(), 1200)
    edge.drain()
    assert edge.canary_requests() == 0
    assert edge.rounds == []
    world.check()


@pytest.mark.parametrize(("policy", "largest"), [("park", FORGETFUL_BATCH), ("resend", 400)])
def test_batches_are_small_where_all_of_one_may_be_parked(
    world: DrainWorld, edge: FreshEdge, policy: Literal["park", "resend"], largest: int
) -> None:
    """While the server does not remember, from the first batch of a run on."""
    world.policy = Policy(on_uncertain=policy)
    world.append(world.channel(), 1)
    forgets(world)
    world.append(world.channel(), 399)
    edge.drain()
    assert max(len(batch) for batch in edge.sent()) == largest
    world.check()


def test_batch_past_its_window_asks_nothing(world: DrainWorld, edge: FreshEdge) -> None:
    """It is uncertain whatever the answer."""
    world.append(world.channel(), 5)
    with pytest.raises(Died):
        edge.drain(at=die)
    world.lose_leases()
    world.pass_time(200)
    edge.drain()
    assert edge.rounds == []
    assert world.counts() == {"settled": 5, "resent_after_window": 5}


# -- the canaries themselves ---------------------------------------------------------------------------------


def test_fresh_canaries_leave_nothing_behind(world: DrainWorld, edge: FreshEdge) -> None:
    """They are asked for at once; only that they were remembered is kept, for all workers."""
    before_ms = world.journal.now_ms()
    asked = edge.canaries.check_with_fresh_canaries(2, 5.0, lambda seconds: False)
    assert (asked.finding.outcome, asked.forgotten) == (Outcome.ACCEPTED, False)
    assert edge.canaries.memory.canaries() == ()
    assert edge.report().asked == 0
    assert world.journal.shared.view().checked_ms >= before_ms
    assert len(world.server.requests) == 2 * (1 + FRESH_CANARIES)


def test_first_forgotten_canary_ends_the_questions(world: DrainWorld, edge: FreshEdge) -> None:
    """And the verdict holds for everybody, for a window."""
    world.server.is_full = True
    asked = edge.canaries.check_with_fresh_canaries(3, 5.0, lambda seconds: False)
    assert asked.forgotten
    assert len(world.server.requests) == 2
    view = world.journal.shared.view()
    assert view.checked_ms == 0
    assert view.forgets_until_ms > world.journal.now_ms() + 100_000
    assert (edge.report().verdict, edge.report().forgotten) == ("forgets", 1)


@pytest.mark.parametrize("at", [0, 1, 5])
def test_unclear_answer_is_no_verdict(world: DrainWorld, edge: FreshEdge, at: int) -> None:
    """The loop receives the outcome of the request."""
    conflict: Reply | NoReply = model.CONFLICT
    edge.replies = [model.receipts([str(n) for n in range(FRESH_CANARIES)]), *[conflict] * FRESH_CANARIES]
    edge.replies[at] = Reply(500, b"", {})
    asked = edge.canaries.check_with_fresh_canaries(1, 5.0, lambda seconds: False)
    assert (asked.finding.outcome, asked.forgotten) == (Outcome.UNKNOWN, False)
    assert world.journal.shared.view().checked_ms == 0
