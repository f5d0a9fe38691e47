"""What a person asks of a deployment: how it stands, what died, play it again, go on.

The functions behind the command line. Each connects for itself, to ``settings.redis_url``, and raises
:class:`JournalUnavailable` when Redis fails. Imports the journal and the doorbell; item bytes, which the
journal never parses, are read here, for the event's name and message id.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .canaries.schedule import advice, current
from .canaries.store import DedupMemory
from .canaries.values import MemoryReport
from .config.settings import Settings
from .delivery.wellformed import fault_of
from .errors import JournalUnreadable, ValidationError
from .journal.app.shared import Limits, Shared
from .journal.app.workers import LiveWorker, Target, WorkerRegistry
from .journal.dead_letters import UNREADABLE, DeadLetters, Letter
from .journal.layout.layout import Layout
from .journal.pack import Item
from .journal.redis.link import WORKER_TIMEOUT_S, RedisLink
from .journal.redis.scripts import Answer
from .journal.status import LaneStatus, journal_status, known_apps, layout_in_force
from .journal.unreadable import wrong_keys
from .wiring.app import target_of
from .wiring.doorbell import doorbell

__all__ = [
    "AppStatus",
    "DeadLetter",
    "FlipStatus",
    "LaneStatus",
    "PauseStatus",
    "dead_find",
    "dead_list",
    "dead_purge",
    "dead_replay",
    "dead_show",
    "resume",
    "status",
]

logger = logging.getLogger("sockudo_publisher.operations")

#: Counters that are shown also while they are 0: whoever watches for them shall see that they are watched.
RARE_COUNTERS = ("searched", "stuck", "resent_after_window", "parked_uncertain", "settled_by_history")

#: A dead letter's id as people see it: "lane-entryid".
_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,20}-[0-9]{1,20})")


@dataclass(frozen=True)
class PauseStatus:
    """Nothing is sent to the app before ``until_ms``; paused since ``since_ms`` (Redis' time).

    ``reason`` is ours, ``words`` are the server's.
    """

    reason: str
    since_ms: int
    until_ms: int
    words: str


@dataclass(frozen=True)
class FlipStatus:
    """The number of lanes is changing: the ``waiting`` events of the old lanes go first.

    New events are stored in the new lanes meanwhile, and wait there. ``held`` of the waiting ones are in
    held channels: a stuck event holds up the change.
    """

    old: int
    new: int
    waiting: int
    held: int


@dataclass(frozen=True)
class AppStatus:
    """One app: its lanes, its pause if there is one, counters by reason, batch limits learned from the server.

    ``memory``: what canaries say of the server's memory of ids, ``advice`` what to change about it, or ``""``.
    ``flip``: a change of the number of lanes that is under way. Lanes of earlier numbers are listed
    while they hold something. ``configured`` is ``False`` for a name that is in no setting any more and
    still has events, which no worker delivers. ``workers``: those that live in this Redis, and where each delivers to;
    ``rival`` says that one of them delivers to another Sockudo app than the settings here, else ``""``.
    ``unreadable``: keys of the app, or of all apps, that hold something else than the journal's; with a layout that
    cannot be read there are no lanes to show.
    """

    app: str
    lanes: tuple[LaneStatus, ...]
    pause: PauseStatus | None
    counters: dict[str, int]
    limits: Limits
    memory: MemoryReport = field(default_factory=MemoryReport)
    advice: str = ""
    flip: FlipStatus | None = None
    configured: bool = True
    workers: tuple[LiveWorker, ...] = ()
    rival: str = ""
    unreadable: tuple[str, ...] = ()

    @property
    def is_unreadable(self) -> bool:
        """Whether something in Redis, of the app or of a lane, is not the journal's."""
        return bool(self.unreadable) or any(lane.unreadable for lane in self.lanes)

    @property
    def is_failing(self) -> bool:
        """Whether drains of a lane end in errors."""
        return any(lane.failures for lane in self.lanes)


@dataclass(frozen=True)
class DeadLetter:
    """An event that could not be delivered. Times are Redis', ms; ``size`` is that of ``item``, in bytes.

    ``reason``: ``refused``, ``too_large``, ``conflict``, ``uncertain``, ``expired``, ``miscounted`` (the server
    gave several receipts for it) or ``unreadable``; ``words`` are the server's. ``first_ms``: the start of its first
    attempt, 0 if it was never sent, or at an unknown time. ``item`` is the exact element of ``{"batch":[...]}``; it
    holds the payload and is in no repr. ``raw_entry``: the journal's entry that ``item`` is, whole, where that could
    not be read (each name and value as ``LENGTH:BYTES,``); else ``""``.
    """

    id: str
    app: str
    channel: str
    name: str
    message_id: str
    reason: str
    words: str
    attempts: int
    first_ms: int
    dead_ms: int
    size: int
    maybe_delivered: bool
    item: bytes = field(repr=False)
    raw_entry: str = ""

    @property
    def is_replayable(self) -> bool:
        """Whether it holds exactly one event, which can be sent again."""
        return not (self.reason == UNREADABLE or self.raw_entry or fault_of(Item(self.channel, self.item)))

    @property
    def data(self) -> Any:
        """The event's data; of what is no event, the whole of it as text."""
        event = _event(self.item)
        return self.item.decode(errors="replace") if event is None else event.get("data")


def status(settings: Settings) -> list[AppStatus]:
    """How every configured app stands, in six round trips an app, and every other that still has events."""
    link = _link(settings)
    configured = settings.app_urls()
    found = []
    for app in (*configured, *(name for name in known_apps(link) if name not in configured)):
        keys = link.keyspace.app(app)
        unreadable = _unreadable(link, app)
        try:
            layout = layout_in_force(link, app, settings.lanes)
        except JournalUnreadable as error:
            told = (str(error), *(one for one in unreadable if not one.startswith(keys.lanes)))
            found.append(AppStatus(app, (), None, {}, Limits(), configured=app in configured, unreadable=told))
            continue
        seen = journal_status(link, app, layout.lanes)
        unreadable += [
            f"{getattr(keys, name.partition(' ')[0])}: cannot be read, begins anew"
            for name in seen.shared.unreadable
            if not any(one.startswith(getattr(keys, name.partition(" ")[0]) + " ") for one in unreadable)
        ]
        pause = seen.shared.pause
        shown = PauseStatus(pause.reason, pause.since_ms, pause.until_ms, pause.words) if pause else None
        in_force = {*layout.span.lanes, *layout.appending.lanes}
        lanes = tuple([lane for lane in seen.lanes if lane.lane in in_force or lane.depth or lane.held or lane.dead])
        flip = _flip(layout, seen.lanes)
        counters = {**dict.fromkeys(RARE_COUNTERS, 0), **seen.counters}
        kept = DedupMemory(link, app)
        memory = current(kept.report(), kept.now_ms())
        limits = seen.shared.limits
        if app in configured or unreadable or any(lane.depth or lane.held or lane.dead for lane in lanes):
            advised = advice(memory) if app in configured else ""
            workers = WorkerRegistry(link, app).alive()
            rival = _rival(target_of(settings, app), workers) if app in configured else ""
            found.append(
                AppStatus(
                    *(app, lanes, shown, counters, limits, memory, advised, flip),
                    configured=app in configured,
                    workers=workers,
                    rival=rival,
                    unreadable=tuple(unreadable),
                )
            )
    return found


def _rival(mine: Target, workers: Sequence[LiveWorker]) -> str:
    for one in workers:
        if one.target.app_id != mine.app_id:
            return (
                f"worker {one.node} delivers to app id {one.target.app_id!r} at {one.target.host}, here it is "
                f"{mine.app_id!r} at {mine.host}: two deployments share this Redis (SOCKUDO_NAMESPACE keeps them apart)"
            )
    return ""


def _unreadable(link: RedisLink, app: str) -> list[str]:
    """The keys of an app that are of another type, and the one of all apps."""
    keys = link.keyspace.app(app)
    names = [keys.pause, keys.probe, keys.limits, keys.lanes, keys.rate, keys.memory]
    names += [keys.canaries, keys.canary_answers, keys.canary_holder, keys.workers, link.keyspace.apps]
    return wrong_keys(link, names)


def _flip(layout: Layout, lanes: Sequence[LaneStatus]) -> FlipStatus | None:
    old = layout.drained_first
    if old is None:
        return None
    left = [lane for lane in lanes if lane.lane in old.lanes]
    held = sum(lane.held for lane in left)
    return FlipStatus(old.count, layout.span.count, sum(lane.depth for lane in left) + held, held)


def dead_list(settings: Settings, app: str, limit: int) -> list[DeadLetter]:
    """At most ``limit`` dead letters of an app, oldest first."""
    return [_shown(app, letter) for letter in _letters(settings, app).oldest(limit)]


def dead_find(settings: Settings, app: str, id: str) -> DeadLetter | None:
    """One dead letter, ``None`` when there is none with this id. Raises :class:`ValidationError` for what is no id."""
    letter = _letters(settings, app).find(*_place(id))
    return None if letter is None else _shown(app, letter)


def dead_show(settings: Settings, app: str, id: str) -> DeadLetter:
    """One dead letter. Raises :class:`ValidationError` when there is none with this id."""
    letter = dead_find(settings, app, id)
    if letter is None:
        raise ValidationError(f"id: no dead letter {id} of app {app}")
    return letter


def dead_replay(settings: Settings, app: str, ids: Sequence[str], *, new_id: bool = False) -> int:
    """Move dead letters to the ends of their lanes, in the order of ``ids``; answers how many were still there.

    Their order towards their channels is given up. They keep their message ids, so that a server that
    remembers one answers instead of delivering again; ``new_id`` gives them new ones. Raises
    :class:`ValidationError`, with nothing moved, when one is a ``conflict`` and ``new_id`` is not set: the
    server knows its id with another payload; and when one is not exactly one event: it can be purged.
    """
    letters = _letters(settings, app)
    found = [letter for place in _places(ids) if (letter := letters.find(*place)) is not None]
    unreadable = [_id(letter) for letter in found if not _shown(app, letter).is_replayable]
    if unreadable:
        raise ValidationError(
            f"ids: {len(unreadable)} of them cannot be replayed ({', '.join(unreadable[:3])}): "
            "they do not hold exactly one event (dead show, dead purge)"
        )
    conflicts = [_id(letter) for letter in found if letter.reason == "conflict"]
    if conflicts and not new_id:
        raise ValidationError(
            f"ids: {len(conflicts)} of them died of a conflict ({', '.join(conflicts[:3])}): "
            "the server knows the message id with another payload, so they need new ids (new_id, --new-id)"
        )
    moved: list[Letter] = []
    ring: set[int] = set()
    try:
        for letter in found:
            answer = letters.replay(letter, _with_new_id(letter.item) if new_id else letter.item)
            if answer is not Answer.EMPTY:
                moved.append(letter)
            if answer is Answer.RING:
                ring.add(letter.lane)
    finally:
        if ring:
            doorbell.ring(app, sorted(ring))
    forgets = any(letter.maybe_delivered for letter in moved) and _forgets(settings, app, letters.now_ms())
    window_s = 0.0 if forgets else settings.dedup_window
    for letter in moved:
        if letter.maybe_delivered:
            _tell(app, letter, letters.now_ms(), window_s, new_id=new_id)
    return len(moved)


def dead_purge(settings: Settings, app: str, ids: Sequence[str] | None) -> int:
    """Delete dead letters for good, all of the app's with ``None``; answers how many there were."""
    letters = _letters(settings, app)
    return letters.purge_all() if ids is None else letters.purge(_places(ids))


def resume(settings: Settings, app: str) -> bool:
    """End an app's pause and ring its lanes; ``False``: it was not paused."""
    link = _link(settings)
    resumed = Shared(link, app).resume()
    if resumed:
        seen = journal_status(link, app, layout_in_force(link, app, settings.lanes).drainable)
        doorbell.ring(app, [lane.lane for lane in seen.lanes if lane.depth])
    return resumed


def _link(settings: Settings) -> RedisLink:
    return RedisLink(settings.redis_url, timeout_s=WORKER_TIMEOUT_S, namespace=settings.namespace)


def _letters(settings: Settings, app: str) -> DeadLetters:
    link = _link(settings)
    return DeadLetters(link, app, layout_in_force(link, app, settings.lanes).lanes)


def _place(id: str) -> tuple[int, str]:
    match = _ID.fullmatch(id)
    if match is None or any(int(part) >= 2**64 for part in match[2].split("-")):
        raise ValidationError("id: not one of a dead letter, expected lane-milliseconds-sequence")
    return int(match[1]), match[2]


def _places(ids: Iterable[str]) -> list[tuple[int, str]]:
    # An id given twice is one dead letter.
    return [_place(id) for id in dict.fromkeys(ids)]


def _id(letter: Letter) -> str:
    return f"{letter.lane}-{letter.entry_id}"


def _shown(app: str, letter: Letter) -> DeadLetter:
    event = _event(letter.item) or {}
    return DeadLetter(
        id=_id(letter),
        app=app,
        channel=letter.channel,
        name=str(event.get("name", "")),
        message_id=str(event.get("message_id", "")),
        reason=letter.reason,
        words=letter.words,
        attempts=letter.attempts,
        first_ms=letter.first_ms,
        dead_ms=letter.dead_ms,
        size=len(letter.item),
        maybe_delivered=letter.maybe_delivered,
        item=letter.item,
        raw_entry=letter.raw_entry,
    )


def _event(item: bytes) -> dict[str, Any] | None:
    """The event that an item is; ``None`` where it is none."""
    try:
        event = json.loads(item)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _with_new_id(item: bytes) -> bytes:
    event = {**(_event(item) or {}), "message_id": uuid.uuid4().hex}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _forgets(settings: Settings, app: str, now_ms: int) -> bool:
    return DedupMemory(_link(settings), app).report().forgets_until_ms > now_ms


def _tell(app: str, letter: Letter, now_ms: int, window_s: float, *, new_id: bool) -> None:
    """Say whether the server can still tell a replay of what may have been delivered."""
    forgotten = new_id or now_ms - letter.first_ms >= window_s * 1000
    logger.warning(
        "app %s: dead letter %s (%s) may have been delivered; %s",
        app,
        _id(letter),
        letter.reason,
        "subscribers may see it twice" if forgotten else "the server may still remember its message id",
    )
