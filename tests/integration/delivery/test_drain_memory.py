"""The loop where the server forgets ids: canaries after trouble, the window that is nothing, history."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from sockudo_publisher.canaries.ask import CHANNEL, MAX_REPEATS, Canaries
from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.canaries.values import Canary, MemoryReport
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.drain import DrainAgain, drain
from sockudo_publisher.delivery.outcome import Finding, NoReply, Outcome, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.lease import TTL_MS
from sockudo_publisher.journal.pack import Item
from tests.integration.delivery.world import APP, SOON_MS, Control, Died, World
from tests.support.timing import BUSY_S
from tests.unit.delivery.model import AnswerLost

pytestmark = pytest.mark.integration

WINDOW_S = 120.0


class Edge:
    """What a worker gives the loop beside `post`: the app's canaries, and a history."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.canaries = Canaries(APP, DedupMemory(world.journal.link, APP), self.post, window_s=WINDOW_S, timeout_s=5.0)
        self.asked_since: list[int] = []
        self.timeouts_s: list[float] = []
        #: Milliseconds that the right to probe has left, at each request of a canary.
        self.right_ms: list[int] = []
        self.history: set[str] = set()
        self.looked: list[list[str]] = []
        self.looked_since: list[int] = []
        self.die_asking = False
        #: Answers of the server to canaries, before it answers by itself.
        self.replies: list[Reply | NoReply] = []

    def post(self, body: bytes, timeout_s: float = 5.0) -> Reply | NoReply:
        self.timeouts_s.append(timeout_s)
        self.right_ms.append(self.world.redis.pttl(AppKeys.of(APP).probe))
        return self.replies.pop(0) if self.replies else self.world.server.post(body)

    def ask(self, since_ms: int, timeout_s: float) -> CanaryResult:
        if self.die_asking:
            raise Died("asking")
        self.asked_since.append(since_ms)
        return self.canaries.check_after_trouble(since_ms, timeout_s)

    def find(self, items: Sequence[Item], since_ms: int) -> list[bool]:
        ids = [json.loads(item.body)["message_id"] for item in items]
        self.looked.append(ids)
        self.looked_since.append(since_ms)
        return [one in self.history for one in ids]

    def plant(self, *ages_s: float) -> None:
        """Canaries that the server has accepted so long ago."""
        now_ms = self.canaries.memory.now_ms()
        for age_s in ages_s:
            one = Canary(f"planted-{age_s}", now_ms - int(age_s * 1000), 10**6)
            event = {"channel": CHANNEL, "name": "canary", "data": "planted", "extras": {"ephemeral": True}}
            body = json.dumps({"batch": [{**event, "message_id": one.id}]}).encode()
            assert isinstance(self.world.server.post(body), Reply)
            self.canaries.memory.record_planted([one])

    def drain(self, lane: int = 0, *, at: Callable[[str], None] = lambda point: None) -> DrainAgain | None:
        """One drain by a new worker."""
        return drain(
            self.world.worker(),
            lane,
            post=self.world.server.post,
            policy=self.world.policy,
            control=self.world.control,
            crash_point=at,
            ask_canaries=self.ask,
            history_lookup=self.find,
        )

    def sent(self) -> list[list[str]]:
        """The requests without those of canaries."""
        return [
            [one["message_id"] for one in batch]
            for body in self.world.server.bodies
            if (batch := json.loads(body)["batch"])[0]["channel"] != CHANNEL
        ]

    def report(self) -> MemoryReport:
        return self.canaries.memory.report()


@pytest.fixture
def edge(world: World) -> Edge:
    return Edge(world)


def die(point: str) -> None:
    if point == "posted":
        raise Died(point)


def left_unknown(edge: Edge, count: int) -> list[str]:
    """Events whose first attempt ended unknown: all of them were accepted."""
    ids = edge.world.append(edge.world.channel(), count)
    with pytest.raises(Died):
        edge.drain(at=die)
    edge.world.lose_leases()
    return ids


def forgets(world: World) -> None:
    """The canaries have found out."""
    until_ms = world.journal.now_ms() + 100_000
    DedupMemory(world.journal.link, APP).record_report(MemoryReport("forgets", forgets_until_ms=until_ms))


# -- a server that does not remember -------------------------------------------------------------------


def test_unknown_outcome_is_uncertain_at_once_where_the_server_forgets(world: World, edge: Edge) -> None:
    """Policy `resend`: sent again, counted as after the window."""
    left_unknown(edge, 10)
    forgets(world)
    edge.drain()
    assert world.counts() == {"settled": 10, "resent_after_window": 10}


