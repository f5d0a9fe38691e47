"""The options of ``publish.apply_async``: which way a call goes, and which options its message takes. Pure.

Celery sends a message with any option and returns its id; a worker that cannot read the message drops it, and the
event with it. Every option of Celery and kombu (:class:`PublishOptions`) therefore has its place in a table below:

- It makes the call *part of a canvas* (:func:`choose_way`): the event travels in a message.
- It belongs to the event (``task_id``, ``countdown``, ``eta``, ``expires``): honoured with and without a message.
- It only affects how a message travels: without a message it has no effect, and a message takes it if it is harmless.
- Honouring it would lose the event: refused at the caller (:func:`check_options`, :func:`check_due_before_expiry`).

Sources: celery/app/base.py (``send_task``), celery/app/amqp.py, celery/worker/request.py, kombu/messaging.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from difflib import get_close_matches
from enum import Enum
from typing import Any, TypedDict

from celery.utils.time import maybe_iso8601

from ..client.wire.limits import check_id
from ..errors import ValidationError
from ..publishing.call import FIELDS

__all__ = [
    "APPEND_TASK",
    "MAX_MS",
    "PUBLISH_TASK",
    "PublishOptions",
    "Way",
    "check_due_before_expiry",
    "check_options",
    "choose_way",
    "drop_refused_options",
    "due_ms",
    "expiry_ms",
    "options_for_other_app",
    "options_for_own_queue",
    "refuse_expiry_before",
    "sends_to_queue",
]

#: The names of the two tasks in messages, routes, schedules and monitors.
PUBLISH_TASK, APPEND_TASK = "sockudo_publisher.publish", "sockudo_publisher.append"


class PublishOptions(TypedDict, total=False):
    """What ``publish.apply_async`` takes beside the event. ``None`` means not given."""

    countdown: float | None
    eta: datetime | str | None
    expires: float | datetime | str | None
    task_id: str | None
    # Where the message goes, and how.
    queue: str | None
    exchange: Any
    exchange_type: str | None
    routing_key: str | None
    route_name: str | None
    router: Any
    priority: int | None
    serializer: str | None
    compression: str | None
    headers: Mapping[str, Any] | None
    retry: bool | None
    retry_policy: Mapping[str, Any] | None
    connection: Any
    producer: Any
    publisher: Any
    confirm_timeout: float | None
    declare: Any
    delivery_mode: int | str | None
    expiration: float | None
    immediate: bool | None
    mandatory: bool | None
    timeout: float | None
    # The tasks around it.
    link: Any
    link_error: Any
    chain: Any
    chord: Any
    group_id: str | None
    group_index: int | None
    parent_id: str | None
    root_id: str | None
    reply_to: str | None
    add_to_parent: bool | None
    replaced_task_nesting: int | None
    stamped_headers: Sequence[str] | None
    # How a worker runs it.
    ignore_result: bool | None
    result_cls: Any
    retries: int | None
    time_limit: float | None
    soft_time_limit: float | None
    throw: bool | None
    logfile: str | None
    loglevel: int | str | None
    # What is shown of it.
    argsrepr: str | None
    kwargsrepr: str | None
    shadow: str | None
    # Properties of the message.
    app_id: str | None
    cluster_id: str | None
    correlation_id: str | None
    message_id: str | None
    task_type: Any
    timestamp: Any
    type: str | None


#: The latest time, in milliseconds since 1970 (the year 5138): Lua's cjson keeps 14 digits of a number.
MAX_MS = 10**14 - 1

#: The largest `countdown` and `expires`, in seconds from now: 31 years, far below the latest time.
MAX_S = 10**9

#: Compressions that every worker can unpack: those of Python's standard library, by kombu's names.
COMPRESSIONS = frozenset(
    {"gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "application/x-gzip", "application/x-bz2", "application/x-lzma"}
)

#: Likeness from which an unknown name is taken for a typo of an option (1.0: equal).
ALIKE = 0.8

#: Options that must be numbers, because the worker calculates with them.
_NUMBERS = ("priority", "retries", "time_limit", "soft_time_limit")

#: Options with signatures of the next tasks.
_STEPS = ("link", "link_error")

#: Options whose value is checked, beside their name.
_CHECKED = frozenset(
    {"serializer", "compression", "content_type", "content_encoding", "countdown", "eta", "expires", "expiration"}
    | {"headers", "task_id", *_NUMBERS, *_STEPS}
)

#: Options that tie a call to other tasks, if their value is not empty.
_CANVAS = frozenset({"chain", "chord", "group_id", "link", "link_error"})

#: The option that Celery gives to each signature of a canvas.
_SET_BY_FREEZE = "reply_to"

#: Options of a message to our own queue, with the stamps that `stamped_headers` names. Priority, time limits, a
#: broker's own properties and another connection have no use there, and some could lose the message. `expires` is in
#: the finished event: the journal counts or keeps an expired event (SOCKUDO_ON_EXPIRED), Celery would discard it.
_FOR_OWN_QUEUE = frozenset(
    {"task_id", "countdown", "eta", "shadow", "compression", "ignore_result", "headers", "stamped_headers"}
    | {"chain", "chord", "group_id", "group_index", "link", "link_error", "root_id", "parent_id", "reply_to"}
    | {"add_to_parent", "replaced_task_nesting"}
)

#: Options that a message of another app does not take: other connections, values that Celery's own call sets, and
#: limits that would end the task in the middle of its append.
_NOT_FOR_OTHER_APP = frozenset(
    {"connection", "producer", "publisher", "router", "result_cls", "task_type", "throw", "logfile", "loglevel"}
    | {"retries", "time_limit", "soft_time_limit", "expiration", "content_type", "content_encoding"}
)

#: Headers from which a worker reads the task of a message (celery/app/amqp.py, ``as_task_v2``).
_PROTOCOL_HEADERS = frozenset(
    {"lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit", "root_id"}
    | {"parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers"}
    | {"stamps", "compression"}
)

#: Every option that Celery and kombu have by name, the refused ones too. Any other becomes a property of the message.
_KNOWN = frozenset(PublishOptions.__annotations__) | {"content_type", "content_encoding"}


class Way(Enum):
    """How a call reaches the journal."""

    #: The caller appends; there is no message.
    NOW = "now"
    #: The caller puts the event into the journal's schedule; there is no message.
    LATER = "later"
    #: A message of the Celery app whose tasks are in the same canvas.
    CANVAS = "canvas"


def choose_way(options: Mapping[str, Any], *, is_next_step: bool = False) -> Way:
    """The way of a call with these checked options. ``is_next_step``: a worker makes the call, after another task."""
    if is_next_step or _is_in_canvas(options):
        return Way.CANVAS
    if "eta" in options or options.get("countdown", 0) > 0:
        return Way.LATER
    return Way.NOW


def check_due_before_expiry(options: Mapping[str, Any]) -> None:
    """Refuse an event that expires before it is due, where that is known without a clock.

    Raises :class:`ValidationError`.
    """
    countdown, eta, expires = options.get("countdown"), options.get("eta"), options.get("expires")
    if expires is None:
        return
    if isinstance(expires, datetime):
        if eta is not None and not countdown:
            refuse_expiry_before(_ms_of(eta), _ms_of(expires))
    elif countdown:
        refuse_expiry_before(int(countdown * 1000), int(expires * 1000))


def refuse_expiry_before(due: int, expires: int) -> None:
    """Raise :class:`ValidationError` if an event expires when it is due, or before; both in ms, from the same start."""
    if expires <= due:
        raise ValidationError(
            f"expires: {(due - expires) / 1000:g} s before the event is due, expected a time after countdown= or eta="
        )


def due_ms(options: Mapping[str, Any], now_ms: int) -> int:
    """The time at which an event with a checked ``countdown`` or ``eta`` is due, in ms since 1970.

    As in Celery, ``countdown`` wins if both are given.
    """
    countdown, eta = options.get("countdown"), options.get("eta")
    return _ms_of(eta) if eta is not None and not countdown else now_ms + int((countdown or 0) * 1000)


def sends_to_queue(options: Mapping[str, Any], queue: str) -> bool:
    """Whether a message with these options goes to this queue: Celery and kombu have three options for it."""
    named = options.get("queue") or options.get("routing_key") or options.get("exchange")
    return bool(getattr(named, "name", named) == queue)  # kombu's Queue and Exchange have a name


def options_for_own_queue(options: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """The options of a message to our own queue."""
    stamps = _stamp_names(options)
    kept = {name: value for name, value in options.items() if name in _FOR_OWN_QUEUE or name in stamps}
    return {**_with_safe_headers(kept, stamps), "queue": queue}


def options_for_other_app(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a message of the application's own Celery app."""
    kept = {name: value for name, value in options.items() if name not in _NOT_FOR_OTHER_APP}
    return _with_safe_headers(kept, _stamp_names(options))


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those that are ``None``. A time given as text becomes a ``datetime``, UTC if it has no zone.

    Raises :class:`ValidationError` for a value that a worker could not use, :class:`TypeError` for a field of the
    event among the options and for a name that looks like a typo.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given.keys() <= _KNOWN:
        _check_names(given)
    if not given.keys() & _CHECKED:
        return given
    if not _is_in_canvas(given) and given.get("serializer", "json") not in ("json", "application/json"):
        raise ValidationError("serializer: workers of publish read only json")
    if given.get("compression", "zlib") not in COMPRESSIONS:
        raise ValidationError("compression: workers of publish read zlib, gzip, bzip2 and lzma")
    for name in ("content_type", "content_encoding"):
        if name in given:
            raise ValidationError(f"{name}: not for publish, whose messages are JSON")
    if "expiration" in given:
        raise ValidationError("expiration: the broker would drop the message and its event; use expires=")
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
        given["eta"] = _to_time("eta", given["eta"], "a datetime or a text of it (ISO 8601)")
    if "expires" in given:
        if isinstance(given["expires"], datetime | str):
            given["expires"] = _to_time(
                "expires", given["expires"], "seconds or a datetime, or a text of it (ISO 8601)"
            )
        else:
            _check_seconds("expires", given["expires"], or_else=" or a datetime")
    return given


