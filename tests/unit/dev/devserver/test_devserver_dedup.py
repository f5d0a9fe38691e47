"""What the look-alike remembers: against a model, with a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.dev.devserver.decoding import decode_event
from sockudo_publisher.dev.devserver.dedup import Claim, Conflict, DedupStore, InProgress, StoredReceipt, fingerprint

pytestmark = pytest.mark.unit

KEY = ("app", "channel", "id")


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def store(ttl_s: float = 10.0, capacity: int = 100) -> tuple[DedupStore, Clock]:
    clock = Clock()
    return DedupStore(ttl_s, capacity, clock), clock


def claimed(dedup: DedupStore, payload: bytes = b"a", key: tuple[str, str, str] = KEY) -> Claim:
    decision = dedup.begin(key, payload)
    assert isinstance(decision, Claim)
    return decision


def test_a_committed_id_is_replayed_with_its_receipt():
    """For the same payload; another one is a conflict."""
    dedup, _ = store()
    dedup.commit(claimed(dedup), "receipt")
    assert dedup.begin(KEY, b"a") == StoredReceipt("receipt")
    assert dedup.begin(KEY, b"b") == Conflict()


def test_a_pending_id_is_in_progress_for_the_same_payload_alone():
    """Another payload is a conflict at once."""
    dedup, _ = store()
    claimed(dedup)
    assert dedup.begin(KEY, b"a") == InProgress()
    assert dedup.begin(KEY, b"b") == Conflict()


def test_an_aborted_id_is_as_if_never_claimed():
    """Another payload may have it."""
    dedup, _ = store()
    dedup.abort(claimed(dedup))
    assert isinstance(dedup.begin(KEY, b"b"), Claim)


def test_the_time_starts_anew_at_commit():
    """Not at claim, and no replay prolongs it."""
    dedup, clock = store(ttl_s=10)
    claim = claimed(dedup)
    clock.now = 9
    dedup.commit(claim, "receipt")
    clock.now = 18.9
    assert dedup.begin(KEY, b"a") == StoredReceipt("receipt")
    clock.now = 19
    assert isinstance(dedup.begin(KEY, b"a"), Claim)


def test_an_orphaned_claim_ends_with_its_time():
    """No request commits or aborts it."""
    dedup, clock = store(ttl_s=10)
    claimed(dedup)
    clock.now = 10
    assert isinstance(dedup.begin(KEY, b"b"), Claim)


def test_a_late_owner_touches_nothing():
    """Its claim has run out and is another's now."""
    dedup, clock = store(ttl_s=10)
    late = claimed(dedup)
    clock.now = 11
    owner = claimed(dedup)
    dedup.abort(late)
    assert dedup.begin(KEY, b"a") == InProgress()
    dedup.commit(late, "late")
    assert dedup.begin(KEY, b"a") == InProgress()
    dedup.commit(owner, "receipt")
    assert dedup.begin(KEY, b"a") == StoredReceipt("receipt")


def test_a_full_store_remembers_no_new_id_and_keeps_the_old():
    """Until time makes room."""
    dedup, clock = store(ttl_s=10, capacity=2)
    for name in ("1", "2", "3"):
        dedup.commit(claimed(dedup, key=("app", "c", name)), name)
    assert [type(dedup.begin(("app", "c", name), b"a")) for name in ("1", "2", "3")] == [
        StoredReceipt,
        StoredReceipt,
        Claim,
    ]
    clock.now = 10
    assert isinstance(dedup.begin(("app", "c", "3"), b"a"), Claim)
    assert dedup.begin(("app", "c", "3"), b"a") == InProgress()


def test_a_restart_forgets_all():
    """As the memory cache of the real server."""
    dedup, _ = store()
    dedup.commit(claimed(dedup), "receipt")
    dedup.forget()
    assert len(dedup) == 0
    assert isinstance(dedup.begin(KEY, b"b"), Claim)


STEPS = st.tuples(
    st.sampled_from(["begin", "commit", "abort", "wait"]), st.integers(0, 2), st.sampled_from([b"a", b"b"])
)


@given(st.lists(STEPS, max_size=60))
def test_it_does_what_a_dictionary_with_times_does(steps):
    """Any sequence of claims, commits, aborts and waits over three ids; the store is never full."""
    dedup, clock = store(ttl_s=3, capacity=10)
    model: dict[int, tuple[str, bytes, float, int]] = {}
    claims: dict[int, Claim] = {}
    for what, number, payload in steps:
        model = {one: record for one, record in model.items() if record[2] > clock.now}
        known = model.get(number)
        if what == "wait":
            clock.now += 1
        elif what == "begin":
            decision = dedup.begin(("app", "c", str(number)), payload)
            if known is None:
                assert isinstance(decision, Claim)
                claims[number] = decision
                model[number] = ("pending", payload, clock.now + 3, decision.owner)
            elif known[1] != payload:
                assert decision == Conflict()
            elif known[0] == "pending":
                assert decision == InProgress()
            else:
                assert decision == StoredReceipt(str(number))
        elif number in claims:
            claim = claims[number]
            is_ours = known is not None and known[0] == "pending" and known[3] == claim.owner
            if what == "commit":
                dedup.commit(claim, str(number))
                if is_ours:
                    model[number] = ("committed", claim.fingerprint, clock.now + 3, claim.owner)
            else:
                dedup.abort(claim)
                if is_ours:
                    del model[number]
    model = {one: record for one, record in model.items() if record[2] > clock.now}
    assert len(dedup) == len(model)


def test_a_fingerprint_is_of_one_channel():
    """The same message to another channel is another payload."""
    message = decode_event(b'{"name":"e","data":"d"}')
    assert fingerprint(message, "a") == fingerprint(message, "a")
    assert fingerprint(message, "a") != fingerprint(message, "b")
