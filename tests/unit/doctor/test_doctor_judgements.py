"""What answers mean: workers, access, limits, memory, delivery. Real answers are in tests/integration/doctor."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.canaries.values import MemoryReport
from sockudo_publisher.client.http.transport import Response
from sockudo_publisher.doctor.checks.access import ACCESS_CHECKS, judge_access
from sockudo_publisher.doctor.checks.broker import BROKER_CHECKS, judge_broker
from sockudo_publisher.doctor.checks.dedup_memory import (
    MEMORY_CHECKS,
    has_several_memories,
    has_several_nodes,
    judge_dedup_memory,
)
from sockudo_publisher.doctor.checks.delivering import DELIVERY_CHECKS, DeliveryFacts, judge_delivering
from sockudo_publisher.doctor.checks.limits import LIMIT_CHECKS, LimitFacts, judge_limits
from sockudo_publisher.doctor.diagnosis import Diagnosis
from sockudo_publisher.doctor.facts.journal import is_fresh
from sockudo_publisher.doctor.facts.server_reply import ServerReply, read_reply
from sockudo_publisher.doctor.facts.sockudo import TURNS, _ahead_s
from sockudo_publisher.doctor.facts.values import (
    Access,
    BrokerFacts,
    CanaryCounts,
    Cut,
    LimitAnswer,
    NodeAnswer,
    NodeLoad,
    QueueWorker,
    is_open,
)
from sockudo_publisher.doctor.finding import CheckFinding, State, broken, fine, risk, unknown

pytestmark = pytest.mark.unit


def named(findings, names) -> dict[str, CheckFinding]:
    assert tuple(finding.name for finding in findings) == names
    return {finding.name: finding for finding in findings}


class TestFindings:
    def test_what_is_not_fine_says_what_to_change(self):
        """And what is fine says nothing of the kind."""
        with pytest.raises(AssertionError):
            CheckFinding("a", State.RISK, "why")
        with pytest.raises(AssertionError):
            CheckFinding("a", State.FINE, "why", "change")

    @pytest.mark.parametrize(
        ("findings", "is_well", "is_unreachable"),
        [
            ([fine("redis.reachable", "x"), unknown("b", "x", "y")], True, False),
            ([risk("a", "x", "y")], False, False),
            ([broken("a", "x", "y")], False, False),
            ([broken("redis.reachable", "x", "y")], False, True),
            ([broken("sockudo.reachable", "x", "y")], False, True),
        ],
    )
    def test_a_diagnosis_in_a_word(self, findings, is_well, is_unreachable):
        """What is unknown stays open; a part that is away is distinguished."""
        diagnosis = Diagnosis("default", tuple(findings))
        assert (diagnosis.is_well, diagnosis.is_unreachable) == (is_well, is_unreachable)


def worker(node="a@h", version="1.0", lanes=8, apps=("default",)) -> QueueWorker:
    return QueueWorker(node, version, lanes, apps)


@pytest.mark.parametrize(
    ("workers", "state", "complaint"),
    [
        pytest.param([], "broken", "none answers", id="none"),
        pytest.param([worker(), worker("b@h")], "fine", "2 alive, version 1.0", id="two"),
        pytest.param([QueueWorker("x@h")], "risk", "none of sockudo-publisher", id="others alone"),
        pytest.param([worker(), QueueWorker("x@h")], "fine", "1 of another app or release", id="others too"),
        pytest.param([worker(version="0.9"), worker("b@h")], "risk", "1 of 0.9; here it is 1.0", id="two versions"),
        pytest.param([worker(apps=())], "broken", "none of them knows the app default", id="deaf"),
        pytest.param([worker(), worker("b@h", apps=("x",))], "risk", "b@h does not know", id="one is deaf"),
        pytest.param([worker(lanes=4)], "risk", "4 lanes; here it is 8", id="lanes"),
    ],
)
def test_workers(workers, state, complaint):
    """Alive, ours, of this release, and of one mind."""
    facts = BrokerFacts("redis", workers=tuple(workers))
    found = named(judge_broker(facts, app="default", lanes=8, version="1.0", queue="sockudo"), BROKER_CHECKS)["workers"]
    assert found.state.value == state
    assert complaint in found.why


def test_workers_that_could_not_be_asked_are_unknown():
    """Not absent."""
    found = named(
        judge_broker(BrokerFacts("sqs"), app="default", lanes=8, version="1.0", queue="sockudo"), BROKER_CHECKS
    )
    assert (found["broker"].state.value, found["workers"].state.value) == ("fine", "unknown")


AUTH = "auth_failed"


@pytest.mark.parametrize(
    ("answer", "ahead_s", "states"),
    [
        pytest.param(ServerReply(200), 0, "fine fine fine fine", id="accepted"),
        pytest.param(ServerReply(200), None, "fine fine unknown fine", id="no date"),
        pytest.param(ServerReply(200), 31, "fine fine risk fine", id="drifts"),
        pytest.param(ServerReply(200), -601, "fine fine broken fine", id="a proxy's clock"),
        pytest.param(
            ServerReply(404, "app_not_found", "Application key not found"), 0, "fine broken fine unknown", id="key"
        ),
        pytest.param(
            ServerReply(401, AUTH, "Authenticated app does not match route app_id"),
            0,
            "fine broken fine unknown",
            id="app",
        ),
        pytest.param(
            ServerReply(401, AUTH, "Timestamp expired or too far in the future"),
            -700,
            "fine fine broken unknown",
            id="time",
        ),
        pytest.param(ServerReply(401, AUTH, "Invalid API signature"), 0, "fine fine fine broken", id="secret"),
        pytest.param(ServerReply(401, AUTH, "something new"), 0, "fine fine fine unknown", id="another 401"),
        pytest.param(ServerReply(429), 0, "fine unknown fine unknown", id="limited"),
        pytest.param(ServerReply(403, "forbidden", "no"), 0, "fine unknown fine unknown", id="forbidden"),
        pytest.param(ServerReply(404, None, "nginx"), 0, "broken unknown fine unknown", id="another program"),
        pytest.param(ServerReply(301), 0, "broken unknown fine unknown", id="redirected"),
        pytest.param(ServerReply(502), 0, "broken unknown unknown unknown", id="proxy alone"),
        pytest.param(ServerReply(503, "draining", "x"), 0, "broken unknown unknown unknown", id="draining"),
        pytest.param(None, None, "broken unknown unknown unknown", id="no server"),
    ],
)
def test_access(answer, ahead_s, states):
    """The four questions that an empty batch answers, in the order in which the server looks."""
    access = Access("SOCKUDO_URL", "app", reply=answer, failure="" if answer else "no", ahead_s=ahead_s)
    found = named(judge_access(access), ACCESS_CHECKS)
    assert " ".join(finding.state.value for finding in found.values()) == states
    assert is_open(access) is (answer == ServerReply(200))


@pytest.mark.parametrize(
    ("failure", "complaint"),
    [
        ("http://h:1: host not found, Name or service not known (not sent)", "name server"),
        ("http://h:1: Connection refused (not sent)", "start Sockudo"),
        ("https://h:1: TLS certificate not accepted, expired (not sent)", "REQUESTS_CA_BUNDLE"),
        ("https://h:1: TLS failed, WRONG_VERSION_NUMBER (not sent)", "http:// or https://"),
        ("http://h:1: no complete answer within 5 s (its result is unknown)", "firewall"),
        ("http://h:1: no usable answer (X) (its result is unknown)", "host, port and scheme in SOCKUDO_APPS['x']"),
    ],
)
def test_why_no_server_answered(failure, complaint):
    """Each failure of a connection has another cure."""
    first, *_ = judge_access(Access("SOCKUDO_APPS['x']", "app", failure=failure))
    assert complaint in first.change


@pytest.mark.parametrize(
    ("date", "before", "after", "ahead"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", 1000.2, 1000.4, 0.0),
        ("Thu, 01 Jan 1970 00:16:40 GMT", 1000.9, 1001.1, 0.0),
        ("Thu, 01 Jan 1970 00:17:40 GMT", 1000.2, 1000.5, 59.5),
        ("Thu, 01 Jan 1970 00:15:40 GMT", 1000.5, 1000.7, -59.5),
        ("yesterday", 1000.0, 1000.0, None),
        (None, 1000.0, 1000.0, None),
    ],
)
def test_how_far_a_date_is_off(date, before, after, ahead):
    """It has whole seconds, and the request took some time: only what is left is a difference."""
    assert _ahead_s(date, before, after) == (pytest.approx(ahead) if ahead is not None else None)


PLANTED = ServerReply(400, "invalid_input", "Event name is required")
BUSY = ServerReply(503, "backpressure", "x")


def answer_of(amount, answer) -> LimitAnswer:
    return LimitAnswer(amount, answer)


WELL = LimitFacts(
    answer_of(500, PLANTED),
    answer_of(2**22, PLANTED),
    answer_of(10_240, PLANTED),
    answer_of(200, PLANTED),
    answer_of(200, PLANTED),
)


@pytest.mark.parametrize(
    ("name", "facts", "state", "change"),
    [
        pytest.param(
            "sockudo.batch_events",
            {"batch_events": answer_of(500, ServerReply(400, "limit_exceeded", "Batch size (500) exceeds limit (50)"))},
            "risk",
            "SOCKUDO_BATCH_MAX_EVENTS=50",
            id="batch of events",
        ),
        pytest.param(
            "sockudo.batch_events", {"batch_events": answer_of(500, BUSY)}, "unknown", "batch_size", id="busy"
        ),
        pytest.param(
            "sockudo.batch_bytes",
            {
                "batch_bytes": answer_of(
                    2**22, ServerReply(413, None, "Failed to buffer the request body: length limit exceeded")
                )
            },
            "risk",
            "request_limit_in_mb = 5",
            id="body, by Sockudo",
        ),
        pytest.param(
            "sockudo.batch_bytes",
            {"batch_bytes": answer_of(2**22, ServerReply(413, None, "<html>413 Request Entity Too Large</html>"))},
            "risk",
            "client_max_body_size",
            id="body, by nginx",
        ),
        pytest.param("sockudo.batch_bytes", {"batch_bytes": answer_of(2**22, None)}, "unknown", "doctor", id="hung up"),
        pytest.param(
            "sockudo.event_bytes",
            {
                "event_bytes": answer_of(
                    10_240, ServerReply(413, "payload_too_large", "size (10240 bytes) exceeds limit (5KB)")
                )
            },
            "broken",
            "SOCKUDO_MAX_EVENT_BYTES=5120",
            id="event",
        ),
        pytest.param(
            "sockudo.event_bytes", {"event_bytes": answer_of(1, BUSY)}, "unknown", "payload_in_kb", id="busy event"
        ),
        pytest.param(
            "sockudo.names",
            {"event_name": answer_of(200, ServerReply(400, "limit_exceeded", "exceeds maximum length of 100"))},
            "risk",
            "`max_event_name_length = 200` in",
            id="event name",
        ),
        pytest.param(
            "sockudo.names",
            {
                "channel_name": answer_of(
                    200, ServerReply(400, "invalid_input", "Channel name too long. Max length is 100")
                )
            },
            "risk",
            "`max_channel_name_length = 200` in",
            id="channel name",
        ),
        pytest.param("sockudo.names", {"event_name": answer_of(200, BUSY)}, "unknown", "doctor", id="busy names"),
    ],
)
def test_limits(name, facts, state, change):
    """One question, one finding; the server's setting and ours are named."""
    found = named(judge_limits(LimitFacts(**{**vars(WELL), **facts})), LIMIT_CHECKS)
    assert {other for other, finding in found.items() if finding.state.value != "fine"} == {name}
    assert found[name].state.value == state
    assert change in found[name].change


