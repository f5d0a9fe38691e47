"""Who may drain a queue: leases, doorbells that were lost, and what keeps a lease alive."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal import lease as lease_module
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.lease import FRESH_S, TTL_MS, LeaseLost
from tests.integration.journal.one_lane import OneLane, bodies_of

pytestmark = pytest.mark.integration

#: Seconds for what another thread or process does, on a machine that is ten times slower.
WAIT_S = 30.0
#: ms that a lease has left before something extends it.
SHORT_MS = TTL_MS // 2


class TestAcquire:
    def test_one_holder_at_a_time(self, lane: OneLane) -> None:
        """A second finds nothing, and leaves no mark: not even a number."""
        lane.acquire()
        before = lane.everything()
        assert lane.journal.acquire(0) is None
        assert Journal(lane.url, lane.app, lanes=1).acquire(0) is None, "nor in another process"
        assert lane.everything() == before

    def test_a_lease_ends_by_itself(self, lane: OneLane) -> None:
        """A killed worker's lanes wait no longer than that."""
        holder = lane.acquire()
        assert lane.client.get(holder.keys.lease) == holder.lease.token.encode()
        assert 0 < lane.client.pttl(holder.keys.lease) <= TTL_MS

    def test_every_lease_has_the_next_number_and_an_owner_of_its_own(self, lane: OneLane) -> None:
        tokens = []
        for _ in range(3):
            holder = lane.acquire()
            tokens.append(holder.lease.token)
            lane.expire_lease(holder)
        fences, owners = zip(*[token.split("-") for token in tokens], strict=True)
        assert [int(fence) - int(fences[0]) for fence in fences] == [0, 1, 2]
        assert len(set(owners)) == 3

    @pytest.mark.parametrize("value", [b"x", b"", b"nan", b"1.5", b"9" * 30, b"9223372036854775807"])
    def test_a_number_that_is_none_goes_on_with_the_time(self, lane: OneLane, value: bytes) -> None:
        """Higher than all before, and the next one follows it."""
        lane.client.hset(f"{lane.base}:state", "fence", value)
        now_ms = lane.journal.now_ms()
        fences = []
        for _ in range(2):
            holder = lane.acquire()
            fences.append(int(holder.lease.token.split("-")[0]))
            lane.expire_lease(holder)
        assert now_ms - 1000 < fences[0] < now_ms + 60_000
        assert fences[1] == fences[0] + 1

    def test_a_holder_is_told_what_is_held(self, lane: OneLane) -> None:
        """Take has to know the held channels' keys."""
        lane.append_to(("a", b"1"), ("b", b"2"), ("c", b"3"))
        first = lane.acquire()
        assert first.held == set()
        lane.hold_first(first)
        lane.hold_first(first)
        assert first.held == {"a", "b"}
        lane.expire_lease(first)
        assert lane.acquire().held == {"a", "b"}
        assert lane.acquire("a").held == set(), "a hold holds nothing back"

    def test_a_hold_that_is_over_is_not_acquired(self, lane: OneLane) -> None:
        """A late doorbell leaves no lease and no state of a hold that has ended."""
        before = lane.everything()
        assert lane.journal.acquire(0, "a") is None
        assert {key for key in lane.everything() if b":hold:" in key} == set()
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        assert lane.journal.acquire(0, "b") is None
        assert lane.drain("a") == [b"1"]
        assert lane.journal.acquire(0, "a") is None
        assert set(before) <= set(lane.everything())

    def test_a_hold_that_is_not_listed_is_not_acquired(self, lane: OneLane) -> None:
        """Redis lost the list's write: later events of the channel pass it, its own must not come after them."""
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        lane.client.zrem(f"{lane.base}:holds", "a")
        before = lane.everything()
        assert lane.journal.acquire(0, "a") is None
        assert lane.everything() == before

    def test_a_hold_without_entries_ends(self, lane: OneLane) -> None:
        """With its empty stream and its state: neither has an end of its own."""
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        lane.client.xtrim(f"{lane.hold_base('a')}:stream", maxlen=0, approximate=False)
        assert lane.journal.acquire(0, "a") is None
        assert {key for key in lane.everything() if b":hold:" in key} == set()
        assert lane.now.holds == {}


