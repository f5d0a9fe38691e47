"""Whether the server takes what we may send: batches, bodies, events, names. Pure.

The questions are batches whose first event the server refuses after it has looked at the limit in
question, so that nothing is published: the batch's size comes before all events, the length of an
event's name and data before its channel, its channel before its ``message_id`` (docs/server.md,
4.2; seen on 5.2.0). "Taken" is thus a refusal for the reason that was planned.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..facts.server_reply import ServerReply, batch_limit, last_number
from ..facts.values import LimitAnswer
from ..finding import Finding, broken, fine, risk, unknown

__all__ = ["LIMIT_CHECKS", "LimitFacts", "judge_limits"]

LIMIT_CHECKS = ("sockudo.batch_events", "sockudo.batch_bytes", "sockudo.event_bytes", "sockudo.names")

_NO_ANSWER = "the question was not answered"
_AGAIN = "run doctor again; {setting} of the server decides"


@dataclass(frozen=True)
class LimitFacts:
    """The four questions' answers; ``learned``: the events a batch that the workers go by, ``None``: no limit met."""

    batch_events: LimitAnswer | None = None
    batch_bytes: LimitAnswer | None = None
    event_bytes: LimitAnswer | None = None
    event_name: LimitAnswer | None = None
    channel_name: LimitAnswer | None = None
    learned: int | None = None


def judge_limits(facts: LimitFacts) -> list[Finding]:
    """A finding for each of :data:`LIMIT_CHECKS`, in their order."""
    return [
        _batch_events(facts.batch_events, facts.learned),
        _batch_bytes(facts.batch_bytes),
        _event_bytes(facts.event_bytes),
        _names(facts.event_name, facts.channel_name),
    ]


def _batch_events(asked: LimitAnswer | None, learned: int | None) -> Finding:
    name = "sockudo.batch_events"
    if asked is None or asked.said is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="policy.limits.max_event_batch_size"))
    said = asked.said
    limit = batch_limit(said)
    if limit is not None:
        change = f"`max_event_batch_size = {asked.amount}` in the app's policy.limits on the server"
        if limit:
            change += f", or SOCKUDO_BATCH_MAX_EVENTS={limit}"
        # Workers learn it and go on with smaller batches: slower, and a refusal again each hour.
        return risk(name, f"batches of {asked.amount} are refused (at most {limit or 'fewer'})", change)
    if not _taken(said):
        return unknown(name, f"the answer was {said}", _AGAIN.format(setting="policy.limits.max_event_batch_size"))
    why = f"batches of {asked.amount} are taken"
    if learned is not None and learned < asked.amount:
        why += f"; the workers go by {learned}, which they met within the last hour"
    return fine(name, why)


def _batch_bytes(asked: LimitAnswer | None) -> Finding:
    name = "sockudo.batch_bytes"
    if asked is None or asked.said is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="request_limit_in_mb of [http_api]"))
    said = asked.said
    if said.status == 413:
        why = f"bodies of {asked.amount:,} bytes are refused"
        ours = "a smaller SOCKUDO_BATCH_MAX_BYTES"
        if "length limit" in said.words:
            megabytes = -(-asked.amount // 2**20) + 1
            return risk(name, f"{why} by Sockudo", f"`request_limit_in_mb = {megabytes}` in [http_api], or {ours}")
        return risk(name, f"{why} by a proxy", f"`client_max_body_size 12m` in nginx, or its like; or {ours}")
    if not _taken(said):
        return unknown(name, f"the answer was {said}", _AGAIN.format(setting="request_limit_in_mb of [http_api]"))
    return fine(name, f"bodies of {asked.amount:,} bytes are taken")


def _event_bytes(asked: LimitAnswer | None) -> Finding:
    name = "sockudo.event_bytes"
    if asked is None or asked.said is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="policy.limits.max_event_payload_in_kb"))
    said = asked.said
    if said.code == "payload_too_large":
        limit = last_number(said.words)
        kilobytes = -(-asked.amount // 1024)
        change = f"`max_event_payload_in_kb = {kilobytes}` in the app's policy.limits on the server"
        if limit:
            change += f", or SOCKUDO_MAX_EVENT_BYTES={limit * 1024}"
        return broken(
            name, f"events of {asked.amount:,} bytes are accepted here and refused there: dead letters", change
        )
    if not _taken(said):
        return unknown(name, f"the answer was {said}", _AGAIN.format(setting="policy.limits.max_event_payload_in_kb"))
    return fine(name, f"events of {asked.amount:,} bytes are taken")


def _names(event: LimitAnswer | None, channel: LimitAnswer | None) -> Finding:
    name = "sockudo.names"
    if event is None or event.said is None or channel is None or channel.said is None:
        return unknown(name, _NO_ANSWER, _AGAIN.format(setting="policy.limits.max_event_name_length"))
    changes, limits = [], []
    if event.said.code == "limit_exceeded":
        limits.append(f"event names to {last_number(event.said.words)} bytes")
        changes.append(f"`max_event_name_length = {event.amount}`")
    if "too long" in channel.said.words:
        limits.append(f"channel names to {last_number(channel.said.words)} bytes")
        changes.append(f"`max_channel_name_length = {channel.amount}`")
    if limits:
        return risk(
            name,
            f"the server limits {' and '.join(limits)}: longer ones are accepted here and become dead letters",
            f"{' and '.join(changes)} in the app's policy.limits on the server",
        )
    if not (_taken(event.said) and _taken(channel.said)):
        return unknown(
            name, f"the answer was {event.said}", _AGAIN.format(setting="policy.limits.max_event_name_length")
        )
    return fine(name, f"event names of {event.amount} bytes and channel names of {channel.amount} are taken")


def _taken(said: ServerReply) -> bool:
    """Refused for the fault that was planted, or (some other server) not at all."""
    return said.status == 200 or (said.status == 400 and said.code == "invalid_input")