def test_unknown_outcome_is_parked_at_once_where_the_server_forgets(world: World, edge: Edge) -> None:
    """Policy `park`: a dead letter that says why; what was never sent goes out."""
    ids = left_unknown(edge, 3)
    fresh = world.append(world.channel(), 2)
    forgets(world)
    world.policy = Policy(on_uncertain="park")
    edge.drain()
    assert edge.sent() == [ids, fresh]
    assert world.counts() == {"settled": 2, "parked_uncertain": 3}
    assert {letter["words"] for letter in world.letters()} == {
        "not known to be delivered, and the server does not remember ids"
    }


def test_verdict_that_has_run_out_changes_nothing(world: World, edge: Edge) -> None:
    """It holds for a window."""
    left_unknown(edge, 3)
    past_ms = world.journal.now_ms() - 1
    edge.canaries.memory.record_report(MemoryReport("forgets", forgets_until_ms=past_ms))
    edge.drain()
    assert world.counts() == {"settled": 3}
    world.check()


# -- after trouble -------------------------------------------------------------------------------------


def meet_trouble(edge: Edge, reply: Reply | NoReply = NoReply(sent=True)) -> list[str]:  # noqa: B008 -- frozen
    """Ten events were accepted, their answer was lost, and the app waits."""
    world = edge.world
    ids = world.append(world.channel(), 10)
    control = Control(world)

    def answer_is_lost(body: bytes) -> Reply | NoReply:
        world.server.post(body)
        control.is_stopping = True  # a wait may be over before it begins, on a busy machine
        return reply

    world.drain(journal=world.worker(), control=control, post=answer_is_lost)
    assert world.pause() is not None
    world.pass_time(60)
    return ids


def test_canaries_are_asked_before_anything_is_resent(world: World, edge: Edge) -> None:
    """The server came back empty: all of it is uncertain, and said so to every worker and to people."""
    edge.plant(70, 80, 90, 100)
    meet_trouble(edge)
    world.server.forget()
    world.policy = Policy(on_uncertain="park")
    edge.drain()
    assert len(edge.sent()) == 1, "the first attempt only"
    assert world.counts() == {"parked_uncertain": 10}
    assert world.journal.shared.view().forgets_until_ms > world.journal.now_ms()
    assert (edge.report().verdict, edge.report().forgotten) == ("forgets", 3)
    assert world.pause() is None, "it has answered a canary, and nothing is left to send"
    world.append(world.channel(), 1)
    edge.drain()
    assert world.counts() == {"parked_uncertain": 10, "settled": 1}
    assert len(edge.asked_since) == 1, "what is forgotten is not asked for again"


def test_server_that_kept_its_memory_is_resent_to(world: World, edge: Edge) -> None:
    """Three canaries older than the trouble say so, each is gone; one new is planted."""
    edge.plant(70, 80, 95, 100, 110)
    ids = meet_trouble(edge)
    edge.drain()
    assert edge.sent() == [ids, ids]
    left = [one.id for one in edge.canaries.memory.canaries()]
    assert [one for one in left if one.startswith("planted")] == ["planted-110", "planted-100"]
    assert len(left) == 3
    since_ms = edge.asked_since[0]
    assert 59_000 < world.journal.now_ms() - since_ms < 70_000, "since the first attempt at what is resent"
    assert world.counts() == {"settled": 10}
    world.check()


def test_every_prober_asks_and_not_only_one_with_something_to_resend(world: World, edge: Edge) -> None:
    """The pause that it ends lets other lanes resend theirs."""
    edge.plant(100)
    ids = meet_trouble(edge)
    world.server.forget()
    world.append(world.channel(lane=1), 1)
    world.policy = Policy(on_uncertain="park")
    edge.drain(lane=1)
    since_ms = world.journal.now_ms() - edge.asked_since[0]
    assert 30_000 <= since_ms < 40_000, "trouble is seen at the end of an attempt: it began a timeout before"
    assert world.pause() is None
    world.drain(lane=0, journal=world.worker())
    assert world.counts() == {"parked_uncertain": len(ids)}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(Reply(500, b"", {}), "unknown", id="500"),
        pytest.param(NoReply(sent=False), "unreachable", id="not sent"),
        pytest.param(Reply(503, b"", {}), "busy", id="busy"),
        pytest.param(Reply(401, b"", {}), "misconfigured", id="misconfigured"),
    ],
)
def test_trouble_that_lasts_costs_a_new_canary_only(
    world: World, edge: Edge, reply: Reply | NoReply, reason: str
) -> None:
    """The pause goes on, the old canaries are kept for the end, the batch keeps its mark."""
    edge.plant(70, 80)
    ids = meet_trouble(edge)
    marker = world.marker()
    edge.replies = [reply]
    world.control.stops_after = 1
    edge.drain()
    assert world.pause() == reason
    assert edge.sent() == [ids]
    assert len(edge.canaries.memory.canaries()) == 2
    assert marker is not None
    assert not world.is_probing()

    world.control = Control(world)
    world.pass_time(10)
    edge.drain()
    assert world.counts() == {"settled": 10}
    world.check()


