"""Judge what can stop a delivery: dropped requests, the rate limit, history, a pause. Pure.

Facts: when a client closes the connection, Sockudo stops in the middle of the batch and leaves a stuck item. An nginx
that ignores the close prevents this. With history on, an item of a dropped batch may be recorded, answered 200 on the
resend and never broadcast (docs/reliability.md; seen on 5.2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ...journal.app.operator import OperatorPause
from ..facts.server_reply import ServerReply
from ..facts.values import Cut, PauseFacts
from ..finding import CheckFinding, broken, fine, risk, unknown

__all__ = ["DELIVERY_CHECKS", "DeliveryFacts", "judge_delivering"]

DELIVERY_CHECKS = ("sockudo.dropped_requests", "sockudo.rate_limit", "sockudo.history", "delivery")

#: Requests per window of the rate limiter (a minute by default) that no deployment of one node reaches: eight lanes
#: with forty batches a second each.
GENEROUS = 20_000
#: Dropped requests that the server must finish for a good finding. Without a proxy it finishes one in ten, when it is
#: faster than the close of the connection.
MIN_FINISHED = 3

#: For the `http` block of any nginx. The reasons: docs/deployment.md, nginx between workers and Sockudo.
_NGINX = (
    "put the nginx server `server {{ listen 8080; client_max_body_size 12m; client_body_buffer_size 5m; "
    "location / {{ proxy_pass {server}; "
    "proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_request_buffering on; "
    "proxy_ignore_client_abort on; proxy_next_upstream off; proxy_read_timeout 60s; "
    "add_header X-Upstream-Bytes-Sent $upstream_bytes_sent always; }} }}` into the http block of an nginx between "
    "workers and Sockudo, and its host and port (8080) into SOCKUDO_URL; `proxy_pass` is Sockudo's own address"
)


@dataclass(frozen=True)
class DeliveryFacts:
    """``cuts``: the results of dropped requests, ``None`` if not tried; ``through``: the environment's proxy.

    ``limit``: requests per window, from the answers' headers; ``limited``: a request was answered 429. ``server``:
    scheme, host and port that the settings name.
    """

    cuts: Sequence[Cut] | None = None
    through: str = ""
    answered: bool = False
    limit: int | None = None
    limited: bool = False
    history: ServerReply | None = None
    pause: PauseFacts | None = None
    server: str = "http://SOCKUDO:6001"


def judge_delivering(facts: DeliveryFacts) -> list[CheckFinding]:
    """A finding for each of :data:`DELIVERY_CHECKS`, in their order."""
    nginx = _NGINX.format(server=facts.server)
    dropped = _dropped_requests(facts.cuts, facts.through, nginx)
    return [dropped, _rate_limit(facts), _history(facts.history, facts.cuts, nginx), _pause(facts.pause)]


def _dropped_requests(cuts: Sequence[Cut] | None, through: str, nginx: str) -> CheckFinding:
    name = "sockudo.dropped_requests"
    how = (
        "check that a proxy is between workers and Sockudo that finishes a request whose client is gone (nginx: "
        "`proxy_ignore_client_abort on; proxy_request_buffering on;`), and run doctor again with a longer --timeout"
    )
    if through:
        return unknown(name, f"requests go through the {through} proxy of the environment: not tried", how)
    if not cuts:
        return unknown(name, "not tried", how)
    if Cut.STOPPED in cuts:
        return risk(
            name,
            "Sockudo stops in the middle of a batch whose client is gone: after a timeout or a killed worker one "
            "event is stuck until its claim ends",
            nginx,
        )
    finished = sum(cut is Cut.FINISHED for cut in cuts)
    if finished < min(MIN_FINISHED, len(cuts)):
        return unknown(name, f"{finished} of {len(cuts)} batches of dropped requests were finished", how)
    return fine(name, f"{finished} batches were finished after their client was gone")


def _rate_limit(facts: DeliveryFacts) -> CheckFinding:
    name = "sockudo.rate_limit"
    change = "`enabled = false` in [rate_limiter] of the server (RATE_LIMITER_ENABLED=false), or "
    change += f"`max_requests = {GENEROUS}` in [rate_limiter.api_rate_limit]: it counts requests by address"
    if facts.limited:
        return broken(name, "the server already refuses requests (429)", change)
    if not facts.answered:
        return unknown(name, "the server was not reached", "see sockudo.reachable")
    if facts.limit is None:
        return fine(name, "no answer names a limit")
    if facts.limit < GENEROUS:
        why = f"{facts.limit} requests per window and address; a busy worker sends that in seconds"
        return risk(name, why, change)
    return fine(name, f"{facts.limit} requests per window and address")


def _history(reply: ServerReply | None, cuts: Sequence[Cut] | None, nginx: str) -> CheckFinding:
    name = "sockudo.history"
    if reply is None or (reply.status != 200 and reply.code != "feature_disabled"):
        why = "the request was not answered" if reply is None else f"the answer was {reply}"
        return unknown(name, why, "`enabled` in [history] of the server")
    if reply.status != 200:
        return fine(name, "off")
    if cuts is not None and Cut.STOPPED not in cuts and Cut.FINISHED in cuts:
        return fine(name, "on; the server finishes dropped requests, so it broadcasts every recorded event")
    return risk(
        name,
        "on: an event of a dropped request may be recorded and never broadcast",
        f"{nginx}; or `enabled = false` in [history]",
    )


def _pause(pause: PauseFacts | None) -> CheckFinding:
    name = "delivery"
    if pause is None:
        return unknown(name, "the journal could not be read", "`sockudo-publisher status`")
    message = f": {pause.message}" if pause.message else ""
    trouble = f"paused ({pause.reason}{message})" if pause.reason else ""
    if pause.operator_pause is not None:
        return broken(
            name,
            "; ".join(filter(None, (_operator_pause(pause.operator_pause), trouble))),
            "when the reason is gone, `sockudo-publisher resume`: workers do not end this pause; "
            "`sockudo-publisher audit list` shows who did what",
        )
    if trouble:
        return broken(name, trouble, "fix the cause, then `sockudo-publisher resume`; workers also retry by themselves")
    return fine(name, "not paused")


def _operator_pause(pause: OperatorPause) -> str:
    since = f", since {_time(pause.since_ms)}" if pause.since_ms else ""
    return f"paused by an operator ({pause.reason}; {pause.by}{since})"


def _time(ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(ms / 1000, tz=timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # a record that another program has written
        return f"{ms} ms"