def test_limits_without_answers_are_unknown():
    """None was asked: none is fine. What workers have learned is shown beside what is taken now."""
    assert {finding.state.value for finding in judge_limits(LimitFacts())} == {"unknown"}
    first, *_ = judge_limits(LimitFacts(**{**vars(WELL), "learned": 50}))
    assert (first.state.value, "the workers send at most 50" in first.why) == ("fine", True)


REMEMBERED = CanaryCounts(10, 10, 10, 10, 3.0)
ONE_NODE = [NodeAnswer(payload, refused=payload == "B") for payload in TURNS]
FULL_NODE = [NodeAnswer(payload, refused=False) for payload in TURNS]
FORGETS = MemoryReport("forgets", asked=20, forgotten=3, rate=500.0, window_s=120, forgets_until_ms=9, at_ms=1)
REMEMBERS = MemoryReport("remembers", remembered_s=100, asked=20, rate=500.0, window_s=120, at_ms=1)


def turns(nodes: int, skip: int = 0) -> list[NodeAnswer]:
    """What nodes with a memory each answer, taking turns."""
    pinned: dict[int, str] = {}
    answers = []
    for number, payload in enumerate(TURNS):
        first = pinned.setdefault((number + skip) % nodes, payload)
        answers.append(NodeAnswer(payload, refused=payload != first))
    return answers


