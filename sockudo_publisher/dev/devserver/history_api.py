"""The calls of history: queries and orders in, JSON out, as the real server's memory store answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .history import Bounds, Entry, MessageHistory, Page, Query, Stream, invalid
from .presence_history import MemberHistory
from .query_string import parameters_of, whole_number
from .refusal import Refusal, TextRefusal
from .state import AppState
from .validation import check_channel

__all__ = [
    "history_of",
    "history_page",
    "history_state",
    "presence_history_of",
    "presence_page",
    "presence_snapshot",
    "presence_state",
    "purge_history",
    "reset_history",
]

_DIRECTIONS = {
    **dict.fromkeys(("newest_first", "backwards", "reverse"), "newest_first"),
    **dict.fromkeys(("oldest_first", "forwards", "forward"), "oldest_first"),
}
_UNSIGNED, _SIGNED = ("start_serial", "end_serial"), ("start_time_ms", "end_time_ms", "start", "end")
_ACCEPTED = "Accepted values: newest_first, oldest_first, backwards, forwards"
_PURGES = ("all", "before_serial", "before_time_ms")


def history_of(state: AppState, channel: str) -> MessageHistory:
    """The app's history. Raises :class:`Refusal`: a bad channel, or no history."""
    check_channel(channel, state.app.limits)
    if state.history is None:
        raise _disabled(f"Durable history is disabled by policy for channel '{channel}'")
    return state.history


def presence_history_of(state: AppState, channel: str) -> MemberHistory:
    """The app's history of members. Raises :class:`Refusal`."""
    check_channel(channel, state.app.limits)
    if not channel.startswith("presence-"):
        raise invalid("Only presence channels support this endpoint")
    if state.presence_history is None:
        raise _disabled(f"Presence history is disabled by policy for channel '{channel}'")
    return state.presence_history


def history_page(history: MessageHistory, channel: str, query: str, max_page_size: int) -> dict[str, Any]:
    """``GET .../history``."""
    asked = _query(query, max_page_size, "History")
    page, stream = history.read(channel, asked), history.stream(channel)
    items = [_item(stream, entry) for entry in page.entries]
    answer = _page_answer(asked, page, stream, items, "retained_messages")
    return {**answer, "stream_state": _stream_state(stream, "recovery_allowed")}


def history_state(history: MessageHistory, channel: str) -> dict[str, Any]:
    """``GET .../history/state``."""
    return {"channel": channel, "stream": _inspection(history.stream(channel), "retained_messages", "recovery_allowed")}


def presence_page(history: MemberHistory, channel: str, query: str, max_page_size: int) -> dict[str, Any]:
    """``GET .../presence/history``."""
    asked = _query(query, max_page_size, "Presence history")
    page, stream = history.read(channel, asked), history.stream(channel)
    items = [_presence_item(stream, entry) for entry in page.entries]
    answer = _page_answer(asked, page, stream, items, "retained_events")
    answer["continuity"]["degraded"] = False
    return {**answer, "stream_state": _stream_state(stream, "continuity_proven")}


def presence_state(history: MemberHistory, channel: str) -> dict[str, Any]:
    """``GET .../presence/history/state``."""
    return {"channel": channel, "stream": _inspection(history.stream(channel), "retained_events", "continuity_proven")}


def presence_snapshot(history: MemberHistory, channel: str, query: str) -> dict[str, Any]:
    """``GET .../presence/history/snapshot``."""
    parameters = parameters_of(query, "at_time_ms", "at", "at_serial")
    times = [
        whole_number(name, parameters[name], is_signed=True) for name in ("at_time_ms", "at") if name in parameters
    ]
    serial = whole_number("at_serial", parameters["at_serial"]) if "at_serial" in parameters else None
    members, played = history.snapshot(channel, at_time_ms=times[0] if times else None, at_serial=serial)
    retained = history.stream(channel).retained("retained_events")
    return {
        "channel": channel,
        "members": members,
        "member_count": len(members),
        "events_replayed": len(played),
        "snapshot_serial": played[-1].serial if played else None,
        "snapshot_time_ms": played[-1].at_ms if played else None,
        "continuity": {**retained, "complete": True, "truncated_by_retention": False},
    }


def reset_history(history: MessageHistory, channel: str, body: bytes) -> dict[str, Any]:
    """``POST .../history/reset``, of messages or of members."""
    order = _order(body, channel, "reset")
    is_of_members = isinstance(history, MemberHistory)
    what = "events" if is_of_members else "messages"
    proof = "continuity_proven" if is_of_members else "recovery_allowed"
    previous_id, stream, count, size = history.reset(channel)
    return {
        "ok": True,
        "operation": "reset",
        "channel": channel,
        "reason": order["reason"],
        "requested_by": order.get("requested_by"),
        "previous_stream_id": previous_id,
        "new_stream_id": stream.stream_id,
        f"purged_{what}": count,
        "purged_bytes": size,
        "stream": _inspection(stream, f"retained_{what}", proof),
    }


def purge_history(history: MessageHistory, channel: str, body: bytes) -> dict[str, Any]:
    """``POST .../history/purge``."""
    order = _order(body, channel, "purge")
    mode = order["mode"]
    serial, time_ms = order.get("before_serial"), order.get("before_time_ms")
    given = {name for name in ("before_serial", "before_time_ms") if order.get(name) is not None}
    if mode == "all" and given:
        raise invalid("Purge mode 'all' does not accept bounds")
    if mode != "all" and given != {mode}:
        raise invalid(f"Purge mode '{mode}' requires {mode} only")
    stream = history.stream(channel)
    count, size = stream.drop(
        lambda entry: (
            mode == "all"
            or (serial is not None and entry.serial < serial)
            or (time_ms is not None and entry.at_ms < time_ms)
        )
    )
    return {
        "ok": True,
        "operation": "purge",
        "channel": channel,
        "mode": mode,
        "before_serial": serial,
        "before_time_ms": time_ms,
        "reason": order["reason"],
        "requested_by": order.get("requested_by"),
        "purged_messages": count,
        "purged_bytes": size,
        "stream": _inspection(stream, "retained_messages", "recovery_allowed"),
    }