class TestRelease:
    def test_an_empty_lane_rests(self, lane: OneLane) -> None:
        """The lease is free, and the next append rings."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.journal.settle(holder, lane.take(holder))
        assert lane.journal.release(holder)
        assert not lane.client.exists(holder.keys.lease)
        assert lane.state("armed") is None

    def test_a_lane_with_entries_is_kept(self, lane: OneLane) -> None:
        """What came between the last take and the release has rung no worker: its holder goes on."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.client.pexpire(holder.keys.lease, SHORT_MS)
        assert not lane.journal.release(holder)
        assert lane.client.get(holder.keys.lease) == holder.lease.token.encode()
        assert lane.client.pttl(holder.keys.lease) > SHORT_MS, "with a whole lease to do it"
        assert lane.state("armed") == b"1"

    def test_handing_over_gives_back_whatever_there_is(self, lane: OneLane) -> None:
        """The lane stays armed: who hands over rings."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.journal.hand_over(holder)
        assert not lane.client.exists(holder.keys.lease)
        assert lane.state("armed") == b"1"
        assert lane.append(b"2").ring == ()

    def test_handing_over_an_empty_lane_lets_it_rest(self, lane: OneLane) -> None:
        """Else no append would ring it any more."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.journal.settle(holder, lane.take(holder))
        lane.journal.hand_over(holder)
        assert lane.append(b"2").ring == (0,)

    @pytest.mark.parametrize("entries", [0, 1])
    def test_a_lost_lease_is_not_given_back(self, lane: OneLane, entries: int) -> None:
        """Its successor's stays, and so does the lane's flag."""
        first = lane.acquire()
        lane.append(*[b"1"] * entries) if entries else lane.client.hset(f"{lane.base}:state", "armed", "1")
        lane.expire_lease(first)
        lane.acquire()
        before = lane.everything()
        with pytest.raises(LeaseLost):
            lane.journal.release(first)
        with pytest.raises(LeaseLost):
            lane.journal.hand_over(first)
        assert lane.everything() == before


class TestLostLease:
    @pytest.mark.parametrize("successor", [True, False], ids=["taken over", "run out"])
    @pytest.mark.parametrize("what", ["renew", "take", "settle", "settle and take", "hold", "bury", "unmark"])
    def test_a_zombie_changes_nothing(self, lane: OneLane, what: str, successor: bool) -> None:
        """Every script that writes looks at the token first."""
        lane.append(b"1", b"2")
        zombie = lane.acquire()
        batch = lane.take(zombie)
        lane.expire_lease(zombie)
        if successor:
            assert bodies_of(lane.take(lane.acquire())) == [b"1", b"2"]
        before = lane.everything()
        calls = {
            "renew": zombie.lease.renew,
            "take": lambda: lane.take(zombie),
            "settle": lambda: lane.journal.settle(zombie, batch),
            "settle and take": lambda: lane.journal.settle_and_take(zombie, batch, max_items=9, max_bytes=999),
            "hold": lambda: lane.journal.hold(zombie, batch, retry_in_s=0),
            "bury": lambda: lane.journal.bury(zombie, batch, DeadLetterFields("refused")),
            "unmark": lambda: lane.journal.unmark(zombie, batch),
        }
        with pytest.raises(LeaseLost):
            calls[what]()
        assert zombie.lease.lost
        assert lane.everything() == before
        with pytest.raises(LeaseLost):
            zombie.lease.ensure_fresh()

    @pytest.mark.parametrize("successor", [True, False], ids=["taken over", "run out"])
    def test_a_zombie_puts_nothing_off(self, lane: OneLane, successor: bool) -> None:
        """A held channel is tried again when its holder says, not when an earlier one wakes up."""
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        zombie = lane.acquire("a")
        lane.expire_lease(zombie)
        if successor:
            assert bodies_of(lane.take(lane.acquire("a"))) == [b"1"]
        before = lane.everything()
        with pytest.raises(LeaseLost):
            lane.journal.retry_hold_in(zombie, 100)
        assert lane.everything() == before

    @pytest.mark.parametrize("what", ["renew", "take", "settle", "hold", "bury"])
    def test_every_sign_of_life_extends_the_lease(self, lane: OneLane, what: str) -> None:
        """A busy holder needs no renewal beside its work."""
        lane.append(b"1", b"2")
        holder = lane.acquire()
        batch = lane.take(holder)
        lane.client.pexpire(holder.keys.lease, SHORT_MS)
        calls = {
            "renew": holder.lease.renew,
            "take": lambda: lane.take(holder),
            "settle": lambda: lane.journal.settle(holder, batch.head(1)),
            "hold": lambda: lane.journal.hold(holder, batch, retry_in_s=0),
            "bury": lambda: lane.journal.bury(holder, batch, DeadLetterFields("refused")),
        }
        calls[what]()
        assert SHORT_MS < lane.client.pttl(holder.keys.lease) <= TTL_MS