@pytest.mark.parametrize(
    ("canaries", "answers", "measured", "states", "change"),
    [
        pytest.param(REMEMBERED, ONE_NODE, None, "fine fine", "", id="remembers"),
        pytest.param(REMEMBERED, ONE_NODE, REMEMBERS, "fine fine", "", id="measured too"),
        pytest.param(REMEMBERED, ONE_NODE, FORGETS, "broken fine", "max_capacity = 120000", id="workers know better"),
        pytest.param(
            CanaryCounts(10, 10, 10, 6), ONE_NODE, None, "broken risk", "restarted within", id="some forgotten"
        ),
        pytest.param(CanaryCounts(10, 10, 10, 0), FULL_NODE, None, "broken unknown", "enabled = true", id="none kept"),
        pytest.param(
            CanaryCounts(10, 10, 10, 0),
            FULL_NODE,
            REMEMBERS,
            "broken unknown",
            "max_capacity = 120000",
            id="rate",
        ),
        pytest.param(CanaryCounts(10, 10, 10, 5), turns(2), None, "broken broken", "redis", id="two nodes"),
        pytest.param(REMEMBERED, turns(2), FORGETS, "broken broken", "redis", id="two nodes, measured"),
        pytest.param(CanaryCounts(10, 0), [], None, "broken unknown", "5.0", id="no receipts"),
        pytest.param(CanaryCounts(10, 10), [], None, "unknown unknown", "status", id="not asked"),
        pytest.param(None, [], None, "unknown unknown", "status", id="not planted"),
        pytest.param(None, [], FORGETS, "broken unknown", "max_capacity", id="only workers know"),
    ],
)
def test_memory(canaries, answers, measured, states, change):
    """Of our ten ids, of one id asked again and again, and of what workers measure all the time."""
    loads = [NodeLoad(connections=3)] * 10
    found = named(judge_dedup_memory(canaries, answers, measured, window_s=120.0, loads=loads), MEMORY_CHECKS)
    assert " ".join(finding.state.value for finding in found.values()) == states
    assert change in found["sockudo.memory"].change


