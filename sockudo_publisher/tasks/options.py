"""The options of ``publish.apply_async``: which way a call goes, and what its message takes of them. Pure.

Celery sends a message with any option and hands its id back; the worker that cannot read it drops it, and
the event with it. So every option of Celery and kombu has its place in one of the tables below:

- It makes the call *later* or *part of a canvas* (:func:`way_of`). Then there is a message.
- It is about the event (``task_id``, ``expires``): honoured whether there is a message or not.
- It only hints at how a message travels: it changes nothing where there is none, and of a message it keeps
  what can do no harm.
- Honouring it would lose the event: refused at the caller (:func:`checked`, :func:`check_destination`).

Facts: celery/app/base.py (``send_task``), celery/app/amqp.py, celery/worker/request.py, kombu/messaging.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from difflib import get_close_matches
from enum import Enum
from typing import Any

from celery.utils.time import maybe_iso8601

from ..client.wire.limits import check_id
from ..errors import ValidationError
from ..publishing.call import FIELDS

__all__ = [
    "MAX_MS",
    "Way",
    "check_destination",
    "checked",
    "expiry_ms",
    "for_another_app",
    "for_our_queue",
    "names_queue",
    "way_of",
    "without_refused",
]

#: Milliseconds since 1970 that a time may name at most (the year 5138): Lua's cjson keeps 14 digits of a number.
MAX_MS = 10**14 - 1

#: Seconds from now that `countdown` and `expires` may be at most: 31 years, far below the above.
MAX_S = 10**9

#: What every worker can unpack: in Python's standard library, by kombu's names.
COMPRESSIONS = frozenset(
    {"gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "application/x-gzip", "application/x-bz2", "application/x-lzma"}
)

#: How alike an unknown name and an option are where the one is taken for a typo of the other (1.0: the same).
ALIKE = 0.8

#: Numbers that the worker counts with.
_NUMBERS = ("priority", "retries", "time_limit", "soft_time_limit")

#: The tasks that follow, as signatures.
_STEPS = ("link", "link_error")

#: What is looked at here, beside names.
_CHECKED = frozenset(
    {"serializer", "compression", "content_type", "content_encoding", "countdown", "eta", "expires", "expiration"}
    | {"headers", "task_id", *_NUMBERS, *_STEPS}
)

#: What ties a call to other tasks, with a value that is not empty.
_CANVAS = frozenset({"chain", "chord", "group_id", "link", "link_error"})

#: What Celery gives to each signature of a canvas, whose result is then waited for.
_FROZEN = "reply_to"

#: What says to which queue a message goes.
_DESTINATION = ("queue", "exchange", "routing_key")

#: A message to our own queue takes these, and the stamps that `stamped_headers` names. Priority, limits of time, a
#: broker's own properties and another connection have no meaning there, and some could lose the message. `expires`
#: is in the finished event: by the journal it is counted or kept (SOCKUDO_ON_EXPIRED), by Celery it is discarded.
_FOR_OUR_QUEUE = frozenset(
    {"task_id", "countdown", "eta", "shadow", "compression", "ignore_result", "headers", "stamped_headers"}
    | {"chain", "chord", "group_id", "group_index", "link", "link_error", "root_id", "parent_id", "reply_to"}
    | {"add_to_parent", "replaced_task_nesting"}
)

#: A message of another app does not take these: connections to wherever, what Celery's own call sets, and limits
#: that would end `publish` in the middle of its append.
_NOT_FOR_ANOTHER_APP = frozenset(
    {"connection", "producer", "publisher", "router", "result_cls", "task_type", "throw", "logfile", "loglevel"}
    | {"retries", "time_limit", "soft_time_limit", "expiration", "content_type", "content_encoding"}
)

#: Headers by which a worker knows the task of a message (celery/app/amqp.py, ``as_task_v2``).
_PROTOCOL_HEADERS = frozenset(
    {"lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit", "root_id"}
    | {"parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers"}
    | {"stamps", "compression"}
)

#: Every option that Celery and kombu have by name; what else there is becomes a property of the message.
_KNOWN = _CHECKED | {
    *("add_to_parent", "argsrepr", "chain", "chord", "connection", "exchange", "exchange_type", "group_id"),
    *("group_index", "ignore_result", "kwargsrepr", "logfile", "loglevel", "parent_id"),
    *("producer", "publisher", "queue", "replaced_task_nesting", "reply_to", "result_cls", "retry", "retry_policy"),
    *("root_id", "route_name", "router", "routing_key", "shadow", "stamped_headers", "task_type", "throw"),
    *("confirm_timeout", "declare", "delivery_mode", "immediate", "mandatory", "timeout"),
    *("app_id", "cluster_id", "correlation_id", "message_id", "timestamp", "type", "user_id"),
}


class Way(Enum):
    """How a call reaches the journal."""

    #: Appended by the caller: no message.
    NOW = "now"
    #: As a message to our own queue, when it is due.
    LATER = "later"
    #: As a message of the app whose tasks it stands among.
    CANVAS = "canvas"


def way_of(options: Mapping[str, Any], *, is_next_step: bool = False) -> Way:
    """Which way a call with these checked options goes. ``is_next_step``: a worker calls, after another task."""
    if is_next_step or _is_of_a_canvas(options):
        return Way.CANVAS
    if "eta" in options or options.get("countdown", 0) > 0:
        return Way.LATER
    return Way.NOW


def check_destination(options: Mapping[str, Any], queue: str) -> None:
    """Refuse another destination for a message of our own: our workers read ``queue`` and nothing else.

    Raises :class:`ValidationError`.
    """
    for name in _DESTINATION:
        # An exchange without a name is the broker's own, which goes by the queue.
        if options.get(name) and not names_queue({name: options[name]}, queue):
            raise ValidationError(
                f"{name}: a countdown of publish waits in the queue {queue}, which its workers read; leave {name}= out"
            )


def names_queue(options: Mapping[str, Any], queue: str) -> bool:
    """Whether these options send a message to this queue, by any of the names that Celery and kombu have for it."""
    named = options.get("queue") or options.get("routing_key") or options.get("exchange")
    return bool(getattr(named, "name", named) == queue)  # kombu's Queue and Exchange have a name


def for_our_queue(options: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """The options of a message to our own queue."""
    stamps = _stamps(options)
    kept = {name: value for name, value in options.items() if name in _FOR_OUR_QUEUE or name in stamps}
    return {**_with_safe_headers(kept, stamps), "queue": queue}


def for_another_app(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a message of the application's own Celery app."""
    kept = {name: value for name, value in options.items() if name not in _NOT_FOR_ANOTHER_APP}
    return _with_safe_headers(kept, _stamps(options))


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that have a value, as a message takes them; texts of times are times, without a zone UTC.

    Raises :class:`ValidationError` for a value that a worker could not take, :class:`TypeError` for a field of
    the event among the options and for what looks like a typo.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given.keys() <= _KNOWN:
        _check_names(given)
    if not given.keys() & _CHECKED:
        return given
    if not _is_of_a_canvas(given) and given.get("serializer", "json") not in ("json", "application/json"):
        raise ValidationError("serializer: workers of publish read json alone")
    if given.get("compression", "zlib") not in COMPRESSIONS:
        raise ValidationError("compression: workers of publish read zlib, gzip, bzip2 and lzma")
    for name in ("content_type", "content_encoding"):
        if name in given:
            raise ValidationError(f"{name}: not for publish, whose messages are JSON")
    if "expiration" in given:
        raise ValidationError("expiration: a broker would drop the message and its event; expires= is the event's own")
    for name in _STEPS:
        if name in given:
            _check_steps(name, given[name])
    if "headers" in given and not isinstance(given["headers"], Mapping):
        raise ValidationError(f"headers: a {type(given['headers']).__name__}, expected a mapping")
    if "task_id" in given:
        given["task_id"] = check_id(given["task_id"], field="task_id")
    for name in _NUMBERS:
        if name in given and not _is_number(given[name]):
            raise ValidationError(f"{name}: a {type(given[name]).__name__}, expected a number")
    if "countdown" in given:
        _check_seconds("countdown", given["countdown"])
    if "eta" in given:
        given["eta"] = _as_time("eta", given["eta"], "a datetime or a text of it (ISO 8601)")
    if "expires" in given:
        if isinstance(given["expires"], datetime | str):
            given["expires"] = _as_time(
                "expires", given["expires"], "seconds or a datetime, or a text of it (ISO 8601)"
            )
        else:
            _check_seconds("expires", given["expires"], or_else=" or a datetime")
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