def test_fresh_batch_is_unmarked_when_the_canary_fails(world: World, edge: Edge) -> None:
    """It was never sent."""
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(60)
    edge.replies = [Reply(500, b"", {})]
    world.control.stops_after = 1
    edge.drain()
    assert world.marker() is None
    assert edge.sent() == []
    world.control = Control(world)
    world.pass_time(10)
    edge.drain()
    world.check()


def test_canaries_that_get_no_clear_answer_keep_the_app_waiting(world: World, edge: Edge) -> None:
    """The new one was accepted, the questions failed: trouble lasts."""
    edge.plant(70)
    ids = meet_trouble(edge)
    planted = Reply(200, json.dumps({"batch": [{"acknowledgement_id": "x"}]}).encode(), {})
    edge.replies = [planted, Reply(500, b"", {})]
    world.control.stops_after = 1
    edge.drain()
    assert world.pause() == "unknown"
    assert edge.sent() == [ids]


def test_without_canaries_the_setting_is_all_there_is(world: World, edge: Edge) -> None:
    """Nothing to ask: what the settings say holds."""
    ids = meet_trouble(edge)
    edge.drain()
    assert edge.sent() == [ids, ids]
    world.check()


def test_full_redis_keeps_nobody_from_asking(world: World, edge: Edge) -> None:
    """Nor another lane from hearing what the canaries said: it would resend what is forgotten."""
    edge.plant(100)
    other = world.append(world.channel("b", 1), 3)
    with pytest.raises(Died):
        edge.drain(1, at=die)
    world.lose_leases()
    meet_trouble(edge)
    world.server.forget()
    world.policy = Policy(on_uncertain="park")
    world.redis.config_set("maxmemory", 1)
    try:
        edge.drain()
        edge.drain(1)
    finally:
        world.redis.config_set("maxmemory", 0)
    assert edge.sent().count(other) == 1
    assert (world.counts(0), world.counts(1)) == ({"parked_uncertain": 10}, {"parked_uncertain": 3})
    assert edge.report().verdict == "forgets"


# -- history -------------------------------------------------------------------------------------------


def test_uncertain_events_in_history_are_settled_and_counted_apart(world: World, edge: Edge) -> None:
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


def test_park_policy_parks_only_what_history_does_not_have(world: World, edge: Edge) -> None:
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


def test_history_is_looked_at_again_after_an_attempt(world: World, edge: Edge) -> None:
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


def test_search_that_history_ends_leaves_the_next_batch_whole(world: World, edge: Edge) -> None:
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


def test_event_in_history_is_settled_though_it_has_expired(world: World, edge: Edge) -> None:
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


def test_history_is_not_looked_at_while_the_server_remembers(world: World, edge: Edge) -> None:
    """A resend is free then, and proves more."""
    left_unknown(edge, 3)
    edge.drain()
    assert edge.looked == []
    world.check()


# -- the beat ------------------------------------------------------------------------------------------


def beats(edge: Edge, count: int) -> list[MemoryReport]:
    """So many beats of five seconds each."""
    reports = []
    for _ in range(count):
        reports.append(edge.canaries.beat(range(edge.world.lanes)))
        age_canaries(edge.world, 5.0)
    return reports


def age_canaries(world: World, seconds: float) -> None:
    """So much later for all that is known of canaries."""
    ms, keys = int(seconds * 1000), AppKeys.of(APP)
    world.pass_time(seconds)
    for key in (keys.canaries, keys.canary_answers):
        for member in world.redis.zrange(key, 0, -1):
            world.redis.zincrby(key, -ms, member)
    for name in ("settled_ms", "peak_ms"):
        if world.redis.hget(keys.memory, name):
            world.redis.hincrby(keys.memory, name, -ms)
    until_ms = int(world.redis.hget(keys.memory, "forgets_until") or 0)
    if until_ms:
        report = edge_report(world)
        world.redis.hset(keys.memory, "forgets_until", until_ms - ms)
        report["forgets_until_ms"] = until_ms - ms
        world.redis.hset(keys.memory, "report", json.dumps(report))