def _query(query: str, max_page_size: int, what: str) -> Query:
    parameters = parameters_of(query, "limit", "direction", "cursor", *_UNSIGNED, *_SIGNED)
    numbers = {name: whole_number(name, parameters[name]) for name in ("limit", *_UNSIGNED) if name in parameters}
    numbers |= {name: whole_number(name, parameters[name], is_signed=True) for name in _SIGNED if name in parameters}
    direction = parameters.get("direction", "newest_first").lower()
    if direction not in _DIRECTIONS:
        raise invalid(f"Invalid direction '{direction}'. {_ACCEPTED}")
    limit = min(numbers.get("limit", max_page_size), max_page_size)
    if not limit:
        raise invalid(f"{what} limit must be greater than 0")
    bounds: Bounds = {
        "start_serial": numbers.get("start_serial"),
        "end_serial": numbers.get("end_serial"),
        "start_time_ms": numbers.get("start_time_ms", numbers.get("start")),
        "end_time_ms": numbers.get("end_time_ms", numbers.get("end")),
    }
    return Query(_DIRECTIONS[direction], limit, parameters.get("cursor"), bounds)


def _page_answer(
    asked: Query, page: Page, stream: Stream, items: list[dict[str, Any]], count_name: str
) -> dict[str, Any]:
    retained = stream.retained(count_name)
    start, oldest = asked.bounds["start_serial"], retained["oldest_available_serial"]
    is_truncated = start is not None and oldest is not None and start < oldest
    has_more = page.next_cursor is not None
    complete = not has_more and not is_truncated
    return {
        "items": items,
        "direction": asked.direction,
        "limit": asked.limit,
        "has_more": has_more,
        "next_cursor": page.next_cursor,
        "bounds": dict(asked.bounds),
        "continuity": {**retained, "complete": complete, "truncated_by_retention": is_truncated},
    }


def _item(stream: Stream, entry: Entry) -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "serial": entry.serial,
        "published_at_ms": entry.at_ms,
        "message_id": entry.fields["message_id"],
        "event_name": entry.fields["event"],
        "operation_kind": "append",
        "payload_size_bytes": entry.size,
        "message": {**entry.fields, "serial": entry.serial, "stream_id": stream.stream_id},
    }


def _presence_item(stream: Stream, entry: Entry) -> dict[str, Any]:
    fields = {name: entry.fields[name] for name in ("event", "cause", "user_id", "connection_id")}
    further = {name: entry.fields[name] for name in ("user_info", "dedupe_key")}
    event = {**fields, **further, "published_at_ms": entry.at_ms, "dead_node_id": None}
    place = {"stream_id": stream.stream_id, "serial": entry.serial, "published_at_ms": entry.at_ms}
    return {**place, **fields, "dead_node_id": None, "payload_size_bytes": entry.size, "presence_event": event}


def _stream_state(stream: Stream, proof: str) -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "durable_state": "healthy",
        proof: True,
        "reset_required": False,
        "reason": None,
        "node_id": None,
        "last_transition_at_ms": None,
        "authoritative_source": "in_memory",
        "observed_source": "in_memory",
    }


def _inspection(stream: Stream, count_name: str, proof: str) -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "next_serial": stream.next_serial,
        "retained": stream.retained(count_name),
        "state": _stream_state(stream, proof),
    }


def _order(body: bytes, channel: str, operation: str) -> Mapping[str, Any]:
    """The body of a reset or a purge, with all that it must confirm."""
    try:
        order = json.loads(body)
    except (ValueError, RecursionError):
        raise TextRefusal(400, "Failed to parse the request body as JSON: not JSON") from None
    if not isinstance(order, dict):
        raise _wrong("invalid type, expected an object")
    for name in ("confirm_channel", "confirm_operation", *(["mode"] if operation == "purge" else []), "reason"):
        if name not in order:
            raise _wrong(f"missing field `{name}`")
        if not isinstance(order[name], str):
            raise _wrong(f"{name}: invalid type, expected a string")
    if not isinstance(order.get("requested_by"), str | None):
        raise _wrong("requested_by: invalid type, expected a string")
    if operation == "purge":
        if order["mode"] not in _PURGES:
            expected = ", ".join(f"`{one}`" for one in _PURGES)
            raise _wrong(f"mode: unknown variant `{order['mode']}`, expected one of {expected}")
        for name in ("before_serial", "before_time_ms"):
            if not isinstance(order.get(name), int | None) or isinstance(order.get(name), bool):
                raise _wrong(f"{name}: invalid type, expected a whole number")
    if order["confirm_channel"] != channel:
        raise invalid("confirm_channel must exactly match the channel path")
    if order["confirm_operation"] != operation:
        raise invalid(f"confirm_operation must be '{operation}'")
    if not order["reason"].strip():
        raise invalid("reason must not be empty")
    return order


def _wrong(what: str) -> TextRefusal:
    return TextRefusal(422, f"Failed to deserialize the JSON body into the target type: {what}")


def _disabled(text: str) -> Refusal:
    return Refusal(422, "feature_disabled", text)
