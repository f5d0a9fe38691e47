"""What becomes of a batch in a worker's hands: its window, and the search for a culprit. Pure data.

The same kind of table as ``journal/protocol.py``, for states that are not in Redis: the window follows from the
marker's time (``window.check_window``), the search is a run's :class:`.decide.Progress`. Tests walk both with those
functions.
"""

from __future__ import annotations

from ..journal.protocol import Machine, ProtocolState, Seen, Step

__all__ = ["MACHINES", "SEARCH", "WINDOW"]


def _no_keys(_seen: Seen) -> str:
    raise NotImplementedError("not read from keys: window.check_window and decide.Progress have these states")


WINDOW = Machine(
    name="window",
    title="The window of a batch: whether it may be sent",
    states=(
        ProtocolState("never sent", "no earlier attempt"),
        ProtocolState("safe", "sent before, inside the window"),
        ProtocolState("late", "uncertain, SOCKUDO_ON_UNCERTAIN=resend"),
        ProtocolState("too late", "uncertain, SOCKUDO_ON_UNCERTAIN=park"),
    ),
    steps=(
        Step("never sent", "attempt without a certain answer", "mark stays", "safe"),
        Step("safe", "attempt without a certain answer", "mark stays", "safe"),
        Step("safe", "window ends (resend)", "counted", "late"),
        Step("safe", "window ends (park)", "looked up", "too late"),
        Step("safe", "server forgets ids (resend)", "counted", "late"),
        Step("safe", "server forgets ids (park)", "looked up", "too late"),
        Step("late", "attempt without a certain answer", "mark stays", "late"),
    ),
    state_of=_no_keys,
)

SEARCH = Machine(
    name="search",
    title="The search for the event that a batch fails for",
    states=(
        ProtocolState("whole", "batches of full size"),
        ProtocolState("waited", "stuck: 2 s for a running request"),
        ProtocolState("halving", "a prefix holds the culprit"),
        ProtocolState("small", "batches of 1, 2, 4 ... items"),
    ),
    steps=(
        Step("whole", "accepted", "Settle", "whole"),
        Step("whole", "stuck", "TryAgain", "waited"),
        Step("whole", "refused (several items)", "TryAgain", "halving"),
        Step("whole", "refused (one item)", "Bury", "small"),
        Step("waited", "accepted", "Settle", "whole"),
        Step("waited", "stuck (several items)", "TryAgain", "halving"),
        Step("waited", "stuck (one item)", "Hold", "small"),
        Step("waited", "refused (several items)", "TryAgain", "halving"),
        Step("waited", "refused (one item)", "Bury", "small"),
        Step("halving", "refused (several items)", "TryAgain", "halving"),
        Step("halving", "stuck (before the wait)", "TryAgain", "halving"),
        Step("halving", "stuck (several items)", "TryAgain", "halving"),
        Step("halving", "accepted (a part)", "Settle", "halving"),
        Step("halving", "refused (one item)", "Bury", "small"),
        Step("halving", "stuck (one item)", "Hold", "small"),
        Step("small", "refused (one item)", "Bury", "small"),
        Step("small", "refused (several items)", "TryAgain", "halving"),
        Step("small", "accepted", "Settle", "small"),
        Step("small", "stuck", "TryAgain", "waited"),
    ),
    state_of=_no_keys,
)

#: Both, in the order of the page.
MACHINES = (WINDOW, SEARCH)