def edge_report(world: World) -> dict[str, object]:
    found = json.loads(world.redis.hget(AppKeys.of(APP).memory, "report") or b"{}")
    assert isinstance(found, dict)
    return found


def test_beats_of_a_window_say_that_the_server_remembers(world: World, edge: Edge) -> None:
    """Ten answers after a while, then the age grows to nine tenths of the window; each id is asked once."""
    world.server.ttl_s = WINDOW_S
    reports = beats(edge, 48)
    assert [report.verdict for report in reports[:5]] == ["unknown"] * 5
    assert {report.verdict for report in reports[24:]} == {"remembers"}
    assert 100 < reports[-1].remembered_s <= 112 + BUSY_S
    assert reports[-1].asked >= 24
    asked = [
        item["message_id"] for body in world.server.bodies if (item := json.loads(body)["batch"][0])["data"] == "asked"
    ]
    assert len(asked) == len(set(asked))
    assert len(world.server.requests) < 48 * 3, "cheap"


def test_memory_that_is_lost_is_told_at_the_next_beats_and_forgiven_after_a_window(world: World, edge: Edge) -> None:
    """One forgotten id counts for a whole window."""
    world.server.ttl_s = WINDOW_S
    beats(edge, 30)
    world.server.forget()
    assert beats(edge, 1)[-1].verdict == "forgets"
    reports = beats(edge, 60)
    verdicts = [report.verdict for report in reports]
    assert verdicts[:24] == ["forgets"] * 24
    assert verdicts[-1] == "remembers"
    assert verdicts == sorted(verdicts), "one change"


def test_rate_is_what_the_workers_delivered(world: World, edge: Edge) -> None:
    """Events per second of the busiest beat: the advice is made for it."""
    beats(edge, 2)
    world.append(world.channel(), 5000)
    world.policy = Policy(batch_max_events=1000)
    edge.drain()
    assert 500 < beats(edge, 1)[0].rate <= 1001
    assert 500 < beats(edge, 3)[-1].rate <= 1001


def test_unclear_answers_are_no_verdict(world: World, edge: Edge) -> None:
    """A canary that got none is dropped: its second payload may have been stored."""
    edge.plant(10)
    edge.canaries.memory.claim(edge.canaries.memory.canaries())
    edge.canaries.memory.record_planted([Canary("old", world.journal.now_ms() - 10_000, 1)])
    edge.replies = [Reply(500, b"", {}), Reply(500, b"", {})]
    report = edge.canaries.beat(range(2))
    assert (report.verdict, report.asked) == ("unknown", 0)
    assert edge.canaries.memory.canaries() == (), "neither asked again nor planted"


def test_stale_canaries_are_dropped_unasked(world: World, edge: Edge) -> None:
    """Their holder was away too long."""
    edge.plant(119)
    edge.canaries.memory.record_planted([Canary("old", world.journal.now_ms() - 119_000, 1)])
    asked = len(world.server.requests)
    report = edge.canaries.beat(range(2))
    assert report.asked == 0
    assert len(world.server.requests) == asked + 1, "one request: the new canaries"
    assert all(one.planted_ms > world.journal.now_ms() - 10_000 for one in edge.canaries.memory.canaries())


def test_old_questions_do_not_keep_the_server_busy(world: World, edge: Edge) -> None:
    """A holder that was away asks a few a beat."""
    now_ms = world.journal.now_ms()
    edge.canaries.memory.record_planted(Canary(f"id-{n}", now_ms - 20_000 - n, 1) for n in range(20))
    edge.canaries.beat(range(2))
    assert len(world.server.requests) == MAX_REPEATS + 1


def test_stale_canaries_do_not_keep_others_from_being_asked(world: World, edge: Edge) -> None:
    """More of them than are asked in a beat."""
    now_ms = world.journal.now_ms()
    edge.canaries.memory.record_planted(Canary(f"id-{n}", now_ms - 118_000, 1) for n in range(MAX_REPEATS))
    edge.canaries.memory.record_planted([Canary("due", now_ms - 5_000, 1)])
    assert edge.canaries.beat(range(2)).asked == 1


def test_finding_of_the_canary_is_what_comes_back(edge: Edge) -> None:
    """`check_after_trouble` tells the loop what became of its request."""
    edge.replies = [Reply(500, b"", {})]
    assert edge.canaries.check_after_trouble(0, 5.0).finding.outcome is Outcome.UNKNOWN
    assert edge.canaries.check_after_trouble(0, 5.0) == CanaryResult(Finding(Outcome.ACCEPTED))


