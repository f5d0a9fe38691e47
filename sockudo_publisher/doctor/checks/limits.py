"""Judge whether the server accepts all that the settings allow: batches, bodies, events, names. Pure.

The requests are batches whose first event is invalid, so that nothing is published. The server checks the limit in
question before it refuses that event: the batch's size before all events, the length of an event's name and data before
its channel, its channel before its ``message_id`` (docs/server.md, 4.2; seen on 5.2.0). So a refusal for the planned
fault means that the limit was not exceeded.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..facts.server_reply import ServerReply, batch_limit, last_number
from ..facts.values import LimitAnswer
from ..finding import CheckFinding, broken, fine, risk, unknown

__all__ = ["LIMIT_CHECKS", "LimitFacts", "judge_limits"]

LIMIT_CHECKS = ("sockudo.batch_events", "sockudo.batch_bytes", "sockudo.event_bytes", "sockudo.names")

_NO_ANSWER = "the request was not answered"
_AGAIN = "run doctor again; {setting} of the server decides"


@dataclass(frozen=True)
class LimitFacts:
    """The replies to the requests; ``learned``: the workers' own limit of events a batch, ``None``: they met none."""

    batch_events: LimitAnswer | None = None
    batch_bytes: LimitAnswer | None = None
    event_bytes: LimitAnswer | None = None
    event_name: LimitAnswer | None = None
    channel_name: LimitAnswer | None = None
    learned: int | None = None


def judge_limits(facts: LimitFacts) -> list[CheckFinding]:
    """A finding for each of :data:`LIMIT_CHECKS`, in their order."""
    return [
        _batch_events(facts.batch_events, facts.learned),
        _batch_bytes(facts.batch_bytes),
        _event_bytes(facts.event_bytes),
        _names(facts.event_name, facts.channel_name),
    ]


def _batch_events(answer: LimitAnswer | None, learned: int | None) -> CheckFinding:
    name = "sockudo.batch_events"
    if answer is None or answer.reply is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="policy.limits.max_event_batch_size"))
    reply = answer.reply
    limit = batch_limit(reply)
    if limit is not None:
        change = f"`max_event_batch_size = {answer.amount}` in the app's policy.limits on the server"
        if limit:
            change += f", or SOCKUDO_BATCH_MAX_EVENTS={limit}"
        # Workers learn the limit and send smaller batches: slower, and one refused batch each hour.
        return risk(name, f"batches of {answer.amount} are refused (at most {limit or 'fewer'})", change)
    if not _is_within_limit(reply):
        return unknown(name, f"the answer was {reply}", _AGAIN.format(setting="policy.limits.max_event_batch_size"))
    why = f"batches of {answer.amount} are accepted"
    if learned is not None and learned < answer.amount:
        why += f"; the workers send at most {learned}, a limit that they met within the last hour"
    return fine(name, why)


def _batch_bytes(answer: LimitAnswer | None) -> CheckFinding:
    name = "sockudo.batch_bytes"
    if answer is None or answer.reply is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="request_limit_in_mb of [http_api]"))
    reply = answer.reply
    if reply.status == 413:
        why = f"bodies of {answer.amount:,} bytes are refused"
        ours = "a smaller SOCKUDO_BATCH_MAX_BYTES"
        if "length limit" in reply.message:
            megabytes = -(-answer.amount // 2**20) + 1
            return risk(name, f"{why} by Sockudo", f"`request_limit_in_mb = {megabytes}` in [http_api], or {ours}")
        return risk(
            name, f"{why} by a proxy", f"`client_max_body_size 12m` in nginx, or the like in another proxy; or {ours}"
        )
    if not _is_within_limit(reply):
        return unknown(name, f"the answer was {reply}", _AGAIN.format(setting="request_limit_in_mb of [http_api]"))
    return fine(name, f"bodies of {answer.amount:,} bytes are accepted")


def _event_bytes(answer: LimitAnswer | None) -> CheckFinding:
    name = "sockudo.event_bytes"
    if answer is None or answer.reply is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="policy.limits.max_event_payload_in_kb"))
    reply = answer.reply
    if reply.code == "payload_too_large":
        limit = last_number(reply.message)
        kilobytes = -(-answer.amount // 1024)
        change = f"`max_event_payload_in_kb = {kilobytes}` in the app's policy.limits on the server"
        if limit:
            change += f", or SOCKUDO_MAX_EVENT_BYTES={limit * 1024}"
        return broken(
            name,
            f"events of {answer.amount:,} bytes are accepted here and refused by the server: they become dead letters",
            change,
        )
    if not _is_within_limit(reply):
        return unknown(name, f"the answer was {reply}", _AGAIN.format(setting="policy.limits.max_event_payload_in_kb"))
    return fine(name, f"events of {answer.amount:,} bytes are accepted")


def _names(event: LimitAnswer | None, channel: LimitAnswer | None) -> CheckFinding:
    name = "sockudo.names"
    if event is None or event.reply is None or channel is None or channel.reply is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="policy.limits.max_event_name_length"))
    changes, limits = [], []
    if event.reply.code == "limit_exceeded":
        limits.append(f"event names to {last_number(event.reply.message)} bytes")
        changes.append(f"`max_event_name_length = {event.amount}`")
    if "too long" in channel.reply.message:
        limits.append(f"channel names to {last_number(channel.reply.message)} bytes")
        changes.append(f"`max_channel_name_length = {channel.amount}`")
    if limits:
        return risk(
            name,
            f"the server limits {' and '.join(limits)}: longer ones are accepted here and become dead letters",
            f"{' and '.join(changes)} in the app's policy.limits on the server",
        )
    if not (_is_within_limit(event.reply) and _is_within_limit(channel.reply)):
        return unknown(
            name, f"the answer was {event.reply}", _AGAIN.format(setting="policy.limits.max_event_name_length")
        )
    return fine(name, f"event names of {event.amount} bytes and channel names of {channel.amount} are accepted")


def _is_within_limit(reply: ServerReply) -> bool:
    """Whether the server refused the batch only for its planned fault, or (an unknown server) accepted it."""
    return reply.status == 200 or (reply.status == 400 and reply.code == "invalid_input")
