"""The options of ``publish.apply_async``: what a worker could not take is refused at the caller. Pure.

Celery sends a message with any option and hands its id back; the worker that cannot read it drops it, and
the event with it. Facts: celery/app/base.py (``send_task``), celery/worker/request.py, kombu/messaging.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from difflib import get_close_matches
from typing import Any

from .call import FIELDS
from .client.limits import check_id
from .errors import ValidationError

__all__ = ["MOST_MS", "checked", "expiry_ms", "without_refused"]

#: Milliseconds since 1970 that a time may name at most (the year 5138): Lua's cjson keeps 14 digits of a number.
MOST_MS = 10**14 - 1

#: Seconds from now that `countdown` and `expires` may be at most: 31 years, far below the above.
MOST_S = 10**9

#: What every worker can unpack: in Python's standard library, by kombu's names.
COMPRESSIONS = frozenset(
    {"gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "application/x-gzip", "application/x-bz2", "application/x-lzma"}
)

#: How alike an unknown name and an option are where the one is taken for a typo of the other (1.0: the same).
ALIKE = 0.8

#: Numbers that the worker counts with.
_NUMBERS = ("priority", "retries", "time_limit", "soft_time_limit")

#: What is looked at here, beside names.
_CHECKED = frozenset(
    {"serializer", "compression", "content_type", "content_encoding", "countdown", "eta", "expires", "headers"}
    | {"task_id", *_NUMBERS}
)

#: Every option that Celery and kombu have by name; what else there is becomes a property of the message.
_KNOWN = _CHECKED | {
    *("add_to_parent", "argsrepr", "chain", "chord", "connection", "exchange", "exchange_type", "group_id"),
    *("group_index", "ignore_result", "kwargsrepr", "link", "link_error", "logfile", "loglevel", "parent_id"),
    *("producer", "publisher", "queue", "replaced_task_nesting", "reply_to", "result_cls", "retry", "retry_policy"),
    *("root_id", "route_name", "router", "routing_key", "shadow", "stamped_headers", "task_type", "throw"),
    *("confirm_timeout", "declare", "delivery_mode", "expiration", "immediate", "mandatory", "timeout"),
    *("app_id", "cluster_id", "correlation_id", "message_id", "timestamp", "type", "user_id"),
}


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as a message takes them; times without a zone are UTC.

    Raises :class:`ValidationError` for a value that a worker could not take, :class:`TypeError` for a field of
    the event among the options and for what looks like a typo.
    """
    given = dict(options)
    if not given.keys() <= _KNOWN:
        _check_names(given)
    if not given.keys() & _CHECKED:
        return given
    if given.get("serializer", "json") not in ("json", "application/json"):
        raise ValidationError("serializer: workers of publish read json alone")
    if given.get("compression", "zlib") not in COMPRESSIONS:
        raise ValidationError("compression: workers of publish read zlib, gzip, bzip2 and lzma")
    for name in ("content_type", "content_encoding"):
        if name in given:
            raise ValidationError(f"{name}: not for publish, whose messages are JSON")
    if "headers" in given and not isinstance(given["headers"], Mapping):
        raise ValidationError(f"headers: a {type(given['headers']).__name__}, expected a mapping")
    if "task_id" in given:
        given["task_id"] = check_id(given["task_id"], field="task_id")
    for name in _NUMBERS:
        if name in given and not _is_number(given[name]):
            raise ValidationError(f"{name}: a {type(given[name]).__name__}, expected a number")
    if "countdown" in given:
        _check_seconds("countdown", given["countdown"], least=0)
    if "eta" in given:
        if not isinstance(given["eta"], datetime):
            raise ValidationError(f"eta: a {type(given['eta']).__name__}, expected a datetime")
        given["eta"] = _time("eta", given["eta"])
    if "expires" in given:
        if isinstance(given["expires"], datetime):
            given["expires"] = _time("expires", given["expires"])
        else:
            _check_seconds("expires", given["expires"], least=-MOST_S, or_else=" or a datetime")
    return given


def without_refused(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of options some of which are refused the others, by which the message still finds its way."""
    stamps = _stamps(options)
    return {name: value for name, value in options.items() if name in stamps or _is_taken(name, value)}


def expiry_ms(expires: datetime | float, now_ms: Callable[[], int]) -> int:
    """When an event ends whose checked ``expires`` is a number of seconds from now (which is asked), or a time."""
    if isinstance(expires, datetime):
        return max(1, int(expires.timestamp() * 1000))
    return max(1, now_ms() + int(expires * 1000))


def _check_names(given: Mapping[str, Any]) -> None:
    unknown = given.keys() - _KNOWN - _stamps(given)
    of_the_event = [name for name in FIELDS if name in unknown]
    if of_the_event:
        raise TypeError(
            f"apply_async() got {', '.join(of_the_event)} as an option: "
            f"what is the event's goes into its arguments, apply_async((channel, event, data), {{'key': ...}})"
        )
    for name in sorted(unknown):
        meant = get_close_matches(name, [*sorted(_KNOWN), *FIELDS], 1, ALIKE)
        if meant:
            raise TypeError(f"apply_async() got an unexpected option {name!r}, is it {meant[0]!r}?")


def _is_taken(name: str, value: Any) -> bool:
    try:
        checked({name: value})
    except (ValidationError, TypeError):
        return False
    return True


def _stamps(options: Mapping[str, Any]) -> set[str]:
    """Options that are headers by a name of the caller's own (Celery's stamping)."""
    return set(options.get("stamped_headers") or ())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_seconds(field: str, value: Any, *, least: int, or_else: str = "") -> None:
    if not _is_number(value):
        raise ValidationError(f"{field}: a {type(value).__name__}, expected seconds{or_else}")
    if not least <= value <= MOST_S:  # nor is NaN
        shown = f"{value:g}" if isinstance(value, float) or abs(value) < MOST_MS else "far more"
        raise ValidationError(f"{field}: {shown} seconds, expected {least} to {MOST_S}")


def _time(field: str, value: datetime) -> datetime:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
    if aware.timestamp() * 1000 > MOST_MS:
        raise ValidationError(f"{field}: the year {value.year}, expected a time before 5138-11-16")
    return aware