def test_probes_take_no_longer_than_they_must(world: World, edge: Edge) -> None:
    """Five seconds a canary, each fourth time the whole timeout; the right lasts as long as the lease."""
    edge.plant(70, 80, 90)
    world.append(world.channel(), 3)
    world.meet_trouble()
    edge.replies = [NoReply(sent=True)] * 4
    while edge.replies:
        world.pass_time(10)
        edge.drain()
    assert edge.timeouts_s[:4] == [5.0, 5.0, 5.0, 30.0]
    assert all(0 < one <= TTL_MS for one in edge.right_ms[:4])
    world.pass_time(10)
    world.settle_down(edge.drain)
    assert not world.is_probing()


def test_right_to_probe_is_renewed_right_before_the_batch(world: World, edge: Edge) -> None:
    """The canaries, or a look into history, may have taken long."""
    edge.plant(70, 80, 90)
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)
    probe = AppKeys.of(APP).probe
    left_ms = []

    def at(point: str) -> None:
        if point == "taken":
            world.redis.pexpire(probe, 1000)
        if point == "posted":
            left_ms.append(world.redis.pttl(probe))

    edge.drain(at=at)
    assert 1000 < left_ms[0] <= TTL_MS
    world.check()


def test_right_to_probe_that_another_took_meanwhile_lets_no_batch_out(world: World, edge: Edge) -> None:
    """It ran out behind the canaries, and another asks the server by now: two would."""
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)

    def at(point: str) -> None:
        if point == "taken":
            world.redis.set(AppKeys.of(APP).probe, "heir", px=60_000)

    edge.drain(at=at)
    assert edge.sent() == []
    assert world.marker() is None, "it was never sent"
    world.lose_leases()
    world.settle_down()
    world.check()


def test_prober_that_dies_with_its_canaries_out_leaves_nothing_marked(world: World, edge: Edge) -> None:
    """Never sent is never uncertain: a successor asks when the lease is over, and the events are new to it."""
    ids = world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)
    edge.die_asking = True
    with pytest.raises(Died):
        edge.drain()
    assert world.marker() is None
    edge.die_asking = False
    world.lose_leases()
    world.pass_time(130)
    world.policy = Policy(on_uncertain="park")
    world.settle_down(edge.drain)
    assert edge.sent() == [ids]
    world.check()


def test_prober_whose_events_leave_unsent_ends_the_pause_by_its_canary(world: World, edge: Edge) -> None:
    """The server answers: the other lanes must not wait until this one is released."""
    edge.plant(100)
    meet_trouble(edge)
    world.server.forget()
    world.policy = Policy(on_uncertain="park")
    edge.drain()
    assert world.counts() == {"parked_uncertain": 10}
    assert world.pause() is None
    assert world.control.rung == [[]]
    assert not world.is_probing()


def test_pause_over_nothing_ends_when_the_server_answers_a_canary(world: World, edge: Edge) -> None:
    """What waited has expired: nothing is left to ask with, and the app would count as paused for ever."""
    world.journal.shared.pause("misconfigured", 0.0, "HTTP 401")
    edge.replies = [Reply(401, b"", {})]
    edge.drain()
    pause = world.journal.shared.view().pause
    assert pause is not None
    assert (pause.reason, pause.count) == ("misconfigured", 2)
    world.pass_time(10)
    edge.drain()
    assert world.pause() is None
    assert not world.is_probing()


def test_history_is_asked_about_each_event_once(world: World, edge: Edge) -> None:
    """Every second one is recorded: the answer about the others holds while those before them are sent."""
    ids = left_unknown(edge, 10)
    forgets(world)
    edge.history = set(ids[::2])
    edge.drain()
    assert [one for looked in edge.looked for one in looked] == ids
    assert world.counts() == {"settled": 5, "resent_after_window": 5, "settled_by_history": 5}


def test_prober_that_was_followed_meanwhile_sends_nothing(world: World, edge: Edge) -> None:
    """Its canaries took longer than its right: another asks now."""
    edge.plant(70, 80, 90)
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)
    sent = len(edge.sent())

    def follow(body: bytes, timeout_s: float) -> Reply | NoReply:
        world.redis.set(AppKeys.of(APP).probe, "heir", px=60_000)
        return world.server.post(body)

    edge.canaries._post = follow
    assert edge.drain() is None
    assert len(edge.sent()) == sent
    assert world.redis.get(AppKeys.of(APP).probe) == b"heir"
    assert world.pause() is not None
    world.lose_leases()
    world.settle_down()
    world.check()