class TestKeepingALease:
    def test_the_keeper_renews_while_its_holder_waits_for_an_answer(self, lane: OneLane, monkeypatch) -> None:
        """A POST may take longer than a lease lasts: this one is about to run out, and does not."""
        monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0.05)
        holder = lane.acquire()
        lane.client.pexpire(holder.keys.lease, 60_000)
        assert wait_for(lambda: 0 < lane.client.pttl(holder.keys.lease) <= TTL_MS, WAIT_S), (
            "renewed to its usual length"
        )
        trusted = holder.lease._trusted_from
        assert wait_for(lambda: holder.lease._trusted_from > trusted, WAIT_S)
        holder.lease.ensure_fresh()

    def test_the_keeper_tells_a_holder_that_its_lease_is_lost(self, lane: OneLane, monkeypatch) -> None:
        """Before its POST has come back."""
        monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0.05)
        lost, kept = lane.acquire(), None
        lane.expire_lease(lost)
        kept = lane.acquire()
        assert wait_for(lambda: lost.lease.lost, WAIT_S)
        assert not kept.lease.lost
        with pytest.raises(LeaseLost):
            lost.lease.ensure_fresh()

    def test_the_keeper_renews_nothing_that_was_given_back(self, lane: OneLane, monkeypatch) -> None:
        """And ends when there is nothing to renew; the next lease starts it again."""
        monkeypatch.setattr(lease_module, "RENEW_EVERY_S", 0.05)
        holder = lane.acquire()
        thread = lane.journal._keeper._thread
        assert lane.journal.release(holder)
        assert not lane.client.exists(holder.keys.lease)
        assert thread is not None
        thread.join(WAIT_S)
        assert not thread.is_alive()
        again = lane.acquire()
        lane.client.pexpire(again.keys.lease, 60_000)
        assert wait_for(lambda: 0 < lane.client.pttl(again.keys.lease) <= TTL_MS, WAIT_S)

    def test_a_fresh_lease_costs_no_round_trip(self, lane: OneLane) -> None:
        """Nor does it look at Redis: trust is counted on the own clock."""
        holder = lane.acquire()
        lane.journal.forget(holder)
        lane.expire_lease(holder)
        holder.lease.trust_from(time.monotonic())
        holder.lease.ensure_fresh()

    def test_a_holder_that_froze_asks_before_it_sends(self, lane: OneLane) -> None:
        """Another worker may have sent its batch, and the server may have forgotten it."""
        holder = lane.acquire()
        lane.journal.forget(holder)
        holder.lease._trusted_from -= FRESH_S + 1  # the clock went on
        lane.client.pexpire(holder.keys.lease, SHORT_MS)
        holder.lease.ensure_fresh()
        assert lane.client.pttl(holder.keys.lease) > SHORT_MS, "renewed"
        holder.lease._trusted_from -= FRESH_S + 1
        lane.expire_lease(holder)
        with pytest.raises(LeaseLost):
            holder.lease.ensure_fresh()

    def test_an_answer_that_was_late_gives_no_trust(self, lane: OneLane) -> None:
        """Trust counts from when the renewal was asked for, and never goes back."""
        holder = lane.acquire()
        now = holder.lease._trusted_from
        holder.lease.trust_from(now + 1)
        holder.lease.trust_from(now)
        assert holder.lease._trusted_from == now + 1


