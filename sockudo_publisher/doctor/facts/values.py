"""What was found out, as values; the checks judge them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ...journal.app.workers import Target
from .server_reply import ServerReply

__all__ = [
    "Access",
    "BrokerFacts",
    "CanaryCounts",
    "Cut",
    "LimitAnswer",
    "NodeAnswer",
    "NodeLoad",
    "PauseFacts",
    "RedisFacts",
    "RightsFacts",
    "Worker",
    "is_open",
]


@dataclass(frozen=True)
class Access:
    """The answer, or why there is none.

    ``setting`` is the variable that holds the URL. ``ahead_s``: how far the clock of whoever answered (a proxy
    answers with its own) is ahead of this host's, to a second; ``None`` without a ``Date``.
    """

    setting: str
    app_id: str
    said: ServerReply | None = None
    failure: str = ""
    ahead_s: float | None = None


def is_open(access: Access) -> bool:
    """Whether further questions have a meaning."""
    return access.said is not None and access.said.status == 200


@dataclass(frozen=True)
class LimitAnswer:
    """So much (events or bytes) was asked for; ``said`` is ``None`` when no answer came."""

    amount: int
    said: ServerReply | None


@dataclass(frozen=True)
class CanaryCounts:
    """Of ``planted`` events ``receipts`` were acknowledged; of ``asked`` ids ``remembered`` were, ``age_s`` later."""

    planted: int
    receipts: int
    asked: int = 0
    remembered: int = 0
    age_s: float = 0.0


@dataclass(frozen=True)
class NodeAnswer:
    """One id was published again with one of two payloads; ``refused``: as one that belongs to the other payload."""

    payload: str
    refused: bool


@dataclass(frozen=True)
class NodeLoad:
    """What the node that answered holds of the app."""

    connections: int = 0
    channels: int = 0
    subscriptions: int = 0


class Cut(Enum):
    """What became of a batch whose client went away."""

    FINISHED = "its last event was taken"
    STOPPED = "its first event was taken, its last was not"
    NOT_BEGUN = "none of its events was taken"
    UNCLEAR = "the server could not be asked"


@dataclass(frozen=True)
class PauseFacts:
    """``reason`` of the app's pause and the server's words; empty: it is not paused."""

    reason: str = ""
    words: str = ""


@dataclass(frozen=True)
class RightsFacts:
    """What Redis says of this user's rights.

    ``denied``: commands that it may not run on the journal's keys; ``None``: it could not be found out.
    ``eval_denied``: what keeps everything from working, and us from asking. ``pattern``: of the journal's keys.
    """

    denied: frozenset[str] | None = None
    eval_denied: bool = False
    pattern: str = "sockudo:*"


@dataclass(frozen=True)
class RedisFacts:
    """What Redis said of itself.

    ``failure``: why it was not reached (then nothing else is known). ``info`` and ``config`` are ``None`` where
    an ACL denies the command. ``ahead_s``: how far its clock is ahead of this host's. ``replicas_wanted``: of
    ``SOCKUDO_REDIS_WAIT``; ``wait_denied``: by an ACL, looked at only where it is wanted. ``rights``: of our user.
    """

    failure: str = ""
    refused: bool = False
    info: Mapping[str, Any] | None = field(default=None, repr=False)
    config: Mapping[str, str] | None = field(default=None, repr=False)
    ahead_s: float | None = None
    replicas_wanted: int = 0
    wait_denied: bool = False
    rights: RightsFacts = field(default_factory=lambda: RightsFacts(frozenset()))


@dataclass(frozen=True)
class Worker:
    """A worker that listens on our queue. ``version`` is ``None`` for one that does not know our question;
    ``targets``: where it delivers each app to.
    """

    node: str
    version: str | None = None
    lanes: int = 0
    apps: tuple[str, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)


@dataclass(frozen=True)
class BrokerFacts:
    """``transport`` is the broker's kind (``redis``, ``amqp``); ``failure`` why it was not reached.

    ``workers`` is ``None`` when the broker was reached and the question failed on the way. ``denied``: what our
    user may not run there, of a Redis that says so.
    """

    transport: str
    failure: str = ""
    workers: tuple[Worker, ...] | None = None
    denied: frozenset[str] = frozenset()
