"""The collected facts, as values; the checks judge them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ...journal.app.operator import OperatorPause
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
    "QueueWorker",
    "RedisFacts",
    "RightsFacts",
    "is_open",
]


@dataclass(frozen=True)
class Access:
    """The server's reply to an empty batch, or ``failure``: why there is none.

    ``setting`` is the variable that holds the URL. ``ahead_s``: seconds by which the clock of the answering server (or
    proxy, which sends its own ``Date``) is ahead of this host's, to a second; ``None`` without a ``Date``.
    """

    setting: str
    app_id: str
    reply: ServerReply | None = None
    failure: str = ""
    ahead_s: float | None = None


def is_open(access: Access) -> bool:
    """Whether the server accepted the request, so that further requests can learn something."""
    return access.reply is not None and access.reply.status == 200


@dataclass(frozen=True)
class LimitAnswer:
    """The reply to a request of ``amount`` events or bytes; ``reply`` is ``None`` when no answer came."""

    amount: int
    reply: ServerReply | None


@dataclass(frozen=True)
class CanaryCounts:
    """How many canaries were planted and acknowledged, and how many of them the server still remembered.

    ``receipts`` of the ``planted`` events were acknowledged. ``age_s`` seconds later, the server remembered
    ``remembered`` of the ``asked`` ids.
    """

    planted: int
    receipts: int
    asked: int = 0
    remembered: int = 0
    age_s: float = 0.0


@dataclass(frozen=True)
class NodeAnswer:
    """One id was published again with ``payload``; ``refused``: the server knows the id with the other payload."""

    payload: str
    refused: bool


@dataclass(frozen=True)
class NodeLoad:
    """The app's connections, channels and subscriptions on the node that answered."""

    connections: int = 0
    channels: int = 0
    subscriptions: int = 0


class Cut(Enum):
    """The result of a batch whose client closed the connection before the answer."""

    FINISHED = "its last event was taken"
    STOPPED = "its first event was taken, its last was not"
    NOT_BEGUN = "none of its events was taken"
    UNCLEAR = "the server did not answer"


@dataclass(frozen=True)
class PauseFacts:
    """``reason`` of the pause of a server in trouble and the server's ``message``; both empty: there is none.

    ``operator_pause``: of a person, ``None``: there is none. Both may be there.
    """

    reason: str = ""
    message: str = ""
    operator_pause: OperatorPause | None = None


@dataclass(frozen=True)
class RightsFacts:
    """The rights of the user in ``SOCKUDO_REDIS_URL``.

    ``denied``: commands that the user may not run on the journal's keys; ``None``: unknown. ``eval_denied``: the user
    may not run EVAL, so no script of the journal works and other rights cannot be checked. ``pattern``: matches the
    journal's keys.
    """

    denied: frozenset[str] | None = None
    eval_denied: bool = False
    pattern: str = "sockudo:*"


@dataclass(frozen=True)
class RedisFacts:
    """What Redis reports about itself.

    ``failure``: why Redis was not reached (then nothing else is known); ``refused``: it refused the user or password.
    ``info`` and ``config`` are ``None`` where an ACL denies the command. ``ahead_s``: seconds by which its clock is
    ahead of this host's. ``replicas_wanted``: the number in ``SOCKUDO_REDIS_WAIT``; ``wait_denied``: an ACL denies
    WAIT (checked only if ``replicas_wanted``). ``rights``: of the user in ``SOCKUDO_REDIS_URL``.
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
class QueueWorker:
    """A worker that listens on this deployment's queue.

    ``version`` is ``None`` for a worker without our remote control command. ``targets``: by app, where the worker
    delivers its events.
    """

    node: str
    version: str | None = None
    lanes: int = 0
    apps: tuple[str, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)


@dataclass(frozen=True)
class BrokerFacts:
    """``transport`` is the broker's kind (``redis``, ``amqp``); ``failure``: why the broker was not reached.

    ``workers`` is ``None`` when the broker was reached and Celery's remote control failed. ``denied``: commands that
    the user may not run there, if the broker is a Redis that reports them.
    """

    transport: str
    failure: str = ""
    workers: tuple[QueueWorker, ...] | None = None
    denied: frozenset[str] = frozenset()