@pytest.mark.parametrize(("nodes", "skip"), list(itertools.product((2, 3, 4), (0, 1))))
def test_nodes_that_take_turns_show(nodes, skip):
    """The order of the payloads is made for that."""
    assert has_several_memories(turns(nodes, skip))


@given(st.lists(st.sampled_from("AB"), min_size=1))
def test_one_memory_never_looks_like_two(payloads):
    """Whatever is asked: it keeps the first payload, and refuses the other."""
    answers = [NodeAnswer(payload, refused=payload != payloads[0]) for payload in payloads]
    assert not has_several_memories(answers)


@pytest.mark.parametrize(
    ("loads", "several"),
    [
        ("abababab", True),
        ("aabbabba", True),
        ("abcabcabc", True),
        ("aaaaaaaa", False),
        ("abcdefgh", False),
        ("aaaabbbb", False),
        ("aabaacaa", False),
        ("ab", False),
        ("", False),
    ],
)
def test_nodes_that_count_for_themselves_show(loads, several):
    """Numbers that come back after others; those of one busy node go on, or return once or twice."""
    assert has_several_nodes([NodeLoad(ord(load)) for load in loads]) is several


@pytest.mark.parametrize("loads", [[], [NodeLoad()] * 16], ids=["statistics are blocked", "no connection"])
def test_nodes_that_cannot_be_told_apart_are_unknown(loads):
    """Several with one cache look like one: that is no proof of one. The finding states what would show it."""
    found = named(judge_dedup_memory(REMEMBERED, ONE_NODE, None, window_s=120.0, loads=loads), MEMORY_CHECKS)
    assert found["sockudo.nodes"].state.value == "unknown"
    assert "subscriber" in found["sockudo.nodes"].change


