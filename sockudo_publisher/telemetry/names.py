"""The names of all metrics, and the fixed lists of their labels' values. docs/metrics.md has the same table."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "COUNTERS",
    "HISTOGRAMS",
    "JOURNAL_SECONDS",
    "LABEL_VALUES",
    "PAUSE_REASONS",
    "PREFIX",
    "Counted",
    "Histogrammed",
    "bounded",
]

PREFIX: Final = "sockudo_publisher_"


class Counted(NamedTuple):
    """A counter of this process: its name without prefix and ``_total``, and its help text."""

    name: str
    help: str


class Histogrammed(NamedTuple):
    """A histogram of this process."""

    name: str
    help: str
    bounds: tuple[float, ...]


#: The histogram whose observations are weighted; its buckets are those of `ages`.
JOURNAL_SECONDS: Final = Counted("journal_seconds", "Seconds from stored to delivered, per event")

#: The value of a label that is in no list: a newer release wrote it.
OTHER: Final = "other"

#: The reason of a pause by a person.
OPERATOR: Final = "operator"
PAUSE_REASONS: Final = ("unreachable", "unknown", "busy", "misconfigured", OPERATOR)

#: By metric without prefix and `_total`, the label beside `app` and its values. Nothing else is ever a label.
LABEL_VALUES: Final = {
    "events_dead": (
        "reason",
        ("refused", "conflict", "too_large", "unreadable", "miscounted", "uncertain", "expired"),
    ),
    "events_uncertain": ("outcome", ("resent", "parked", "in_history", "expired")),
    "posts": (
        "outcome",
        (
            *("accepted", "not_sent", "unknown", "stuck", "busy", "refused", "conflict", "miscounted", "too_large"),
            "misconfigured",
        ),
    ),
    "events_unstored": ("outcome", ("lost", "unknown")),
    "redis_errors": ("where", ("append", "schedule", "drain", "sweep")),
    "pauses": ("reason", PAUSE_REASONS),
    "drains_without_doorbell": ("reason", ("broker_away", "unheard")),
}


COUNTERS: Final = (
    Counted("events_stored", "Events that this process stored in the journal"),
    Counted("events_scheduled", "Events that this process stored for a later time"),
    Counted("events_unstored", "Events whose callers went on without them, by what is known (SOCKUDO_ON_UNAVAILABLE)"),
    Counted("events_settled", "Events delivered, with Sockudo's receipt"),
    Counted("events_resent", "Events sent again, after an attempt that may have carried them"),
    Counted("events_dead", "Events that became dead letters, by reason"),
    Counted("events_expired", "Events that expired before their first attempt"),
    Counted("events_collapsed", "Events that a later one with the same collapse key replaced"),
    Counted("events_uncertain", "Uncertain events past their window, by outcome"),
    Counted("posts", "Requests to Sockudo, by what the answer proves"),
    Counted("redis_errors", "Calls of Redis that failed, by place"),
    Counted("holds", "Times that a channel began to wait behind its stuck event"),
    Counted("pauses", "Times that an app was paused, or its pause prolonged, by reason"),
    Counted("drains_without_doorbell", "Lanes that the sweep drained itself, by reason"),
)

#: Buckets of a batch and of a request.
BATCH_EVENTS: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
POST_S: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

HISTOGRAMS: Final = (
    Histogrammed("batch_events", "Events in a request to Sockudo", BATCH_EVENTS),
    Histogrammed("post_seconds", "Seconds of a request to Sockudo", POST_S),
)


def bounded(metric: str, value: str) -> str:
    """The value if it is in the list of that metric's label, else ``other``: the number of series has a bound."""
    return value if value in LABEL_VALUES[metric][1] else OTHER
