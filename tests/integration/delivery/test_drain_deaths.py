"""The loop where a worker dies, freezes or loses its lease, or Redis loses what was written last."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sockudo_publisher.delivery.drain import DrainAgain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.keys import lane_keys
from tests.integration.delivery.world import APP, At, Control, Died, DrainWorld
from tests.unit.delivery.model import Cut

pytestmark = pytest.mark.integration


POINTS = ("leased", "taken", "posted", "settled", "held", "buried")


def test_worker_dies_after_take_before_post(world: DrainWorld) -> None:
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


def test_worker_dies_during_post_and_the_server_goes_on(world: DrainWorld) -> None:
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


def test_worker_dies_during_post_and_its_request_was_cut(world: DrainWorld) -> None:
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


@pytest.mark.parametrize("time", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize("point", POINTS)
def test_worker_dies_at_any_step_and_a_successor_finishes(world: DrainWorld, point: str, time: int) -> None:
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
        *[(point, 1) for point in POINTS],
        *[pytest.param(point, time, marks=pytest.mark.long) for point in ("taken", "posted") for time in (2, 5)],
        *[pytest.param("settled", time, marks=pytest.mark.long) for time in (2, 3)],
    ],
)
def test_holder_that_lost_its_lease_does_no_harm(world: DrainWorld, point: str, time: int) -> None:
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


def test_two_holders_never_both_send_after_a_freeze(world: DrainWorld) -> None:
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


def test_lease_lost_with_the_answer_in_hand_is_taken_again(world: DrainWorld) -> None:
    """If no other worker has it: settling now spares a resend."""
    world.append(world.channel(), 10)

    def lease_runs_out(body: bytes) -> Reply | NoReply:
        world.lose_leases()
        return world.server.post(body)

    world.drain(post=lease_runs_out)
    assert len(world.server.requests) == 1
    world.check()
    assert world.counts() == {"settled": 10}


def test_lease_lost_with_the_answer_in_hand_and_taken_by_another(world: DrainWorld) -> None:
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


def test_marker_that_redis_lost_is_not_settled(world: DrainWorld) -> None:
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


@pytest.mark.parametrize("culprit", ["stuck", "poison", "uncertain"])
def test_culprit_whose_marker_redis_lost_is_asked_about_again(world: DrainWorld, culprit: str) -> None:
    """After a failover no item leaves under another marker, and the drain goes on."""
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


def test_item_that_redis_gives_back_is_not_settled_past(world: DrainWorld) -> None:
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


def test_lease_that_is_taken_again_reads_the_holds_anew(world: DrainWorld) -> None:
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


def test_failed_run_keeps_no_lease_and_no_right_to_probe(world: DrainWorld) -> None:
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


def test_holder_that_takes_its_lease_again_moves_no_head_back(world: DrainWorld) -> None:
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
