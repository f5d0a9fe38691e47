"""The whole loop over a real Redis, against a model of the server: what happens in each decided case."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from sockudo_publisher.delivery import gates
from sockudo_publisher.delivery import run as run_module
from sockudo_publisher.delivery.drain import DrainAgain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.lease import TTL_MS
from tests.integration.delivery.world import APP, SOON_MS, Control, Died, World, stopped
from tests.unit.delivery import model
from tests.unit.delivery.model import AnswerLost, Answers, Cut, NotSent, RequestLost

pytestmark = pytest.mark.integration

POINTS = ("leased", "taken", "posted", "settled", "held", "buried")


class At:
    """Does something the n-th time the loop passes a point."""

    def __init__(self, point: str, time: int = 1, then: object = None) -> None:
        self.point, self.left, self.then = point, time, then
        self.fired = False

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                self.fired = True
                if callable(self.then):
                    self.then()
                else:
                    raise Died(point)


def ids_of(body: bytes) -> list[str]:
    return [one["message_id"] for one in json.loads(body)["batch"]]


# -- the plain way ------------------------------------------------------------------------------------


def test_batches_form_by_themselves_within_their_bounds(world: World) -> None:
    """What waits goes at once, cut by number and by bytes, in the order of the appends."""
    a, b = world.channel("a"), world.channel("b")
    world.append(a, 120)
    world.append(b, 1)
    world.append(a, 30, pack=False)
    world.append(b, 99)
    world.policy = Policy(batch_max_events=100)
    assert world.drain() is None
    assert [len(request) for request in world.server.requests] == [100, 100, 50]
    world.check()

    world.append(a, 50)
    world.policy = Policy(batch_max_bytes=1000)
    world.drain()
    assert all(len(body) <= 1000 + len('{"batch":[]}') for body in world.server.bodies[3:])
    world.check()


def test_bulk_beside_single_events_keeps_the_order_of_the_appends(world: World) -> None:
    """`publish_many` beside `delay` on one channel."""
    channel = world.channel()
    for count in (1, 250, 1, 3, 100, 1):
        world.append(channel, count, pack=count > 1)
    world.drain()
    world.check()
    assert world.counts() == {"settled": 356}


def test_lane_that_somebody_drains_is_left_alone(world: World) -> None:
    """Its holder sees our entries."""
    world.append(world.channel(), 3)

    def rung_again(body: bytes) -> Reply | NoReply:
        assert world.drain(journal=world.worker()) is None
        return world.server.post(body)

    world.drain(post=rung_again)
    assert len(world.server.requests) == 1
    world.check()


def test_entries_that_come_during_a_request_are_not_left_behind(world: World) -> None:
    """No doorbell is rung for an armed lane; its holder looks again before it goes."""
    channel = world.channel()
    world.append(channel, 1)
    more = iter([5, 2])

    def slow(body: bytes) -> Reply | NoReply:
        if (count := next(more, 0)) > 0:
            world.append(channel, count)
        return world.server.post(body)

    world.drain(post=slow)
    assert [len(request) for request in world.server.requests] == [1, 5, 2]
    world.check()


# -- decided cases: a worker dies ----------------------------------------------------------------------


def test_worker_dies_after_take_before_post(world: World) -> None:
    """The marker says "may have been sent": its successor sends exactly that, nothing else."""
    channel = world.channel()
    marked = world.append(channel, 20)
    with pytest.raises(Died):
        world.drain(at=At("taken"))
    assert world.server.requests == []
    world.append(channel, 30)
    assert world.drain(journal=world.worker()) is None, "the lease is still the dead worker's"
    world.lose_leases()
    world.drain(journal=world.worker())
    assert world.server.requests[0] == marked
    world.check()


def test_worker_dies_during_post_and_the_server_goes_on(world: World) -> None:
    """Its successor contends for the same ids, waits 2 s once, and then everything is accepted."""
    channel = world.channel()
    ids = world.append(channel, 20)

    def cut_off(body: bytes) -> Reply | NoReply:
        world.server.faults.append(Cut(7))
        world.server.post(body)
        raise Died("in the POST")

    with pytest.raises(Died):
        world.drain(post=cut_off)
    world.lose_leases()

    def the_server_finishes() -> None:
        world.server.release(ids[7], channel)
        world.server.post(world.server.bodies[0])

    world.control.during_sleep = the_server_finishes
    world.drain(journal=world.worker())
    assert world.control.slept == [2.0]
    assert [len(request) for request in world.server.requests] == [20, 20, 20, 20]
    assert world.counts() == {"settled": 20}
    world.check()


def test_worker_dies_during_post_and_its_request_was_cut(world: World) -> None:
    """The successor searches at once after the wait: all before the item is settled while it is remembered."""
    stuck, other = world.channel("stuck"), world.channel("other")
    world.append_items([(stuck if n % 5 == 0 else other, f"n{n}") for n in range(100)])

    def cut_off(body: bytes) -> Reply | NoReply:
        world.server.faults.append(Cut(60))
        world.server.post(body)
        raise Died("in the POST")

    with pytest.raises(Died):
        world.drain(post=cut_off)
    world.lose_leases()
    world.drain(journal=world.worker())
    assert world.holds() == [stuck]
    assert world.server.seen(other) == [f"n{n}" for n in range(100) if n % 5], "the other channel flows on"
    assert len(world.server.requests) <= 20
    world.settle_down()
    world.check()
    assert world.counts()["stuck"] == 1


@pytest.mark.parametrize("time", [1, 2, 5])
@pytest.mark.parametrize("point", POINTS)
def test_worker_dies_at_any_step_and_a_successor_finishes(world: World, point: str, time: int) -> None:
    """In the plain loop, in a search, with held and buried items: each event once, in order."""
    a, b, c = world.channel("a"), world.channel("b"), world.channel("c")
    world.append_items([((a, b, c)[n % 3], f"n{n}") for n in range(90)])
    world.policy = Policy(batch_max_events=40)
    world.server.poison = {"n17", "n71"}
    world.server.foreign = {"n30"}
    world.server.ttl_s = 20.0
    world.server.claim("n21", a)
    world.server.claim("n50", c)
    at = At(point, time)

    def one_drain(lane: int, channel: str | None = None) -> DrainAgain | None:
        try:
            return world.drain(lane, channel, journal=world.worker(), at=at)
        except Died:
            world.lose_leases()
            return None

    world.settle_down(one_drain)
    reached = {"leased": 5, "taken": 5, "posted": 5, "settled": 5, "held": 2, "buried": 3}
    assert at.fired == (time <= reached[point])
    world.check(without=["n17", "n71", "n30"])
    letters = [(json.loads(letter["item"])["message_id"], letter["reason"]) for letter in world.letters()]
    assert sorted(letters) == [("n17", "refused"), ("n30", "conflict"), ("n71", "refused")]


@pytest.mark.parametrize(
    ("point", "time"),
    [
        ("leased", 1),
        *((point, time) for point in ("taken", "posted") for time in (1, 2, 5)),
        *(("settled", time) for time in (1, 2, 3)),
        ("held", 1),
        ("buried", 1),
    ],
)
def test_holder_that_lost_its_lease_does_no_harm(world: World, point: str, time: int) -> None:
    """Frozen at any step for longer than its lease, while a successor does all the work; then it goes on."""
    a, b, c = world.channel("a"), world.channel("b"), world.channel("c")
    world.append_items([((a, b, c)[n % 3], f"n{n}") for n in range(60)])
    world.policy = Policy(batch_max_events=25)
    world.server.poison = {"n17"}
    world.server.claim("n21", a)

    def frozen() -> None:
        world.lose_leases()
        world.drain(journal=world.worker(), control=Control(world))

    at = At(point, time, frozen)
    world.drain(at=at)
    assert at.fired
    world.settle_down()
    world.check(without=["n17"])
    assert [letter["reason"] for letter in world.letters()] == ["refused"]
    assert world.counts()["settled"] == 59


def test_two_holders_never_both_send_after_a_freeze(world: World) -> None:
    """A holder whose lease is gone asks before it sends: it could repeat what the server has forgotten."""
    world.append(world.channel(), 10)
    sent_by_the_first: list[bytes] = []

    def first_posts(body: bytes) -> Reply | NoReply:
        sent_by_the_first.append(body)
        return world.server.post(body)

    journal = world.worker()

    def frozen() -> None:
        world.lose_leases()
        world.drain(journal=world.worker(), control=Control(world))
        world.server.forget()
        for lease in journal._keeper._leases:
            lease._trusted_from -= 60  # so long ago

    world.drain(journal=journal, post=first_posts, at=At("taken", then=frozen))
    assert sent_by_the_first == []
    world.check()


def test_lease_lost_with_the_answer_in_hand_is_taken_again(world: World) -> None:
    """If nobody took it: settling now spares a resend."""
    world.append(world.channel(), 10)

    def lease_runs_out(body: bytes) -> Reply | NoReply:
        world.lose_leases()
        return world.server.post(body)

    world.drain(post=lease_runs_out)
    assert len(world.server.requests) == 1
    world.check()
    assert world.counts() == {"settled": 10}


def test_lease_lost_with_the_answer_in_hand_and_taken_by_another(world: World) -> None:
    """The successor resends, the server answers with the first receipts."""
    world.append(world.channel(), 10)
    successor = world.worker()

    def lease_is_taken(body: bytes) -> Reply | NoReply:
        reply = world.server.post(body)
        world.lose_leases()
        assert successor.acquire(0) is not None
        return reply

    assert world.drain(post=lease_is_taken) is None
    assert world.depth() > 0, "not ours to settle"
    world.lose_leases()
    world.settle_down()
    world.check()


def test_marker_that_redis_lost_is_not_settled(world: World) -> None:
    """After a failover nothing is deleted on the word of another marker; the batch is taken and sent again."""
    world.append(world.channel(), 10)
    lost: list[bytes] = []

    def redis_fails_over(body: bytes) -> Reply | NoReply:
        if not lost:
            lost.append(body)
            world.redis.hdel(lane_keys(APP, 0).state, "marker")
        return world.server.post(body)

    world.drain(post=redis_fails_over)
    assert [len(request) for request in world.server.requests] == [10, 10]
    world.check()


def test_shorter_pause_of_another_lane_does_not_end_a_longer_one(world: World) -> None:
    """Two requests end badly at about the same time: the server that asked for a minute is left alone for it."""
    journal = world.journal
    journal.shared.pause("busy", 60.0, "Retry-After: 60")
    assert journal.shared.pause("unreachable", 0.2) == 2
    pause = journal.shared.view().pause
    assert pause is not None
    assert pause.reason == "unreachable"
    assert pause.until_ms - journal.now_ms() > 30_000
    journal.shared.pause("busy", 300.0)
    pause = journal.shared.view().pause
    assert pause is not None
    assert pause.until_ms - journal.now_ms() > 200_000
    journal.shared.resume()


@pytest.mark.parametrize("culprit", ["stuck", "poison", "uncertain"])
def test_culprit_whose_marker_redis_lost_is_asked_about_again(world: World, culprit: str) -> None:
    """After a failover nobody leaves on the word of another marker, and the drain goes on."""
    ids = world.append(world.channel(), 3)
    if culprit == "stuck":
        world.server.claim(ids[1], world.channel())
    elif culprit == "poison":
        world.server.poison = {ids[1]}
    else:
        world.policy = Policy(on_uncertain="park")
        world.meet_trouble(NoReply(sent=True))
        world.lose_leases()
        world.pass_time(300)
    state, lost = lane_keys(APP, 0).state, []
    bury, hold = world.journal.bury, world.journal.hold

    def redis_fails_over(act: Callable[..., None]) -> Callable[..., None]:
        def leave(*args: object, **options: object) -> None:
            if not lost:
                lost.append(world.redis.hdel(state, "marker"))
            act(*args, **options)

        return leave

    world.journal.bury, world.journal.hold = redis_fails_over(bury), redis_fails_over(hold)  # type: ignore[method-assign]
    world.settle_down()
    assert lost == [1]
    if culprit == "uncertain":
        assert [letter["reason"] for letter in world.letters()] == []
        assert world.server.seen(world.channel()) == ids, "nothing says any more that it may have been sent"
    else:
        world.check(without=world.server.poison)
        assert len(world.letters()) == len(world.server.poison)


def test_item_that_redis_gives_back_is_not_settled_past(world: World) -> None:
    """Redis loses its last second, in which a stuck item was held: settling what came behind it must not trim it."""
    stuck, other = world.channel("stuck"), world.channel("other")
    world.append_items([(stuck, "n0"), (other, "n1"), (other, "n2")])
    world.server.claim("n0", stuck)
    disk: dict[bytes, bytes] = {}
    passed: list[str] = []

    def at(point: str) -> None:
        passed.append(point)
        if point == "posted" and "held" not in passed:
            disk.update({key: world.redis.dump(key) for key in world.redis.scan_iter("sockudo:{app:0}:*")})

    def redis_loses_its_last_second(body: bytes) -> Reply | NoReply:
        if passed.count("held") == 1 and passed[-1] == "taken" and "lost" not in passed:
            passed.append("lost")
            world.redis.delete(*world.redis.scan_iter("sockudo:{app:0}:*"))
            for key, value in disk.items():
                world.redis.restore(key, 6000 if key.endswith(b":lease") else 0, value)
        return world.server.post(body)

    world.drain(post=redis_loses_its_last_second, at=at)
    assert "lost" in passed
    world.settle_down()
    world.check()


# -- decided cases: culprits ---------------------------------------------------------------------------


def test_two_stuck_items_each_hold_their_own_channel(world: World) -> None:
    """Searches run one after the other; the third channel flows on."""
    a, b, c = world.channel("a"), world.channel("b"), world.channel("c")
    world.append_items([((a, b, c)[n % 3], f"n{n}") for n in range(300)])
    world.server.claim("n90", a)
    world.server.claim("n91", b)
    world.drain()
    assert sorted(world.holds()) == sorted([a, b])
    assert world.server.seen(c) == [f"n{n}" for n in range(2, 300, 3)]
    assert world.server.seen(a) == [f"n{n}" for n in range(0, 90, 3)]
    world.settle_down()
    world.check()
    assert world.counts() == {"settled": 300, "stuck": 2, "searched": 1}, "the second was asked for alone at once"


def test_two_stuck_items_of_one_channel(world: World) -> None:
    """The second is found when the first is freed; both keep their place, nothing between them comes twice."""
    stuck, other = world.channel("stuck"), world.channel("other")
    world.append_items([(stuck if n % 2 == 0 else other, f"n{n}") for n in range(200)])
    world.server.claim("n20", stuck)
    world.drain()
    world.server.release("n20", stuck)
    world.server.faults += [None, Cut(40)]  # n20 alone, then what is behind it, cut
    world.settle_down()
    world.check()


def test_stuck_item_in_a_search_for_a_poison_item(world: World) -> None:
    """Refused and stuck are different answers to the same question about a prefix."""
    a, b = world.channel("a"), world.channel("b")
    world.append_items([((a, b)[n % 2], f"n{n}") for n in range(64)])
    world.server.poison = {"n40"}
    world.server.claim("n13", b)
    world.drain()
    # The stuck item comes first; freed while its search runs, it would be the poison item's search.
    assert world.holds() == [b]
    assert [letter["reason"] for letter in world.letters()] == ["refused"]
    world.settle_down()
    world.check(without=["n40"])


@pytest.mark.parametrize("position", [0, 31, 63])
def test_poison_item_is_buried_alone_with_the_servers_words(world: World, position: int) -> None:
    """Its neighbours go through; the letter holds all that a person needs."""
    channel = world.channel()
    ids = world.append(channel, 64)
    world.server.poison = {ids[position]}
    world.drain()
    world.check(without=[ids[position]])
    (letter,) = world.letters()
    assert letter["reason"] == "refused"
    assert "invalid characters" in letter["words"]
    assert letter["channel"] == channel
    assert letter["maybe_delivered"] == "0"
    assert int(letter["attempts"]) in {1 + 6, 1 + 6 + 1}, (
        "the batch, six halvings, and it alone if they ended before it"
    )
    assert json.loads(letter["item"])["message_id"] == ids[position]
    assert world.counts() == {"settled": 63, "refused": 1, "searched": 1}


@pytest.mark.parametrize(
    ("fault", "maybe"), [(None, "0"), (AnswerLost(), "1")], ids=["answered", "an earlier attempt ended unknown"]
)
def test_conflict_says_whether_it_may_have_been_delivered(world: World, fault: model.Fault | None, maybe: str) -> None:
    """Our bytes never change: somebody else used the id, or an earlier attempt of ours is out."""
    ids = world.append(world.channel(), 8)
    world.server.foreign = {ids[5]}
    world.server.faults.append(fault)
    world.drain()
    (letter,) = world.letters()
    assert (letter["reason"], letter["maybe_delivered"]) == ("conflict", maybe)
    world.check(without=[ids[5]])


def test_batch_too_large_teaches_all_workers(world: World) -> None:
    """The limit cuts the next batches and shrinks this one; nothing of the refused batch was accepted."""
    world.append(world.channel("a", 0), 100)
    world.append(world.channel("b", 1), 100)
    world.server.most_items = 30
    world.drain(0)
    assert [len(request) for request in world.server.requests] == [100, 30, 30, 30, 10]
    world.drain(1, journal=world.worker())
    assert [len(request) for request in world.server.requests[5:]] == [30, 30, 30, 10], "from its first request on"
    world.check()
    assert world.letters() == []


def test_batch_too_large_was_never_sent_as_far_as_windows_go(world: World) -> None:
    """A first attempt refused for its size leaves no mark: its items are not uncertain later."""
    world.append(world.channel(), 100)
    world.server.most_items = 30
    marks: list[bytes | None] = []

    def post(body: bytes) -> Reply | NoReply:
        marks.append(world.marker())
        return world.server.post(body)

    world.drain(post=post)
    ends = [mark.rsplit(b" ", 1)[1] for mark in marks if mark]
    assert ends == [b"100", b"30", b"60", b"90", b"100"], "the mark of the refused batch is gone"
    world.check()


def test_resent_batch_that_has_become_too_large_shrinks(world: World) -> None:
    """The server's limit changed while its fate was unknown: the marked prefix goes in parts, none is buried."""
    world.append(world.channel(), 60)
    world.server.faults.append(AnswerLost())

    def post(body: bytes) -> Reply | NoReply:
        reply = world.server.post(body)
        world.server.most_items = 20
        return reply

    world.drain(post=post)
    assert [len(request) for request in world.server.requests] == [60, 60, 20, 20, 20]
    world.check()


