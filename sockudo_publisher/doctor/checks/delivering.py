"""Whether what is sent is carried through: cut requests, the rate limit, history, a pause. Pure.

Facts: when a client goes away, Sockudo stops in the middle of its batch and leaves a stuck item; behind
an nginx that ignores it, it does not. With history on, an item of a cut batch may be recorded, answered
200 on the resend and never broadcast (docs/reliability.md; seen on 5.2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..facts.server_reply import ServerReply
from ..facts.values import Cut, PauseFacts
from ..finding import Finding, broken, fine, risk, unknown

__all__ = ["DELIVERY_CHECKS", "DeliveryFacts", "judge_delivering"]

DELIVERY_CHECKS = ("sockudo.dropped_requests", "sockudo.rate_limit", "sockudo.history", "delivery")

#: Requests in one of the limiter's windows (a minute by default) that no deployment of one node reaches:
#: eight lanes with forty batches a second each.
GENEROUS = 20_000
#: Cut requests that must have been carried to their end before that is believed: one in ten is without a proxy, when
#: the server is faster than our going away.
BELIEVED = 3

_NGINX = (
    "put the nginx of docker-compose.yml (worker/nginx.conf: `proxy_ignore_client_abort on`, "
    "`proxy_request_buffering on`) between workers and Sockudo, and its address into SOCKUDO_URL"
)


@dataclass(frozen=True)
class DeliveryFacts:
    """``cuts`` is ``None`` when none was tried; ``through``: the kind of proxy that the environment names, if any.

    ``limit``: requests a window, of the answers' headers; ``limited``: a question was answered 429.
    """

    cuts: Sequence[Cut] | None = None
    through: str = ""
    answered: bool = False
    limit: int | None = None
    limited: bool = False
    history: ServerReply | None = None
    pause: PauseFacts | None = None


def judge_delivering(facts: DeliveryFacts) -> list[Finding]:
    """A finding for each of :data:`DELIVERY_CHECKS`, in their order."""
    dropped = _dropped(facts.cuts, facts.through)
    return [dropped, _rate_limit(facts), _history(facts.history, facts.cuts), _pause(facts.pause)]


def _dropped(cuts: Sequence[Cut] | None, through: str) -> Finding:
    name = "sockudo.dropped_requests"
    how = "see that an nginx as in worker/nginx.conf stands between workers and Sockudo"
    if through:
        return unknown(name, f"requests go through the {through} proxy of the environment: not tried", how)
    if not cuts:
        return unknown(name, "not tried", how)
    if Cut.STOPPED in cuts:
        return risk(
            name,
            "Sockudo stops in the middle of a batch whose client is gone: after a timeout or a killed worker one "
            "event is stuck until its claim ends",
            _NGINX,
        )
    finished = sum(cut is Cut.FINISHED for cut in cuts)
    if finished < min(BELIEVED, len(cuts)):
        return unknown(name, f"{finished} of {len(cuts)} batches that were cut were seen to their end", how)
    return fine(name, f"{finished} batches whose client went away were carried to their end")


def _rate_limit(facts: DeliveryFacts) -> Finding:
    name = "sockudo.rate_limit"
    change = "`enabled = false` in [rate_limiter] of the server (RATE_LIMITER_ENABLED=false), or "
    change += f"`max_requests = {GENEROUS}` in [rate_limiter.api_rate_limit]: it counts requests by address"
    if facts.limited:
        return broken(name, "the server refuses requests already (429)", change)
    if not facts.answered:
        return unknown(name, "the server was not reached", "see sockudo.reachable")
    if facts.limit is None:
        return fine(name, "no answer names one")
    if facts.limit < GENEROUS:
        why = f"{facts.limit} requests a window for each address; a busy worker sends that in seconds"
        return risk(name, why, change)
    return fine(name, f"{facts.limit} requests a window for each address")


def _history(said: ServerReply | None, cuts: Sequence[Cut] | None) -> Finding:
    name = "sockudo.history"
    if said is None or (said.status != 200 and said.code != "feature_disabled"):
        why = "the question was not answered" if said is None else f"the answer was {said}"
        return unknown(name, why, "`enabled` in [history] of the server")
    if said.status != 200:
        return fine(name, "off")
    if cuts is not None and Cut.STOPPED not in cuts and Cut.FINISHED in cuts:
        return fine(name, "on; cut requests are carried to their end, so what is recorded is broadcast too")
    return risk(
        name,
        "on: an event of a request that was cut may be recorded and never broadcast",
        f"{_NGINX}; or `enabled = false` in [history]",
    )


def _pause(pause: PauseFacts | None) -> Finding:
    name = "delivery"
    if pause is None:
        return unknown(name, "the journal could not be asked", "`sockudo-publisher status`")
    if pause.reason:
        words = f": {pause.words}" if pause.words else ""
        return broken(
            name,
            f"paused ({pause.reason}{words})",
            "mend the cause, then `sockudo-publisher resume`; it also tries by itself",
        )
    return fine(name, "not paused")
