"""What a run does while an operator pauses its app: first sends stop, and what may be out is resolved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sockudo_publisher.delivery.decide import Progress
from sockudo_publisher.delivery.gates import gate
from sockudo_publisher.delivery.moves import (
    AskCanaries,
    CheckDedupMemory,
    DrainAgain,
    EndProbe,
    Leave,
    LeaveToOperator,
    Looks,
    LookUpHistory,
    Move,
    Release,
    Send,
    TakeRight,
    View,
)
from sockudo_publisher.journal.app.operator import OperatorPause
from sockudo_publisher.journal.batch import Batch
from tests.unit.delivery.test_gates import FIRST, NOW_MS, OLD, PROBE, RESENT, TRIED, pause, view

pytestmark = pytest.mark.unit

ORDERED = OperatorPause("maintenance", "ana@host", NOW_MS - 1_000)


def ordered(head: Batch | None, **state: Any) -> View:
    """The same view, in an operator's pause."""
    given = view(head, **state)
    shared = replace(given.taken.shared, operator_pause=ORDERED)
    return given._replace(taken=replace(given.taken, shared=shared))


@pytest.mark.parametrize(
    ("given", "move"),
    [
        pytest.param(ordered(FIRST), LeaveToOperator(), id="first send"),
        pytest.param(ordered(FIRST, is_hold=True), LeaveToOperator(), id="first send of a held channel"),
        pytest.param(ordered(FIRST, tokens=0), LeaveToOperator(), id="first send, no tokens are bought"),
        pytest.param(ordered(FIRST, is_stopping=True), Leave(DrainAgain(0.0)), id="worker stops"),
        pytest.param(ordered(None), Release(), id="empty: no slot is kept to watch it"),
        pytest.param(ordered(RESENT), Send(3), id="resend"),
        pytest.param(ordered(RESENT, is_hold=True), Send(3), id="resend of a held channel"),
        pytest.param(ordered(RESENT, can_check=True), CheckDedupMemory(), id="resend is checked as ever"),
        pytest.param(ordered(OLD), LookUpHistory(), id="uncertain batch is looked up as ever"),
        pytest.param(ordered(RESENT, progress=Progress(suspects=3)), Send(3), id="search goes on"),
        # Beside a pause of a server in trouble.
        pytest.param(ordered(FIRST, app_pause=pause(900)), LeaveToOperator(), id="both pauses"),
        pytest.param(ordered(None, app_pause=pause(900)), Release(), id="both pauses, empty"),
        pytest.param(ordered(FIRST, app_pause=pause(count=4)), TakeRight(4), id="pause over: this run probes"),
        pytest.param(ordered(FIRST, app_pause=pause(), looks=TRIED), LeaveToOperator(), id="another run probes"),
        pytest.param(
            ordered(FIRST, app_pause=pause(), looks=TRIED, **PROBE),
            AskCanaries(NOW_MS - 40_000, 5.0),
            id="canaries probe",
        ),
        pytest.param(
            ordered(FIRST, app_pause=pause(), is_probing=True, is_canary_accepted=True),
            EndProbe(is_answered=True),
            id="canary accepted: the server's pause ends, this one does not",
        ),
        pytest.param(
            ordered(FIRST, app_pause=pause(), looks=TRIED, is_probing=True),
            EndProbe(is_answered=False),
            id="without canaries no batch probes",
        ),
        pytest.param(ordered(RESENT, app_pause=pause(), looks=TRIED, is_probing=True), Send(3), id="resend probes"),
    ],
)
def test_move_in_an_operators_pause(given: View, move: Move) -> None:
    """A batch without a mark counts as absent; a marked one is treated as without the pause."""
    found = gate(given, NOW_MS)
    if isinstance(move, AskCanaries):
        assert isinstance(found, AskCanaries)
        assert found.since_ms == move.since_ms
    else:
        assert found == move


@pytest.mark.parametrize("can_ask", [False, True])
@pytest.mark.parametrize("is_probing", [False, True])
@pytest.mark.parametrize("left_ms", [None, 0, 900, 5_000])
@pytest.mark.parametrize("tried", [False, True])
def test_first_send_is_never_chosen(can_ask: bool, is_probing: bool, left_ms: int | None, tried: bool) -> None:
    """In every state of the other pause, and the run never spins: it ends, or probes once."""
    given = ordered(
        FIRST,
        app_pause=None if left_ms is None else pause(left_ms),
        is_probing=is_probing,
        can_ask=can_ask,
        looks=Looks(has_tried_probe=tried),
    )
    assert isinstance(gate(given, NOW_MS), Leave | LeaveToOperator | TakeRight | AskCanaries | EndProbe)