def test_single_event_over_the_servers_body_limit_is_buried(world: World) -> None:
    """Found by bytes, halved, then alone: `too_large`; its neighbours go through."""
    channel = world.channel()
    world.append(channel, 10)
    world.append_items([(channel, "big")], data="x" * 4000)
    world.append(channel, 10)
    world.server.most_bytes = 3000
    world.drain()
    assert [(letter["reason"], letter["attempts"] > "0") for letter in world.letters()] == [("too_large", True)]
    world.check(without=["big"])


# -- decided cases: the server is slow, away, busy, misconfigured ---------------------------------------


@pytest.mark.parametrize("in_place", [True, False], ids=["one run", "many runs"])
def test_unknown_after_unknown_shrinks_and_never_condemns(
    world: World, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    """A server that dies of large requests gets small ones, also when each run gives its slot back."""
    if not in_place:
        monkeypatch.setattr(gates, "WAIT_IN_PLACE_S", 0.0)
    world.append(world.channel(), 60)
    world.server.dies_above = 3
    world.settle_down()
    world.check()
    assert world.letters() == []
    assert "stuck" not in world.counts()


def test_server_half_dead_for_every_size_pauses_only(world: World) -> None:
    """One item alone and still unknown is the server's trouble: nothing is held, nothing is buried."""
    world.append(world.channel(), 60)
    world.server.dies_above = 0
    world.drain(control=Control(world, stops_after=30))
    assert world.server.requests[-1] == world.server.requests[0][:1]
    assert (world.holds(), world.letters(), world.pause()) == ([], [], "unknown")
    assert world.depth() == 1
    world.server.dies_above = None
    world.settle_down()
    world.check()


@pytest.mark.parametrize("on_uncertain", ["resend", "park"])
def test_events_never_sent_are_never_uncertain(world: World, on_uncertain: str) -> None:
    """However long the server is away: refused connections start no clock."""
    world.policy = Policy(on_uncertain=on_uncertain)  # type: ignore[arg-type]
    world.append(world.channel(), 60)
    for _ in range(10):
        world.meet_trouble()
        assert world.marker() is None
        world.pass_time(86_400)
    world.settle_down()
    world.check()
    assert world.counts() == {"settled": 60}
    assert world.letters() == []


@pytest.mark.parametrize(
    "reply",
    [
        NoReply(sent=False),
        model.DRAINING,
        Reply(413, b"too large", {}),
        model.error(400, "limit_exceeded", "Batch size"),
    ],
    ids=["refused", "busy", "too large", "too many"],
)
def test_death_before_the_pause_or_limit_is_written_leaves_no_mark(
    world: World, monkeypatch: pytest.MonkeyPatch, reply: Reply | NoReply
) -> None:
    """The mark goes first: what was never sent would become uncertain else."""
    world.append(world.channel(), 20)
    journal = world.worker()

    def dies(*_: object) -> int:
        raise Died

    monkeypatch.setattr(journal.shared, "pause", dies)
    monkeypatch.setattr(journal.shared, "learn", dies)
    with pytest.raises(Died):
        world.drain(journal=journal, post=lambda body: reply)
    assert world.marker() is None


def test_busy_obeys_retry_after_with_all_lanes(world: World) -> None:
    """No request of any lane before it is over; then one asks, and all go on."""
    world.append(world.channel("a", 0), 5)
    world.append(world.channel("b", 1), 5)
    world.server.faults.append(Answers(Reply(503, model.DRAINING.body, {**model.JSON, "retry-after": "30"})))
    assert world.drain(0) is None
    pause = world.journal.shared.view().pause
    assert pause is not None
    assert 29_000 < pause.until_ms - world.journal.now_ms() <= 30_000
    assert world.marker() is None, "a first attempt that was not taken is not uncertain"
    assert world.drain(1, journal=world.worker()) is None
    assert world.drain(0) is None
    world.pass_time(28)
    assert world.drain(1, journal=world.worker()) is None
    assert len(world.server.requests) == 1
    world.pass_time(3)
    world.drain(1, journal=world.worker())
    assert world.control.rung == [[0, 1]]
    world.settle_down()
    world.check()


@pytest.mark.parametrize("reply", [model.UNKNOWN_APP, model.BAD_SIGNATURE], ids=["404", "401"])
def test_misconfigured_pauses_loudly_and_loses_nothing(
    world: World, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    """An error in the log each time it asks, in the server's words; nothing is dead-lettered."""
    world.append(world.channel(), 20)
    world.server.faults += [Answers(reply)] * 3
    with caplog.at_level(logging.ERROR, "sockudo_publisher.delivery"):
        for _ in range(3):
            assert world.drain() is None
            pause = world.journal.shared.view().pause
            assert pause is not None
            assert 4_000 < pause.until_ms - world.journal.now_ms() <= 5_000
            world.pass_time(5.0)
    assert len(caplog.records) == 3
    assert all("misconfigured" in record.getMessage() for record in caplog.records)
    assert json.loads(reply.body)["error"] in caplog.text
    assert (world.pause(), world.letters(), world.marker()) == ("misconfigured", [], None)
    with caplog.at_level(logging.WARNING, "sockudo_publisher.delivery"):
        world.settle_down()
    assert "server answers again app=app" in caplog.text, "a worker's default level shows the end too"
    world.check()


def test_one_prober_at_a_time_over_lanes_and_workers(world: World) -> None:
    """While one asks, nobody else sends; its accepted probe ends the pause and rings every lane with entries."""
    world.append(world.channel("a", 0), 5)
    world.append(world.channel("b", 1), 5)
    world.meet_trouble()
    world.pass_time(5)
    other = Control(world, passes_time=False)
    others_requests: list[bytes] = []

    def others_post(body: bytes) -> Reply | NoReply:
        others_requests.append(body)
        return world.server.post(body)

    def asked_meanwhile(body: bytes) -> Reply | NoReply:
        assert world.is_probing()
        assert world.drain(1, journal=world.worker(), control=other, post=others_post) is None
        return world.server.post(body)

    world.drain(0, post=asked_meanwhile)
    assert others_requests == []
    assert other.slept, "it looked for a while whether the pause would end"
    assert world.control.rung == [[0, 1]]
    assert world.pause() is None
    world.settle_down()
    world.check()


def test_failed_probe_prolongs_the_pause_and_lets_another_ask(world: World) -> None:
    """The count of pauses grows over runs and workers; the right to probe is given back."""
    world.append(world.channel(), 5)
    counts = []
    for _ in range(5):
        world.meet_trouble()
        assert not world.is_probing()
        pause = world.journal.shared.view().pause
        assert pause is not None
        counts.append(pause.count)
        world.pass_time(3)
    assert counts == sorted(set(counts)), "a short wait may end in a probe of the same run: some counts are skipped"
    world.settle_down()
    world.check()


def test_prober_that_dies_is_replaced_when_its_right_runs_out(world: World) -> None:
    """Nobody waits for a dead worker longer than for its lanes."""
    world.append(world.channel(), 5)
    world.meet_trouble()
    world.pass_time(5)
    assert world.worker().shared.try_probe("dead")
    assert 0 < world.redis.pttl(AppKeys.of(APP).probe) <= TTL_MS
    assert world.drain() is None
    assert world.server.requests == []
    world.lose_leases()
    world.settle_down()
    world.check()


def test_late_answer_of_a_lane_that_did_not_probe_ends_no_pause(world: World) -> None:
    """It was sent before the trouble began, and proves nothing about now."""
    world.append(world.channel("a", 0), 5)

    def trouble_elsewhere(body: bytes) -> Reply | NoReply:
        world.journal.shared.pause("unknown", 60.0)
        return world.server.post(body)

    world.drain(0, post=trouble_elsewhere)
    assert world.pause() == "unknown"
    assert world.control.rung == []
    world.journal.shared.resume()


def test_prober_that_was_frozen_behind_its_answer_ends_no_later_pause(world: World) -> None:
    """Another has probed since, and the server is in trouble anew: nobody would ask whether it still remembers."""
    first, second = world.channel("a", 0), world.channel("b", 1)
    world.append(first, 1)
    world.meet_trouble()
    world.pass_time(3)

    def frozen_behind_the_answer(body: bytes) -> Reply | NoReply:
        answer = world.server.post(body)
        world.lose_leases()
        world.append(second, 1)
        world.drain(1, journal=world.worker(), control=Control(world, passes_time=False))
        assert world.pause() is None
        world.append(second, 1)
        stopped = Control(world, stops_after=1, passes_time=False)
        world.drain(1, journal=world.worker(), control=stopped, post=lambda body: NoReply(sent=True))
        return answer

    world.drain(0, journal=world.worker(), post=frozen_behind_the_answer, control=Control(world, passes_time=False))
    assert world.pause() == "unknown"
    world.pass_time(10)
    world.settle_down()
    world.check()


def test_rest_that_the_server_asked_for_meanwhile_outlasts_the_probers_answer(world: World) -> None:
    """A request that was in flight before the pause brings a Retry-After while the prober's is on its way."""
    world.append(world.channel("a", 0), 1)
    world.meet_trouble()
    world.pass_time(3)

    def rest_is_asked_for(body: bytes) -> Reply | NoReply:
        world.journal.shared.pause("busy", 60.0, "Retry-After")
        return world.server.post(body)

    world.drain(0, post=rest_is_asked_for)
    assert world.pause() == "busy"
    assert world.control.rung == []
    assert not world.is_probing()
    world.journal.shared.resume()
    world.check()


def test_batch_that_grew_too_old_before_it_left_is_parked(world: World) -> None:
    """Under `park` its time is looked at again when the lease had to be renewed: the process was frozen there."""
    ids = left_unknown(world, 3)
    world.pass_time(80)
    world.policy = Policy(on_uncertain="park", window_s=120, delivery_timeout_s=30)
    journal = world.worker()
    frozen = []

    def freeze(point: str) -> None:
        if point == "taken" and not frozen:
            frozen.append(point)
            world.pass_time(10)
            for lease in journal._keeper._leases:
                lease._trusted_from -= 60

    world.drain(journal=journal, at=freeze)
    assert frozen
    assert world.server.requests == [ids]
    assert world.counts() == {"parked_uncertain": 3}


def test_fresh_batch_whose_process_was_frozen_before_it_left_is_new_again(world: World) -> None:
    """It was never sent: it is not marked as if it were, and is sent under a lease that surely lasts."""
    ids = world.append(world.channel(), 3)
    journal = world.worker()
    marks = []

    def freeze(point: str) -> None:
        if point == "taken":
            marks.append(world.marker())
            if len(marks) == 1:
                for lease in journal._keeper._leases:
                    lease._trusted_from -= 60

    world.drain(journal=journal, at=freeze)
    assert len(marks) == 2
    assert world.server.requests == [ids]
    world.check()


def test_stuck_event_after_an_unknown_answer_is_waited_for_again(world: World) -> None:
    """The request that timed out may be running still: the one wait before it was for another."""
    channel = world.channel()
    [only] = world.append(channel, 1)
    world.server.claim(only, channel)
    answers: list[Reply | NoReply] = [model.STUCK, NoReply(sent=True), model.STUCK]

    def post(body: bytes) -> Reply | NoReply:
        if answers:
            return answers.pop(0)
        world.server.forget()
        return world.server.post(body)

    world.drain(post=post)
    assert world.control.slept.count(2.0) == 2
    assert world.counts() == {"settled": 1}


@pytest.mark.parametrize(
    "reply",
    [model.BAD_SIGNATURE, Reply(429, b"", {"retry-after": "60"})],
    ids=["misconfigured", "busy for long"],
)
def test_who_begins_a_long_pause_does_not_ask_for_the_next_turn(world: World, reply: Reply) -> None:
    """Its countdown would come back to itself: a worker with a wrong key would be the only one ever to ask."""
    world.append(world.channel(), 3)
    assert world.drain(post=lambda body: reply) is None
    assert world.pause() is not None
    world.pass_time(70)
    world.settle_down()
    world.check()


def test_search_goes_on_after_the_server_was_away_in_it(world: World) -> None:
    """Pauses of all kinds in the middle: what was settled stays settled, the culprit is found."""
    channel, other = world.channel("a"), world.channel("b")
    world.append_items([((channel, other)[n % 2], f"n{n}") for n in range(100)])
    world.server.poison = {"n77"}
    world.server.faults += [
        None,
        None,
        NotSent(),
        None,
        RequestLost(),
        Answers(model.DRAINING),
        None,
        AnswerLost(),
        Answers(Reply(502, b"<html>", model.HTML)),
        Answers(model.UNKNOWN_APP),
    ]
    world.settle_down()
    world.check(without=["n77"])
    assert [letter["reason"] for letter in world.letters()] == ["refused"]


# -- holds --------------------------------------------------------------------------------------------


def test_only_the_held_channel_waits(world: World) -> None:
    """What is published later flows too, on the held channel behind the stuck item, in order."""
    stuck, other = world.channel("stuck"), world.channel("other")
    first = world.append(stuck, 1)
    world.append(stuck, 3)
    world.append(other, 3)
    world.server.claim(first[0], stuck)
    world.drain()
    assert world.holds() == [stuck]
    assert world.server.seen(other) == ["e4", "e5", "e6"]
    world.append_items([((stuck, other)[n % 2], f"later{n}") for n in range(20)])
    world.drain()
    assert len(world.server.seen(other)) == 3 + 10
    assert world.server.seen(stuck) == []
    assert world.drain(0, stuck) is None
    assert world.server.requests[-1] == first, "the stuck item is tried alone"
    assert world.holds() == [stuck]
    world.server.release(first[0], stuck)
    world.drain(0, stuck)
    assert world.holds() == []
    world.append(stuck, 2)
    world.drain()
    world.check()


def test_held_item_is_tried_at_growing_gaps(world: World) -> None:
    """1 s first, then a quarter of its age up to 10 s, over the deaths of its holders too: the age is in Redis."""
    channel = world.channel()
    ids = world.append(channel, 1)
    world.server.claim(ids[0], channel)
    world.server.ttl_s = 10**6
    world.drain()
    gaps = []
    for age_s in (2, 8, 20, 30, 60):
        holds = lane_keys(APP, 0).holds
        # Its clock is in its entry: an older one is written beside it.
        ((entry, fields),) = world.redis.xrange(f"{holds.removesuffix('holds')}hold:{channel}:stream")
        world.redis.delete(f"{holds.removesuffix('holds')}hold:{channel}:stream")
        fields[b"t"] = str(world.journal.now_ms() - age_s * 1000).encode()
        world.redis.xadd(f"{holds.removesuffix('holds')}hold:{channel}:stream", fields, id=entry)
        world.redis.hdel(f"{holds.removesuffix('holds')}hold:{channel}:state", "marker")
        world.drain(0, channel, journal=world.worker())
        gaps.append((world.redis.zscore(holds, channel) - world.journal.now_ms()) / 1000)
        assert not world.redis.exists(f"{holds.removesuffix('holds')}hold:{channel}:lease")
    assert gaps == pytest.approx([1.0, 2.0, 5.0, 7.5, 10.0], abs=0.5)


def test_poison_item_in_a_held_queue_is_buried_there(world: World) -> None:
    """The hold goes on without it."""
    channel = world.channel()
    ids = world.append(channel, 20)
    world.server.claim(ids[0], channel)
    world.drain()
    world.server.poison = {ids[7]}
    world.settle_down()
    world.check(without=[ids[7]])


# -- the window ---------------------------------------------------------------------------------------


def left_unknown(world: World, count: int, **append: int) -> list[str]:
    """Events whose first attempt ended unknown: all of them were accepted."""
    ids = world.append(world.channel(), count, **append)
    with pytest.raises(Died):
        world.drain(at=At("posted"))
    world.lose_leases()
    return ids


def test_resend_policy_sends_uncertain_events_again_and_counts_them(world: World) -> None:
    """At least once: the server has forgotten them."""
    left_unknown(world, 10)
    world.pass_time(121)
    world.server.forget()
    world.append(world.channel(), 5)
    world.drain(journal=world.worker())
    assert len(world.server.repeated()) == 10
    assert world.counts() == {"settled": 15, "resent_after_window": 10}


def test_window_that_ends_during_the_resend_is_counted(world: World) -> None:
    """The server may look at the ids when it has forgotten them, though the request began in time."""
    left_unknown(world, 10)
    world.pass_time(119)

    def slow(body: bytes) -> Reply | NoReply:
        world.server.forget()
        answer = world.server.post(body)
        world.control.skipped_s += 3.0
        return answer

    world.drain(journal=world.worker(), post=slow)
    assert len(world.server.repeated()) == 10
    assert world.counts() == {"settled": 10, "resent_after_window": 10}


def test_worker_killed_before_it_connects_leaves_events_uncertain_though_they_never_left(world: World) -> None:
    """Nobody can tell it from a request that was sent: under `park` they are parked, and say that they may be out."""
    ids = world.append(world.channel(), 3)
    with pytest.raises(Died):
        world.drain(at=At("taken"))
    world.lose_leases()
    world.pass_time(121)
    world.policy = Policy(on_uncertain="park")
    world.drain(journal=world.worker())
    assert world.server.requests == []
    assert [json.loads(letter["item"])["message_id"] for letter in world.letters()] == ids
    assert {(letter["reason"], letter["maybe_delivered"]) for letter in world.letters()} == {("uncertain", "1")}
    assert world.counts() == {"parked_uncertain": 3}


def test_resend_inside_the_window_is_not_counted_as_late(world: World) -> None:
    """The server still remembers."""
    left_unknown(world, 10)
    world.pass_time(118)
    world.drain(journal=world.worker())
    assert world.counts() == {"settled": 10}
    world.check()


def test_park_policy_parks_uncertain_events_and_the_channel_flows_on(world: World) -> None:
    """At most once: each becomes a dead letter `uncertain`, what was never sent goes out."""
    ids = left_unknown(world, 10)
    world.pass_time(86)
    fresh = world.append(world.channel(), 5)
    world.policy = Policy(on_uncertain="park")
    world.drain(journal=world.worker())
    assert world.server.requests == [ids, fresh]
    letters = world.letters()
    assert [json.loads(letter["item"])["message_id"] for letter in letters] == ids
    assert {(letter["reason"], letter["maybe_delivered"]) for letter in letters} == {("uncertain", "1")}
    assert {int(letter["first_ms"]) <= world.journal.now_ms() - 86_000 for letter in letters} == {True}
    assert {int(letter["attempts"]) for letter in letters} == {1}, "a dead worker's"
    assert {letter["words"] for letter in letters} == {
        "not known to be delivered, and a resend might end after the server has forgotten the id (120 s)"
    }
    assert world.counts() == {"settled": 5, "parked_uncertain": 10}
    world.check()


def test_park_policy_still_resends_what_ends_inside_the_window(world: World) -> None:
    """Until window - delivery timeout - 5 s."""
    left_unknown(world, 10)
    world.pass_time(84)
    world.policy = Policy(on_uncertain="park")
    world.drain(journal=world.worker())
    assert world.letters() == []
    world.check()


def test_park_policy_parks_a_stuck_item_and_its_channel_flows_on(world: World) -> None:
    """Its claim may have been left by a delivery, and what went with it may be out; later events were never sent."""
    channel = world.channel()
    marked = world.append(channel, 5)
    world.server.claim(marked[0], channel)
    world.policy = Policy(on_uncertain="park", window_s=60, delivery_timeout_s=30)
    world.drain()
    assert world.holds() == [channel]
    fresh = world.append(channel, 3)
    world.settle_down()
    assert [json.loads(letter["item"])["message_id"] for letter in world.letters()] == marked
    assert {letter["reason"] for letter in world.letters()} == {"uncertain"}
    assert world.server.seen(channel) == fresh
    assert world.counts() == {"settled": 3, "searched": 1, "stuck": 1, "parked_uncertain": 5}
    assert world.holds() == []


@pytest.mark.parametrize("on_uncertain", ["resend", "park"])
def test_uncertain_event_past_its_expiry_is_only_counted(world: World, on_uncertain: str) -> None:
    """Nobody wants it any more, and it may have been delivered: `expired_uncertain`, no dead letter."""
    world.policy = Policy(on_uncertain=on_uncertain)  # type: ignore[arg-type]
    soon = world.journal.now_ms() + SOON_MS
    ids = left_unknown(world, 3, expires_ms=soon)
    later = world.append(world.channel(), 2)
    world.pass_time(121)
    world.wait_until_past(soon)
    world.drain(journal=world.worker())
    assert world.server.requests == [ids, later]
    assert world.counts() == {"settled": 2, "expired_uncertain": 3}
    assert world.letters() == []


def test_uncertain_events_before_an_expired_one_are_resent(world: World) -> None:
    """The expired one leaves in its turn; order is kept."""
    channel = world.channel()
    soon = world.journal.now_ms() + SOON_MS
    world.append(channel, 2)
    world.append(channel, 1, expires_ms=soon)
    world.append(channel, 2)
    with pytest.raises(Died):
        world.drain(at=At("posted"))
    world.lose_leases()
    world.pass_time(121)
    world.wait_until_past(soon)
    world.drain(journal=world.worker())
    assert world.server.requests[1:] == [["e0", "e1"], ["e3", "e4"]]
    assert world.counts() == {"settled": 4, "resent_after_window": 4, "expired_uncertain": 1}


def test_expiry_does_not_apply_to_what_may_have_been_sent(world: World) -> None:
    """Inside the window a resend is free: the server answers with the first receipt."""
    soon = world.journal.now_ms() + SOON_MS
    ids = left_unknown(world, 3, expires_ms=soon)
    world.wait_until_past(soon)
    world.drain(journal=world.worker())
    assert world.server.requests == [ids, ids]
    world.check()


# -- giving back --------------------------------------------------------------------------------------


def add_newer_entry(world: World, lane: int = 0) -> None:
    world.redis.xadd(lane_keys(APP, lane).stream, {"v": "2", "z": "who knows"})


def test_entry_of_a_newer_release_is_left_and_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What is before it goes out; it stays, with all behind it, for a newer worker."""
    world.append(world.channel(), 5)
    add_newer_entry(world)
    world.append(world.channel(), 5)
    with caplog.at_level(logging.ERROR, "sockudo_publisher.delivery"):
        assert world.drain() is None
    assert [len(request) for request in world.server.requests] == [5]
    assert world.depth() == 2
    assert not world.is_leased()
    assert "newer" in caplog.text


def test_slice_ends_when_another_lane_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot goes back at once, with a ring; nothing is marked that was not sent."""
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    world.append(world.channel(), 100)
    world.policy = Policy(batch_max_events=10)
    world.control.do_others_wait = True
    assert world.drain() == DrainAgain(0.0)
    assert world.marker() is None
    assert not world.is_leased()
    world.control.do_others_wait = False
    world.drain()
    world.check()


def test_slice_goes_on_when_nobody_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look in Redis, and on."""
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    world.append(world.channel(), 100)
    world.policy = Policy(batch_max_events=10)
    assert world.drain() is None
    world.check()


def test_search_is_not_given_up_for_another_lane(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must end inside the window; after it the slot goes back."""
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    channel, other = world.channel("a"), world.channel("b")
    world.append_items([((channel, other)[n % 2], f"n{n}") for n in range(100)])
    world.server.claim("n50", channel)

    def post(body: bytes) -> Reply | NoReply:
        world.control.do_others_wait = True
        return world.server.post(body)

    assert world.drain(post=post) == DrainAgain(0.0)
    assert world.holds() == [channel], "found in the first run"
    world.control.do_others_wait = False
    world.settle_down()
    world.check()


def test_stop_gives_everything_back_at_once(world: World) -> None:
    """No request is begun; the lane is free for the next worker, unmarked."""
    world.append(world.channel(), 10)
    assert world.drain(control=stopped(world.control)) == DrainAgain(0.0)
    assert world.server.requests == []
    assert world.marker() is None
    assert not world.is_leased()


def test_stop_during_a_request_waits_for_its_answer(world: World) -> None:
    """A dropped request is the worst enemy: it is settled, then the lane is given back."""
    world.append(world.channel(), 30)
    world.policy = Policy(batch_max_events=10)

    def stops(body: bytes) -> Reply | NoReply:
        world.control.is_stopping = True
        return world.server.post(body)

    assert world.drain(post=stops) == DrainAgain(0.0)
    assert world.counts() == {"settled": 10}
    assert world.marker() is None
    world.control.is_stopping = False
    world.drain()
    world.check()


def test_stop_in_a_search_keeps_what_it_has_settled(world: World) -> None:
    """The marker has shrunk; the successor goes on with what is left."""
    channel, other = world.channel("a"), world.channel("b")
    world.append_items([((channel, other)[n % 2], f"n{n}") for n in range(100)])
    world.server.claim("n50", channel)

    def stops(body: bytes) -> Reply | NoReply:
        world.control.is_stopping = len(world.server.requests) >= 4
        return world.server.post(body)

    assert world.drain(post=stops) == DrainAgain(0.0)
    assert world.marker() is not None
    world.control.is_stopping = False
    world.settle_down()
    world.check()


def test_stop_ends_a_pause(world: World) -> None:
    """A worker that waits for the server stops like any other, and gives the right to probe back."""
    world.append(world.channel(), 5)

    def stop() -> None:
        world.control.is_stopping = True

    world.control.during_sleep = stop
    assert world.drain(post=lambda body: NoReply(sent=False)) == DrainAgain(0.0)
    assert not world.is_leased()
    assert not world.is_probing()
    assert world.marker() is None


def test_holder_that_takes_its_lease_again_knows_what_was_held_meanwhile(world: World) -> None:
    """A successor held a channel and was gone: that channel's later items must not overtake the stuck one."""
    stuck, other = world.channel("stuck"), world.channel("other")
    world.append(other, 5)

    def lease_is_lost_for_a_while(body: bytes) -> Reply | NoReply:
        if len(world.server.requests) == 0:
            reply = world.server.post(body)
            world.lose_leases()
            ids = world.append(stuck, 2)
            world.server.claim(ids[0], stuck)
            world.drain(journal=world.worker(), control=Control(world))
            assert world.holds() == [stuck]
            world.append(stuck, 3)
            return reply
        return world.server.post(body)

    world.drain(post=lease_is_lost_for_a_while)
    assert world.server.seen(stuck) == []
    world.settle_down()
    world.check()


def test_run_that_fails_renews_no_lease_and_keeps_no_right_to_probe(world: World) -> None:
    """An error out of the loop (Redis away, a bug): others take over when the lease has run out."""
    world.append(world.channel(), 5)
    world.meet_trouble()
    world.pass_time(5)
    journal = world.worker()

    def fails(body: bytes) -> Reply | NoReply:
        assert world.is_probing()
        assert len(journal._keeper._leases) == 1
        raise Died

    with pytest.raises(Died):
        world.drain(journal=journal, post=fails)
    assert not world.is_probing()
    assert journal._keeper._leases == set()
    world.lose_leases()
    world.settle_down()
    world.check()


def test_holder_that_takes_its_lease_again_moves_no_head_back(world: World) -> None:
    """A successor has settled, buried and held behind our prefix, under the same mark: none of it comes back."""
    a, b = world.channel("a"), world.channel("b")
    world.append_items([((a, b)[n % 2], f"n{n}") for n in range(8)])
    world.server.poison = {"n3"}
    world.server.claim("n4", a)
    world.server.claim("n7", b)

    def frozen() -> None:
        world.lose_leases()
        successor = Control(world, passes_time=False, stops_after=2)  # when it has waited for n7
        world.drain(journal=world.worker(), control=successor)
        assert [letter["reason"] for letter in world.letters()] == ["refused"]
        assert world.holds() == [a]

    at = At("taken", 3, frozen)
    world.drain(at=at)
    assert at.fired
    assert world.server.requests.count(["n0", "n1"]) == 2, "both have sent it"
    world.settle_down()
    world.check(without=["n3"])
    assert len(world.letters()) == 1
    assert world.counts() == {"settled": 7, "refused": 1, "stuck": 2, "searched": 2}