def _is_of_a_canvas(options: Mapping[str, Any]) -> bool:
    return _FROZEN in options or any(options.get(name) for name in _CANVAS)


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


def _check_steps(field: str, value: Any) -> None:
    """A signature is a mapping, or its task's name; Celery sends anything else, and the worker fails on it."""
    for step in value if isinstance(value, list | tuple) else (value,):
        if not isinstance(step, Mapping | str):
            raise ValidationError(f"{field}: a {type(step).__name__}, expected a signature")


def _with_safe_headers(options: dict[str, Any], stamps: set[str]) -> dict[str, Any]:
    """Without headers that would overwrite those by which a worker knows the task, and stamps without a value."""
    if stamps:
        options["stamped_headers"] = sorted(name for name in stamps if name in options)
    headers = options.get("headers")
    if headers and not _PROTOCOL_HEADERS.isdisjoint(headers):
        options["headers"] = {name: value for name, value in headers.items() if name not in _PROTOCOL_HEADERS}
    return options


def _check_seconds(field: str, value: Any, *, or_else: str = "") -> None:
    if not _is_number(value):
        raise ValidationError(f"{field}: a {type(value).__name__}, expected seconds{or_else}")
    if not -MAX_S <= value <= MAX_S:  # nor is NaN
        shown = f"{value:g}" if isinstance(value, float) or abs(value) < MAX_MS else "far more"
        raise ValidationError(f"{field}: {shown} seconds, expected {-MAX_S} to {MAX_S}")


def _as_time(field: str, value: Any, expected: str) -> datetime:
    """A time, or the text of one as Celery reads it; UTC where it has no zone. Raises :class:`ValidationError`."""
    try:
        time = maybe_iso8601(value) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        time = None
    if not isinstance(time, datetime):
        raise ValidationError(f"{field}: a {type(value).__name__}, expected {expected}")
    aware = time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
    if aware.timestamp() * 1000 > MAX_MS:
        raise ValidationError(f"{field}: the year {time.year}, expected a time before 5138-11-16")
    return aware
