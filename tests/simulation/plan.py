"""What a seed means: a small world and all that will happen to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any, Literal

__all__ = ["PACES_S", "WANDERS_S", "Accident", "Fault", "Plan", "Scheduled", "plan_of", "smaller"]

#: What can happen to a request, and how often; the number is the item at which it is cut.
FAULTS = (
    ("cut", 6),
    ("ghost cut", 1),  # cut behind the publication: the claim stays, the event is out (a Redis cache, A5)
    ("answer lost", 4),
    ("request lost", 2),
    ("not sent", 3),
    ("wanders", 2),  # arrives when its client has given up
    ("slow", 3),
    ("draining", 2),
    ("busy", 1),
    ("unauthorized", 1),
    ("internal error", 2),
    ("bad gateway", 1),
)

#: What can happen at a step of a task, and how often.
ACCIDENTS = (
    ("crash", 6),
    ("freeze", 4),
    ("freeze before an answer", 2),  # of Redis: what it said is old when it is read
    ("stop", 3),
    ("server down", 3),
    ("server restarts and forgets", 1),
    ("server restarts and remembers", 2),
    ("server forgets", 1),
    ("server dies of large requests", 2),
    ("redis down", 2),
    ("redis loses its last second", 1),
    ("answer of redis lost", 3),
    ("answer of redis late", 2),
    ("claim", 2),  # a cut request of another client left one
)

#: Those that last.
LASTING = {
    "freeze",
    "freeze before an answer",
    "server down",
    "server restarts and forgets",
    "server restarts and remembers",
    "server dies of large requests",
    "redis down",
    "answer of redis late",
}

#: Seconds that they last, where they do: shorter and longer than a lease (6 s), a timeout (30 s), a window (120 s).
#: The last is rare: a world in which nothing moves for minutes takes as long as ten others, and shows no more.
SPANS_S = (0.5, 0.5, 3.0, 3.0, 7.0, 7.0, 7.0, 20.0, 45.0, 130.0)

#: Seconds until what wanders arrives: its client has given up, or the server has forgotten.
WANDERS_S = (35.0, 60.0, 130.0, 300.0)
#: Seconds an item takes in a slow server.
PACES_S = (0.05, 1.0, 8.0, 40.0)


@dataclass(frozen=True)
class Fault:
    """What befalls the ``request``-th request (from 1)."""

    request: int
    kind: str
    at: int = 0


@dataclass(frozen=True)
class Accident:
    """What befalls the task that goes on at the ``step``-th step, or the world then."""

    step: int
    kind: str
    span_s: float = 0.0
    event: int = 0


@dataclass(frozen=True)
class Scheduled:
    """A call with a countdown; times in seconds, of ``repeat_s``, ``due_s`` and ``cancel_s`` from the call on.

    ``repeat_s``: the caller did not get the answer, and calls again; ``is_foreign``: another event has used its key.
    """

    called_at: float
    channel: int
    due_s: float
    repeat_s: float = 0.0
    cancel_s: float | None = None
    is_foreign: bool = False


@dataclass(frozen=True)
class Plan:
    """``events``: (when, channel numbers) of each append; event numbers count over all of them."""

    seed: int
    lanes: int = 1
    processes: int = 2
    batch_max: int = 10
    events: tuple[tuple[float, tuple[int, ...]], ...] = ((0.0, (0,)),)
    on_uncertain: Literal["resend", "park"] = "resend"
    on_expired: str = "drop"
    poison: tuple[int, ...] = ()
    foreign: tuple[int, ...] = ()
    expires_s: tuple[tuple[int, float], ...] = ()
    collapse: tuple[tuple[int, int], ...] = ()  # event -> its collapse key's number
    faults: tuple[Fault, ...] = ()
    accidents: tuple[Accident, ...] = ()
    max_items: int | None = None
    capacity: int | None = None
    max_rate: float = 0.0
    finishes_requests: bool = False  # as behind our nginx: a request goes on when its client is gone
    rings_lost: float = 0.0
    is_scarce: bool = True
    stays: float = 0.0  # chance that a run watches its quiet lane for one look more
    asks: bool = False  # canaries are asked after trouble, and say what the server has forgotten
    finds: bool = False  # history is on, and is asked about items of unknown fate
    checks: bool = False  # fresh canaries are asked before anything is sent again
    #: (when, seconds) of each pause that an operator orders.
    operator_pauses: tuple[tuple[float, float], ...] = ()
    lies: float = 0.0  # share of what a full memory does not take: delivered, and answered "in progress"
    scheduled: tuple[Scheduled, ...] = ()  # their numbers follow those of ``events``
    max_backlog: int = 0  # of a lane, for what is due; 0: any number
    more_lanes_at: float | None = None  # when the lanes become one more

    def kinds(self) -> set[str]:
        """The names of all that happens."""
        return {one.kind for one in self.faults} | {one.kind for one in self.accidents}

    def __str__(self) -> str:
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        default = {one.name: one.default for one in fields(self)}
        return "\n".join(f"  {name} = {value}" for name, value in told.items() if value != default[name])


def _drawn(random: Random, table: tuple[tuple[str, int], ...], bag: dict[Any, list[str]] = {}) -> str:  # noqa: B006
    names = bag.get(table)
    if names is None:
        names = bag[table] = [name for name, weight in table for _ in range(weight)]
    return names[int(random.random() * len(names))]


def plan_of(seed: int) -> Plan:
    """The plan of a seed: mostly small and with few troubles, so that many fit into a second."""
    random = Random(seed)
    chance = random.random

    def below(number: int) -> int:
        return int(chance() * number)

    channels = 1 + below(4)
    lanes = 1 if chance() < 0.7 else 2
    count, appends = 0, []
    for _ in range(1 + below(3)):
        size = 1 + below(10)
        appends.append((0.0 if not appends else below(40) / 10, tuple(below(channels) for _ in range(size))))
        count += size
    troubles = below(4) if chance() < 0.8 else below(8)
    faults, accidents = [], []
    for _ in range(troubles):
        if chance() < 0.5:
            # The first requests more often than others: every world has them.
            faults.append(Fault(1 + below(3 + below(8)), _drawn(random, FAULTS), below(10)))
        else:
            kind = _drawn(random, ACCIDENTS)
            span = SPANS_S[below(len(SPANS_S))] if kind in LASTING else 0.0
            accidents.append(Accident(1 + below(6 + below(60)), kind, span, below(count)))
    return Plan(
        seed=seed,
        lanes=lanes,
        processes=1 + below(3),
        batch_max=(1, 3, 10, 10, 10, 100)[below(6)],
        events=tuple(appends),
        on_uncertain="park" if chance() < 0.3 else "resend",
        on_expired="dead" if chance() < 0.5 else "drop",
        poison=(below(count),) if chance() < 0.15 else (),
        foreign=(below(count),) if chance() < 0.1 else (),
        expires_s=((below(count), below(60) / 2),) if chance() < 0.1 else (),
        faults=tuple(sorted(faults, key=lambda one: one.request)),
        accidents=tuple(sorted(accidents, key=lambda one: one.step)),
        max_items=1 + below(6) if chance() < 0.08 else None,
        capacity=below(12) if chance() < 0.04 else None,
        max_rate=20.0 if chance() < 0.05 else 0.0,
        finishes_requests=chance() < 0.4,
        rings_lost=0.5 if chance() < 0.2 else 0.0,
        is_scarce=chance() < 0.9,
        asks=chance() < 0.25,
        finds=chance() < 0.15,
        checks=chance() < 0.5,
        lies=0.3 if chance() < 0.5 else 0.0,
        # The last to be drawn: the other plans of a seed stay as they were.
        collapse=tuple((n, below(2)) for n in range(count) if chance() < 0.7) if chance() < 0.25 else (),
        operator_pauses=_operator_pauses(seed),
        stays=0.9 if Random(seed + 4_000_003).random() < 0.25 else 0.0,
        **_scheduled(seed, channels),
    )


def _operator_pauses(seed: int) -> tuple[tuple[float, float], ...]:
    """Drawn apart, so that a seed's other troubles are the same with and without them."""
    random = Random(seed + 2_000_003)
    if random.random() > 0.15:
        return ()
    return tuple(
        (random.choice((0.0, 0.05, 1.0, 4.0, 20.0)), random.choice(SPANS_S)) for _ in range(random.randint(1, 2))
    )


