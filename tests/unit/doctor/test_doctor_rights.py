"""Which rights are missing for whom, and that no script or command is forgotten."""

from __future__ import annotations

import pytest

from sockudo_publisher.doctor.checks.broker import judge_broker
from sockudo_publisher.doctor.checks.redis_rights import judge_rights
from sockudo_publisher.doctor.facts import rights
from sockudo_publisher.doctor.facts.rights import CALLER, OPERATOR, PARTS, UNNEEDED, WORKER, rights_of
from sockudo_publisher.doctor.facts.values import BrokerFacts, RightsFacts
from sockudo_publisher.journal.redis.scripts import NAMES

pytestmark = pytest.mark.unit


def test_every_script_belongs_to_a_part():
    """A new one is a worker's until it is said to be another's."""
    assert set().union(*(part.scripts for part in PARTS)) == set(NAMES)


def test_every_command_has_a_complete_form():
    """Redis reads beyond a form with too few arguments, and may end."""
    with_key_alone = {
        "del",
        "exists",
        "get",
        "hgetall",
        "hkeys",
        "incr",
        "llen",
        "pttl",
        "rpop",
        "smembers",
        "strlen",
        "type",
        "watch",
        "xlen",
        "zcard",
    }
    needed = UNNEEDED.union(*map(rights_of, PARTS), *rights.BROKER_RIGHTS.values())
    assert needed <= with_key_alone | set(rights._ARGUMENTS)


@pytest.mark.parametrize(
    ("denied", "state", "complaint"),
    [
        ((), "fine", "of callers, workers, operators"),
        (("xtrim",), "broken", "missing for workers, operators: XTRIM"),
        (("smembers",), "broken", "missing for operators: SMEMBERS"),
        (("hsetnx", "xadd"), "broken", "HSETNX, XADD"),
        (("xdel",), "broken", "missing for workers, operators: XDEL"),
        (UNNEEDED | {"smembers"}, "fine", "of callers, workers"),
        (UNNEEDED | rights_of(WORKER) | rights_of(OPERATOR), "broken", "missing for callers"),
        (UNNEEDED | (rights_of(WORKER) | rights_of(OPERATOR)) - rights_of(CALLER), "fine", "of callers"),
        (UNNEEDED | (rights_of(WORKER) | rights_of(CALLER)) - rights_of(OPERATOR), "fine", "of operators"),
        (UNNEEDED | rights_of(OPERATOR) - rights_of(WORKER), "fine", "of callers, workers"),
        (UNNEEDED | {"zadd"}, "broken", "missing for workers: ZADD"),
    ],
)
def test_what_is_missing_is_said_of_those_who_need_it(denied, state, complaint):
    found = judge_rights(RightsFacts(frozenset(denied)))
    assert (found.state.value, complaint in found.why) == (state, True), found


def test_what_cannot_be_found_out():
    """EVAL is needed for everything; without an answer it is unknown."""
    assert judge_rights(RightsFacts(eval_denied=True)).state.value == "broken"
    assert "+eval" in judge_rights(RightsFacts(eval_denied=True)).change
    assert judge_rights(RightsFacts()).state.value == "unknown"


@pytest.mark.parametrize(
    ("denied", "complaint"),
    [
        ({"lpush"}, "missing for callers, workers, operators: LPUSH"),
        ({"psubscribe"}, "missing for workers: PSUBSCRIBE"),
        (UNNEEDED | rights.BROKER_RIGHTS["worker"] - rights.BROKER_RIGHTS["caller"], ""),
    ],
    ids=["sends nothing", "hears nothing", "a caller"],
)
def test_rights_in_the_broker_are_judged_too(denied, complaint):
    """Of a Redis apart, by whom they are needed."""
    facts = BrokerFacts("redis", workers=(), denied=frozenset(denied))
    broker, _ = judge_broker(facts, app="default", lanes=8, version="1", queue="sockudo")
    assert broker.state.value == ("broken" if complaint else "fine")
    assert complaint in broker.why
    if complaint:
        assert broker.change.startswith("`ACL SETUSER <user> +")