@pytest.mark.parametrize(
    ("counts", "connected", "state"),
    [
        ("1111111111111111", True, "fine"),
        ("1111111111111110", True, "risk"),
        ("0111111111111111", True, "risk"),
        ("7777777777777777", True, "fine"),
        ("0000000000000000", False, "unknown"),
        ("1111111111111110", False, "fine"),
    ],
)
def test_our_own_websocket_tells_nodes_apart(counts, connected, state):
    """One node counts it in every answer; a node that counts none while it is open is another one."""
    loads = [NodeLoad(connections=int(count)) for count in counts]
    found = named(
        judge_dedup_memory(REMEMBERED, ONE_NODE, None, window_s=120.0, loads=loads, connected=connected), MEMORY_CHECKS
    )
    assert found["sockudo.nodes"].state.value == state


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.99])
def test_no_capacity_is_advised_from_no_events(rate):
    """After a restart with nothing to measure: no number, and certainly none below what is set."""
    after_restart = replace(FORGETS, rate=rate)
    finding = named(judge_dedup_memory(REMEMBERED, ONE_NODE, after_restart, window_s=120.0), MEMORY_CHECKS)
    memory = finding["sockudo.memory"]
    assert not re.search(r"max_capacity = \d|for 0 events", memory.change)
    assert memory.change.startswith("nothing if Sockudo or its cache was restarted")
    assert "as after a restart" in memory.why


def test_an_advised_capacity_never_lowers_the_setting():
    """The doctor cannot read it: a larger one is kept."""
    finding = named(judge_dedup_memory(REMEMBERED, ONE_NODE, replace(FORGETS, rate=3.0), window_s=120.0), MEMORY_CHECKS)
    assert "max_capacity = 100000" in finding["sockudo.memory"].change
    assert "keep a larger value" in finding["sockudo.memory"].change


def test_an_old_measure_says_nothing_of_now():
    """Workers that are gone have left their last word."""
    assert is_fresh(REMEMBERS, 1 + 120_000)
    assert not is_fresh(REMEMBERS, 2 + 120_000)
    assert not is_fresh(MemoryReport(), 0)


F, S, N, U = Cut.FINISHED, Cut.STOPPED, Cut.NOT_BEGUN, Cut.UNCLEAR


@pytest.mark.parametrize(
    ("cuts", "through", "state"),
    [
        pytest.param([F, F, F, F], "", "fine", id="all finished"),
        pytest.param([F, F, F, N], "", "fine", id="one too early"),
        pytest.param([F, F, N, U], "", "unknown", id="too few"),
        pytest.param([F, F, F, F, S], "", "risk", id="one stopped"),
        pytest.param([S], "", "risk", id="the first stopped"),
        pytest.param([N, N, N, N, N], "", "unknown", id="none begun"),
        pytest.param([], "", "unknown", id="none tried"),
        pytest.param(None, "", "unknown", id="not asked"),
        pytest.param(None, "http", "unknown", id="another proxy"),
    ],
)
def test_dropped_requests(cuts, through, state):
    """One that stopped is proof; that none did needs several."""
    found = named(judge_delivering(DeliveryFacts(cuts=cuts, through=through)), DELIVERY_CHECKS)
    assert found["sockudo.dropped_requests"].state.value == state


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"answered": True}, "fine"),
        ({"answered": True, "limit": 100}, "risk"),
        ({"answered": True, "limit": 20_000}, "fine"),
        ({"answered": True, "limited": True}, "broken"),
        ({}, "unknown"),
    ],
)
def test_rate_limit(facts, state):
    """As the headers have it."""
    found = named(judge_delivering(DeliveryFacts(**facts)), DELIVERY_CHECKS)
    assert found["sockudo.rate_limit"].state.value == state


@pytest.mark.parametrize(
    ("answer", "cuts", "state"),
    [
        (ServerReply(422, "feature_disabled", "x"), [S], "fine"),
        (ServerReply(200), [F, F, F, F, F], "fine"),
        (ServerReply(200), [F, S], "risk"),
        (ServerReply(200), None, "risk"),
        (ServerReply(200), [N, N], "risk"),
        (ServerReply(404, None, "x"), None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_history(answer, cuts, state):
    """It is a risk where requests are not finished: recorded, and never broadcast."""
    found = named(judge_delivering(DeliveryFacts(history=answer, cuts=cuts)), DELIVERY_CHECKS)
    assert found["sockudo.history"].state.value == state


def test_what_was_said_holds_no_signature():
    """A proxy's page may quote the URL."""
    page = b"cannot GET /apps/a?auth_key=k&auth_signature=of-mine"
    reply = read_reply(Response(502, {}, page))
    assert "of-mine" not in str(reply)
    assert reply.status == 502
    assert read_reply(Response(200, {}, b"{}")) == ServerReply(200)