def drop_refused_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those that :func:`check_options` refuses: the message still finds its queue."""
    stamps = _stamp_names(options)
    return {name: value for name, value in options.items() if name in stamps or _is_accepted(name, value)}


def expiry_ms(expires: datetime | float, now_ms: Callable[[], int]) -> int:
    """The expiry in milliseconds since 1970 of a checked ``expires``: a datetime, or seconds from ``now_ms()``."""
    if isinstance(expires, datetime):
        return max(1, _ms_of(expires))
    return max(1, now_ms() + int(expires * 1000))


def _ms_of(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _is_in_canvas(options: Mapping[str, Any]) -> bool:
    return _SET_BY_FREEZE in options or any(options.get(name) for name in _CANVAS)


def _check_names(given: Mapping[str, Any]) -> None:
    unknown = given.keys() - _KNOWN - _stamp_names(given)
    of_the_event = [name for name in FIELDS if name in unknown]
    if of_the_event:
        raise TypeError(
            f"apply_async() got {', '.join(of_the_event)} as an option: "
            f"put fields of the event into the arguments, apply_async((channel, event, data), {{'key': ...}})"
        )
    for name in sorted(unknown):
        meant = get_close_matches(name, [*sorted(_KNOWN), *FIELDS], 1, ALIKE)
        if meant:
            raise TypeError(f"apply_async() got an unexpected option {name!r}, is it {meant[0]!r}?")


def _is_accepted(name: str, value: Any) -> bool:
    try:
        check_options({name: value})
    except (ValidationError, TypeError):
        return False
    return True


def _stamp_names(options: Mapping[str, Any]) -> set[str]:
    """Names of the options that the caller defined as headers (Celery's stamping)."""
    return set(options.get("stamped_headers") or ())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_steps(field: str, value: Any) -> None:
    """Refuse what is neither a signature nor the name of a task: Celery would send it, and the worker fail."""
    for step in value if isinstance(value, list | tuple) else (value,):
        if not isinstance(step, Mapping | str):
            raise ValidationError(f"{field}: a {type(step).__name__}, expected a signature")


def _with_safe_headers(options: dict[str, Any], stamps: set[str]) -> dict[str, Any]:
    """The options without headers of Celery's own protocol, and without stamps that have no value."""
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


def _to_time(field: str, value: Any, expected: str) -> datetime:
    """A datetime from a datetime or a text of one, UTC if it has no zone. Raises :class:`ValidationError`."""
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