# Python 3.12 warns of what is tested here: a fork while threads run (the keeper's), as under gunicorn's preload.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
class TestFork:
    def test_a_child_has_connections_and_leases_of_its_own(self, lane: OneLane) -> None:
        """It talks at the same time as its parent, is refused the parent's lease, and renews none of them."""
        lane.append(b"1")
        holder = lane.acquire()
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()

        def child() -> None:
            told = [lane.journal.acquire(0) is None]
            told += [bool(lane.journal.link.call("PING") == b"PONG") for _ in range(200)]
            lane.journal._keeper.add(holder.lease)  # begins anew: the parent's thread is not here
            thread = lane.journal._keeper._thread
            told.append(thread is not None and thread.is_alive() and lane.journal._keeper._leases == {holder.lease})
            theirs.send(all(told))
            theirs.close()
            os._exit(0)

        process = context.Process(target=child)
        process.start()
        answers = [lane.journal.link.call("ECHO", str(n)) for n in range(200)]
        assert answers == [str(n).encode() for n in range(200)], "no other thread reads our answers"
        assert ours.poll(WAIT_S)
        assert ours.recv()
        process.join(WAIT_S)
        assert process.exitcode == 0
        assert bodies_of(lane.take(holder)) == [b"1"]


class TestSweep:
    def test_a_lane_whose_doorbell_was_lost_is_told_once(self, lane: OneLane) -> None:
        """To one caller; the others have nothing to ring, until the gap is over."""
        lane.append(b"1")
        assert lane.journal.sweep([0]) == ([0], [])
        assert lane.journal.sweep([0]) == ([], [])
        seconds, micros = lane.client.time()
        rung = int(lane.state("rung") or 0)
        assert 0 <= seconds * 1000 + micros // 1000 - rung < WAIT_S * 1000
        lane.client.hset(f"{lane.base}:state", "rung", rung - 2001)
        assert lane.journal.sweep([0]) == ([0], [])

    def test_a_clock_that_was_set_back_keeps_no_lane_waiting(self, lane: OneLane) -> None:
        """A failover to a machine whose clock is an hour behind: the last ring seems to be still to come."""
        lane.append(b"1")
        seconds, _ = lane.client.time()
        lane.client.hset(f"{lane.base}:state", "rung", seconds * 1000 + 3_600_000)
        assert lane.journal.sweep([0]) == ([0], [])
        assert lane.journal.sweep([0]) == ([], [])

    def test_another_holders_lease_is_not_extended(self, lane: OneLane) -> None:
        """A sweep or a drain that comes in vain would keep a dead worker's lane for ever."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.client.pexpire(holder.keys.lease, SHORT_MS)
        assert lane.journal.sweep([0]) == ([], [])
        assert lane.journal.acquire(0) is None
        assert 0 < lane.client.pttl(holder.keys.lease) <= SHORT_MS

    @pytest.mark.parametrize(("ahead_ms", "is_rung"), [(60_000, False), (200_000, True), (10**13, True)])
    def test_a_rest_that_is_longer_than_any_is_over(
        self, lane: OneLane, caplog: pytest.LogCaptureFixture, ahead_ms: int, is_rung: bool
    ) -> None:
        """A clock was set back; a lane that rests is passed over, and its keys are not called wrong."""
        lane.append(b"1")
        lane.client.hset(f"{lane.base}:state", "retry_at", lane.journal.now_ms() + ahead_ms)
        assert lane.journal.sweep([0]) == ([0] if is_rung else [], [])
        assert caplog.messages == []

    @pytest.mark.parametrize("value", [b"x", b"", b"nan", b"1.5", b"9" * 30])
    def test_unanswered_rings_that_are_no_number_are_counted_anew(
        self, lane: OneLane, caplog: pytest.LogCaptureFixture, value: bytes
    ) -> None:
        """The lane is rung, and not unheard after one ring."""
        lane.append(b"1")
        lane.client.hset(f"{lane.base}:state", "unanswered", value)
        assert lane.journal.sweep([0]) == ([0], [])
        assert (lane.state("unanswered"), lane.state("unheard")) == (b"1", None)
        assert caplog.messages == []

    def test_a_lane_that_lost_its_flag_is_armed_again(self, lane: OneLane) -> None:
        """A lane with entries is leased or armed."""
        lane.append(b"1")
        lane.client.hdel(f"{lane.base}:state", "armed")
        assert lane.journal.sweep([0]) == ([0], [])
        assert lane.state("armed") == b"1"

    def test_lanes_that_are_empty_or_drained_are_left_alone(self, lane: OneLane) -> None:
        """Nothing is rung, nothing is written."""
        assert lane.journal.sweep([0]) == ([], [])
        lane.append(b"1")
        lane.acquire()
        assert lane.journal.sweep([0]) == ([], [])
        assert lane.state("rung") is None

    def test_a_hold_that_is_due_is_told_once(self, lane: OneLane) -> None:
        """And is due again after the gap; one that is not due waits."""
        lane.append_to(("a", b"1"), ("b", b"2"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.hold_first(holder, retry_in_s=1000)
        assert lane.journal.sweep([0]) == ([], [(0, "a")])
        assert lane.journal.sweep([0]) == ([], [])
        seconds, _ = lane.client.time()
        due = lane.client.zscore(f"{lane.base}:holds", "a")
        assert abs(due - seconds * 1000 - 2000) < WAIT_S * 1000
        lane.client.zadd(f"{lane.base}:holds", {"a": due - 3000})
        assert lane.journal.sweep([0]) == ([], [(0, "a")])

    def test_a_hundred_holds_are_told_at_a_time(self, lane: OneLane) -> None:
        """The rest at the next sweep: one call must not keep Redis."""
        lane.client.zadd(f"{lane.base}:holds", {f"c{n}": 1 for n in range(130)})
        first, second = lane.journal.sweep([0])[1], lane.journal.sweep([0])[1]
        assert (len(first), len(second)) == (100, 30)
        assert len({*first, *second}) == 130

    def test_third_unanswered_ring_makes_a_lane_unheard(self, lane: OneLane) -> None:
        """Each ring of the sweep counts, and Redis notes when the third was not answered."""
        lane.append(b"1")
        for count in (1, 2, 3):
            assert lane.journal.unheard_lanes([0]) == set()
            lane.forget_ring()
            assert lane.journal.sweep([0]) == ([0], [])
            assert lane.journal.sweep([0]) == ([], []), "no ring, no count"
            assert lane.state("unanswered") == b"%d" % count
        assert lane.journal.unheard_lanes([0]) == {0}
        seconds, _ = lane.client.time()
        assert abs(int(lane.state("unheard") or 0) - seconds * 1000) < WAIT_S * 1000

    @pytest.mark.parametrize("channel", [None, "a"])
    def test_lease_answers_all_rings_of_its_lane(self, lane: OneLane, channel: str | None) -> None:
        """That of the lane and that of a held channel; when it was unheard stays known."""
        lane.append_to(("a", b"1"), ("b", b"2"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.journal.hand_over(holder)
        for _ in range(3):
            lane.forget_ring()
            lane.journal.sweep([0])
        assert lane.journal.unheard_lanes([0]) == {0}
        lane.acquire(channel)
        assert lane.state("unanswered") is None
        assert lane.journal.unheard_lanes([0]) == set()
        assert lane.state("unheard") is not None

    def test_ring_of_a_hold_counts_for_its_lane(self, lane: OneLane) -> None:
        """A held channel is rung by the sweep alone; several that are due are one ring of the lane."""
        lane.client.zadd(f"{lane.base}:holds", {"a": 1, "b": 1})
        assert len(lane.journal.sweep([0])[1]) == 2
        assert lane.state("unanswered") == b"1"

    def test_rings_of_a_paused_app_are_not_counted(self, lane: OneLane) -> None:
        """One of its lanes is rung then, to probe; the others have no ring to answer."""
        lane.append(b"1")
        assert lane.journal.sweep([0], is_counted=False) == ([0], [])
        assert lane.state("unanswered") is None

    def test_who_waits_is_seen(self, make_lane) -> None:
        """Entries without a holder: waiting; with one: not empty."""
        lane = make_lane()
        assert (lane.journal.has_waiting_lane([0]), lane.journal.lanes_with_entries([0])) == (False, [])
        lane.append(b"1")
        assert (lane.journal.has_waiting_lane([0]), lane.journal.lanes_with_entries([0])) == (True, [0])
        lane.acquire()
        assert (lane.journal.has_waiting_lane([0]), lane.journal.lanes_with_entries([0])) == (False, [0])

    def test_an_entry_wakes_who_waits_for_it(self, lane: OneLane) -> None:
        """And nothing wakes who waits in vain."""
        holder = lane.acquire()
        assert not lane.journal.wait_for_entry(holder, 0.01)
        lane.append(b"1")
        assert lane.journal.wait_for_entry(holder, WAIT_S)