def _scheduled(seed: int, channels: int) -> dict[str, Any]:
    """Drawn apart too: in most worlds with troubles some of them happen while events become due."""
    random = Random(seed + 3_000_003)
    if random.random() > 0.08:
        return {}
    calls: list[Scheduled] = []
    for _ in range(random.randint(1, 8)):
        called_at, due_s = random.choice((0.0, 0.0, 0.1, 1.0)), random.choice((0.05, 0.3, 0.3, 1.0, 4.0, 10.0))
        repeat_s = due_s * random.choice((0.1, 0.5, 1.0)) if random.random() < 0.2 else 0.0
        cancel_s = (
            due_s + random.choice((-0.04, 0.002, 0.005, 0.008, 0.012, 0.1, 2.0, 9.0)) if random.random() < 0.3 else None
        )
        calls.append(
            Scheduled(called_at, random.randrange(channels), due_s, repeat_s, cancel_s, random.random() < 0.04)
        )
    return {
        "scheduled": tuple(sorted(calls, key=lambda one: one.called_at)),
        "max_backlog": random.choice((0, 0, 1, 2, 4)),
        "more_lanes_at": random.choice((0.2, 0.5, 1.5, 5.0)) if random.random() < 0.3 else None,
    }


def smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with one thing less, for the search of a short failing one."""
    for name in ("accidents", "faults", "events", "poison", "foreign", "expires_s", "collapse", "operator_pauses",
                 "scheduled"):  # fmt: skip
        things = getattr(plan, name)
        if name != "events" or len(things) > 1:
            for n in range(len(things)):
                yield replace(plan, **{name: things[:n] + things[n + 1 :]})
    for name, simple in (("rings_lost", 0.0), ("lanes", 1), ("max_items", None), ("capacity", None), ("max_rate", 0.0),
                         ("processes", 1), ("finishes_requests", False), ("is_scarce", True), ("stays", 0.0),
                         ("asks", False), ("finds", False), ("checks", False), ("lies", 0.0),
                         ("max_backlog", 0), ("more_lanes_at", None)):  # fmt: skip
        if getattr(plan, name) != simple:
            yield replace(plan, **{name: simple})
    for n, (when, channels) in enumerate(plan.events):
        if len(channels) > 1:
            for one in (channels[: len(channels) // 2], channels[:-1]):
                yield replace(plan, events=(*plan.events[:n], (when, one), *plan.events[n + 1 :]))
