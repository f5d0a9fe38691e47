"""What a run does next, for each state that it can be in."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher.delivery.backoff import probe_timeout_s
from sockudo_publisher.delivery.decide import Progress
from sockudo_publisher.delivery.dedup_check import ROUNDS_IN_DOUBT, TRUST_MS, DedupTrust
from sockudo_publisher.delivery.gates import PROBE_LOOK_S, WAIT_IN_PLACE_S, gate
from sockudo_publisher.delivery.moves import (
    NO_LOOKS,
    AskCanaries,
    AskOthers,
    BuryBlamed,
    BuryUncertain,
    BuyTokens,
    CheckDedupMemory,
    DrainAgain,
    EndProbe,
    Leave,
    LeaveToNewer,
    Looks,
    LookUpHistory,
    Move,
    Release,
    Send,
    SettleRecorded,
    TakeRight,
    TrustOthersCheck,
    View,
    Wait,
    WatchQueue,
)
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.app.shared import AppPause, Limits, SharedView
from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.holder import DeadLetterFields, Taken
from sockudo_publisher.journal.pack import Item, Pack, pack

pytestmark = pytest.mark.unit

NOW_MS = 1_000_000
POLICY = Policy(window_s=120.0, delivery_timeout_s=30.0)
PARK = Policy(window_s=120.0, delivery_timeout_s=30.0, on_uncertain="park")

GOOD_ITEM = Item("c", b'{"channel":"c","name":"n","data":"d","message_id":"m"}')
BROKEN_ITEM = Item("c", b"not json")


def batch(
    *, resent: bool = False, age_ms: int = 0, item: Item = GOOD_ITEM, expires_ms: int = 0, count: int = 3
) -> Batch:
    """A batch at the head, first sent ``age_ms`` ago."""
    packed = pack([item._replace(expires_ms=expires_ms)] * count)
    packs = (Pack(b"1-0", count, packed.meta, packed.body, 0, count, frozenset()),)
    return Batch(packs, count, b"marker", NOW_MS - age_ms, NOW_MS, resent, count)


def pause(left_ms: int = 0, *, count: int = 1) -> AppPause:
    return AppPause("unreachable", "", since_ms=NOW_MS - 10_000, until_ms=NOW_MS + left_ms, count=count)


def view(
    head: Batch | None,
    *,
    app_pause: AppPause | None = None,
    newer: str | None = None,
    checked_ms: int = 0,
    policy: Policy = POLICY,
    **state: Any,
) -> View:
    """A view of a run without trouble, except what is given."""
    shared = SharedView(app_pause, Limits(), checked_ms=checked_ms)
    return View(Taken(head, shared, NOW_MS, newer), policy, **state)


FIRST = batch()
RESENT = batch(resent=True, age_ms=1_000)
OLD = batch(resent=True, age_ms=121_000)
EXPIRED = batch(resent=True, age_ms=121_000, expires_ms=NOW_MS - 1)

TRIED = Looks(has_tried_probe=True)
PROBE = {"is_probing": True, "can_ask": True, "can_check": True}
UNCERTAIN = "not known to be delivered, and a resend might end after the server has forgotten the id (120 s)"
FORGETS = "not known to be delivered, and the server does not remember ids"


def letter(reason: str, text: str, head: Batch, attempts: int = 1) -> DeadLetterFields:
    return DeadLetterFields(reason, text, attempts, head.first_ms, maybe_delivered=True)


def recorded(*answers: bool) -> Looks:
    return Looks(recorded=answers)


@pytest.mark.parametrize(
    ("given", "move"),
    [
        # The slot.
        pytest.param(view(FIRST), Send(3), id="first send"),
        pytest.param(view(FIRST, is_stopping=True), Leave(DrainAgain(0.0)), id="worker stops"),
        pytest.param(view(None, is_stopping=True), Leave(DrainAgain(0.0)), id="worker stops at an empty queue"),
        pytest.param(view(FIRST, is_slice_over=True), AskOthers(), id="slice over"),
        pytest.param(
            view(RESENT, is_slice_over=True, progress=Progress(suspects=3)), Send(3), id="slice over in a search"
        ),
        pytest.param(
            view(RESENT, is_slice_over=True, progress=Progress(has_waited=True)),
            Send(3),
            id="slice over behind the wait before a search",
        ),
        pytest.param(view(FIRST, looks=Looks(do_others_wait=True)), Leave(DrainAgain(0.0)), id="others wait"),
        # An empty queue.
        pytest.param(view(None), WatchQueue(), id="empty"),
        pytest.param(view(None, looks=Looks(was_watched=True)), Release(), id="empty and watched"),
        pytest.param(
            view(None, looks=Looks(was_watched=True), is_stopping=True),
            Release(),
            id="empty and watched until the stop",
        ),
        pytest.param(view(None, is_hold=True), Release(), id="empty held queue"),
        pytest.param(view(None, newer="9"), LeaveToNewer("9"), id="newer entry"),
        pytest.param(view(None, app_pause=pause(900)), Release(), id="empty in a pause"),
        pytest.param(view(None, app_pause=pause(), looks=TRIED), Release(), id="empty, another run probes"),
        pytest.param(view(None, app_pause=pause(), is_probing=True), EndProbe(is_answered=False), id="empty, probing"),
        pytest.param(
            view(None, app_pause=pause(), is_probing=True, is_canary_accepted=True),
            EndProbe(is_answered=True),
            id="empty, canary accepted",
        ),
        pytest.param(view(None, is_probing=True), EndProbe(is_answered=False), id="empty, pause ended by a person"),
        # A pause.
        pytest.param(view(FIRST, app_pause=pause(1, count=4)), Wait(PROBE_LOOK_S), id="pause almost over"),
        pytest.param(view(FIRST, app_pause=pause(1_500)), Wait(1.5), id="short pause"),
        pytest.param(view(FIRST, app_pause=pause(2_001)), Leave(None), id="long pause of another run"),
        pytest.param(view(FIRST, app_pause=pause(1_500), waited_s=1.0), Leave(None), id="short pause, waited before"),
        pytest.param(
            view(FIRST, app_pause=pause(1_500), waited_s=1.0, has_paused=True),
            Leave(DrainAgain(1.5)),
            id="short pause, begun here",
        ),
        pytest.param(
            view(FIRST, app_pause=pause(2_001), has_paused=True), Leave(None), id="long pause, left to the sweeps"
        ),
        pytest.param(view(FIRST, app_pause=pause(count=4)), TakeRight(4), id="pause over"),
        pytest.param(view(None, app_pause=pause(count=4)), TakeRight(4), id="pause over, empty queue"),
        pytest.param(view(FIRST, app_pause=pause(700_000)), TakeRight(1), id="pause of a clock that was set back"),
        pytest.param(view(FIRST, app_pause=pause(), looks=TRIED), Wait(PROBE_LOOK_S), id="another run probes"),
        # The probe.
        pytest.param(
            view(FIRST, app_pause=pause(count=2), looks=TRIED, **PROBE),
            AskCanaries(NOW_MS - 40_000, probe_timeout_s(2, 30.0)),
            id="probe asks canaries",
        ),
        pytest.param(
            view(None, app_pause=pause(count=4), looks=TRIED, **PROBE),
            AskCanaries(NOW_MS - 40_000, 30.0),
            id="probe with an empty queue asks too, patiently",
        ),
        pytest.param(
            view(batch(resent=True, age_ms=90_000), app_pause=pause(), looks=TRIED, **PROBE),
            AskCanaries(NOW_MS - 90_000, probe_timeout_s(1, 30.0)),
            id="probe asks since the first attempt",
        ),
        pytest.param(
            view(FIRST, app_pause=pause(), looks=TRIED, forgets_until_ms=NOW_MS + 1, **PROBE),
            Send(3),
            id="server known to forget is not asked",
        ),
        pytest.param(
            view(FIRST, app_pause=pause(), looks=TRIED, is_probing=True),
            Send(3),
            id="without canaries the batch probes",
        ),
        pytest.param(view(FIRST, app_pause=pause(), **PROBE), Send(3), id="batch follows the canaries"),
        pytest.param(view(FIRST, app_pause=pause(900), **PROBE), Send(3), id="pause grew while this run probes"),
        # The dedup memory.
        pytest.param(view(RESENT), Send(3), id="resend without canaries"),
        pytest.param(view(RESENT, can_check=True), CheckDedupMemory(), id="resend"),
        pytest.param(
            view(RESENT, can_check=True, trust=DedupTrust(cleared_ms=NOW_MS - TRUST_MS)), Send(3), id="resend, checked"
        ),
        pytest.param(
            view(RESENT, can_check=True, trust=DedupTrust(cleared_ms=NOW_MS - TRUST_MS - 1)),
            CheckDedupMemory(),
            id="resend, checked long ago",
        ),
        pytest.param(
            view(
                RESENT,
                can_check=True,
                progress=Progress(suspects=3),
                trust=DedupTrust(cleared_ms=NOW_MS - 50_000),
            ),
            Send(3),
            id="search, checked once",
        ),
        pytest.param(
            view(RESENT, can_check=True, checked_ms=NOW_MS - 100), TrustOthersCheck(), id="resend, checked by another"
        ),
        pytest.param(
            view(RESENT, can_check=True, checked_ms=NOW_MS - 100, trust=DedupTrust(rounds=ROUNDS_IN_DOUBT)),
            CheckDedupMemory(),
            id="doubt",
        ),
        pytest.param(
            view(RESENT, can_check=True, forgets_until_ms=NOW_MS + 1),
            LookUpHistory(),
            id="server known to forget: uncertain without a check",
        ),
        # The window.
        pytest.param(view(batch(resent=True, age_ms=120_000)), Send(3), id="last moment of the window"),
        pytest.param(view(OLD), LookUpHistory(), id="window over"),
        pytest.param(view(OLD, can_check=True), LookUpHistory(), id="window over: no check"),
        pytest.param(view(OLD, looks=recorded(False, False, False)), Send(3, is_late=True), id="late resend"),
        pytest.param(
            view(RESENT, looks=recorded(False, False, False), forgets_until_ms=NOW_MS + 1),
            Send(3, is_late=True),
            id="late resend to a server that forgets",
        ),
        pytest.param(
            view(OLD, looks=recorded(False, True, False)), Send(1, is_late=True), id="late resend up to a recorded one"
        ),
        pytest.param(view(OLD, looks=recorded(True, True, False)), SettleRecorded(2), id="first two are recorded"),
        pytest.param(
            view(EXPIRED, looks=recorded(False, False, False)),
            BuryUncertain(letter("expired_uncertain", "", EXPIRED), keep=False),
            id="uncertain and expired",
        ),
        pytest.param(
            view(batch(resent=True, age_ms=85_001), policy=PARK, looks=recorded(False, False, False)),
            BuryUncertain(letter("uncertain", UNCERTAIN, batch(age_ms=85_001)), keep=True),
            id="park",
        ),
        pytest.param(
            view(RESENT, policy=PARK, looks=recorded(False, False, False), forgets_until_ms=NOW_MS + 1),
            BuryUncertain(letter("uncertain", FORGETS, RESENT), keep=True),
            id="park at a server that forgets",
        ),
        pytest.param(
            view(OLD, policy=PARK, looks=recorded(False, False, False), progress=Progress(attempts=4)),
            BuryUncertain(letter("uncertain", UNCERTAIN, OLD, attempts=4), keep=True),
            id="park after attempts of this run",
        ),
        pytest.param(view(RESENT, policy=PARK), Send(3), id="park: inside the window"),
        # The rate.
        pytest.param(view(FIRST, tokens=3), Send(3), id="paid"),
        pytest.param(view(FIRST, tokens=1), BuyTokens(2), id="not paid"),
        pytest.param(view(FIRST, tokens=1, looks=Looks(token_wait_s=0.7)), Wait(), id="paid in part"),
        pytest.param(view(FIRST, tokens=0, looks=Looks(token_wait_s=0.7)), Wait(0.7), id="no tokens"),
        pytest.param(
            view(FIRST, tokens=0, looks=Looks(token_wait_s=2.1)), Leave(DrainAgain(2.1)), id="no tokens for long"
        ),
        pytest.param(view(RESENT, tokens=0), Send(3), id="a resend was paid for before"),
        # A culprit that its own bytes name.
        pytest.param(
            view(
                batch(resent=True, item=BROKEN_ITEM),
                progress=Progress(suspects=1, max_items=1, attempts=2, blame="odd answer"),
            ),
            BuryBlamed(letter("unreadable", "odd answer", batch(), attempts=2)),
            id="blamed",
        ),
        pytest.param(
            view(batch(resent=True, item=BROKEN_ITEM), progress=Progress(suspects=2, blame="odd answer")),
            Send(3),
            id="items before the blamed one go first",
        ),
        pytest.param(
            view(RESENT, progress=Progress(suspects=1, blame="odd answer")),
            Send(3),
            id="an item in order is not blamed",
        ),
        pytest.param(
            view(batch(resent=True, item=BROKEN_ITEM), progress=Progress(suspects=1)), Send(3), id="nothing was blamed"
        ),
    ],
)
def test_gate(given: View, move: Move) -> None:
    """One row a state."""
    assert gate(given, NOW_MS) == move


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (AskOthers(), {"looks": Looks(do_others_wait=False)}),
        (AskOthers(), {"looks": Looks(do_others_wait=True)}),
        (TakeRight(1), {"looks": TRIED}),
        (TakeRight(1), {"looks": TRIED, "is_probing": True}),
        (LookUpHistory(), {"looks": recorded(False, False, False)}),
        (BuyTokens(3), {"tokens": 3, "looks": Looks(token_wait_s=0.0)}),
        (BuyTokens(3), {"tokens": 0, "looks": Looks(token_wait_s=1.0)}),
        (EndProbe(is_answered=False), {"is_probing": False, "looks": TRIED}),
        (WatchQueue(), {"looks": Looks(was_watched=True)}),
        (TrustOthersCheck(), {"trust": DedupTrust(cleared_ms=NOW_MS)}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else ",".join(value),
)
def test_question_is_asked_once(asked: Move, answered: dict[str, Any]) -> None:
    """Its answer leads to another move, so the loop goes on."""
    before = {
        "AskOthers": view(FIRST, is_slice_over=True),
        "TakeRight": view(FIRST, app_pause=pause()),
        "LookUpHistory": view(OLD),
        "BuyTokens": view(FIRST, tokens=0),
        "EndProbe": view(None, app_pause=pause(), is_probing=True),
        "WatchQueue": view(None),
        "TrustOthersCheck": view(RESENT, can_check=True, checked_ms=NOW_MS - 100),
    }[type(asked).__name__]
    assert gate(before, NOW_MS) == asked
    assert gate(before._replace(**answered), NOW_MS) != asked


def test_waits_in_place_add_up_to_their_bound() -> None:
    """However short each of them is, the slot is given back in time."""
    state, waits = view(FIRST, tokens=0, looks=Looks(token_wait_s=0.3)), 0
    while isinstance(move := gate(state, NOW_MS), Wait):
        state, waits = state._replace(waited_s=state.waited_s + move.seconds), waits + 1
    assert (waits, move) == (int(WAIT_IN_PLACE_S / 0.3), Leave(DrainAgain(0.3)))


def test_nothing_is_looked_up_without_need() -> None:
    """The usual way of a batch has no question in it."""
    assert Looks() == NO_LOOKS
    assert gate(view(FIRST, can_ask=True, can_check=True, tokens=None), NOW_MS) == Send(3)
