"""Answer the two requests of a browser: may this socket subscribe, and who is it?

``authorize`` and ``sign_in`` for synchronous frameworks, ``authorize_async`` and ``sign_in_async`` for the others. Each
takes the request's form and the user of the session, and returns a status with a body, whatever was posted: malformed
forms are 4xx. Nothing is signed unless a permission function said yes to the very channel that is signed.

A function's plain no is logged at DEBUG, a channel without a pattern at WARNING (and, once, all patterns at INFO).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from ...client.sockudo import Sockudo
from ...client.wire.form import MAX_FORM_BYTES, Form
from ...client.wire.limits import check_channel
from ...errors import ValidationError
from ...redaction import package_logger
from ..calls import CallAsync, CallSync, call_from_async, call_from_sync, in_loop, in_thread
from .ask import TIMEOUT_S, judge_call, judge_call_async
from .member import Allowed, Denied, Verdict, with_id_text
from .pattern import ChannelKind
from .registry import Found, Registry
from .request import ChannelRequest, is_too_large, read_channel_request, read_socket_id
from .users import is_anonymous, user_label

__all__ = ["HEADERS", "AuthAnswer", "UserData", "authorize", "authorize_async", "sign_in", "sign_in_async"]

logger = package_logger("sockudo_publisher.contrib.permissions")

#: ``user_data(user)``: what a sign-in signs, a mapping with ``id``; ``None`` for a user who may not sign in.
UserData: TypeAlias = Callable[[Any], Any]

#: Headers of every answer: it is for one socket, and may hold a channel's secret.
HEADERS: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store"})

#: What a denied browser reads: pusher-js shows the status. It does not tell a channel that is not there from one that
#: belongs to another user.
NOT_ALLOWED = "not allowed"
NO_USER = "sign in first"

#: Patterns that one log line names; the rest is a number.
MAX_LOGGED_PATTERNS = 50


@dataclass(frozen=True)
class AuthAnswer:
    """What to answer: ``body`` as JSON.

    ``status``: 200; 400 malformed form, ``field`` names what is wrong; 401 no user; 403 not allowed; 413 too large.
    ``body``: for 200 what pusher-js expects (``auth``, ``channel_data``, ``shared_secret``); for a batch an object with
    ``status`` and ``data`` for each channel; else ``{"error": ...}``. It is in no ``repr``.
    """

    status: int
    body: dict[str, Any] = field(repr=False)
    field: str | None = None


def authorize(
    registry: Registry,
    client: Sockudo,
    form_body: Form,
    user: object,
    *,
    allow_anonymous: bool = False,
    timeout_s: float = TIMEOUT_S,
    call_async: CallAsync = in_loop,
) -> AuthAnswer:
    """May this user's socket subscribe? From synchronous code.

    ``form_body``: as posted (bytes or text), or the form as the framework has parsed it. ``user``: of the session or
    token, handed to the permission function as it is. A user that is ``None``, or whose ``is_authenticated`` is false,
    is answered 401, unless ``allow_anonymous``. ``timeout_s``: seconds for the coroutine functions of this request;
    synchronous ones are not stopped. ``call_async`` runs a coroutine function (default: in a loop of its own).
    """
    refused, request = _read(form_body, user, allow_anonymous=allow_anonymous, read=read_channel_request)
    if request is None:
        return refused
    deadline = time.monotonic() + timeout_s
    answers: dict[str, AuthAnswer] = {}
    for channel in request.channels:
        answer, found = _deciding(registry, channel, user)
        if found is not None:
            kind = _kind_of(channel)
            verdict = judge_call(found, kind, channel, user, deadline=deadline, call_async=call_async)
            answer = _signed(client, request.socket_id, channel, found, verdict, user)
        answers[channel] = answer
    return _joined(request, answers)


async def authorize_async(
    registry: Registry,
    client: Sockudo,
    form_body: Form,
    user: object,
    *,
    allow_anonymous: bool = False,
    timeout_s: float = TIMEOUT_S,
    call_sync: CallSync = in_thread,
) -> AuthAnswer:
    """As :func:`authorize`, from a coroutine. ``timeout_s`` bounds synchronous functions too.

    These run by ``call_sync`` (default: in one of 32 threads); one that is too slow is a no, and its thread goes on.
    """
    refused, request = _read(form_body, user, allow_anonymous=allow_anonymous, read=read_channel_request)
    if request is None:
        return refused
    deadline = time.monotonic() + timeout_s
    answers: dict[str, AuthAnswer] = {}
    for channel in request.channels:
        answer, found = _deciding(registry, channel, user)
        if found is not None:
            kind = _kind_of(channel)
            verdict = await judge_call_async(found, kind, channel, user, deadline=deadline, call_sync=call_sync)
            answer = _signed(client, request.socket_id, channel, found, verdict, user)
        answers[channel] = answer
    return _joined(request, answers)


def sign_in(
    client: Sockudo, form_body: Form, user: object, user_data: UserData, *, call_async: CallAsync = in_loop
) -> AuthAnswer:
    """Who is this socket? From synchronous code. ``user_data(user)``: a mapping with ``id``, or ``None`` for a no.

    An ``id`` that is a number or a UUID becomes text. A function that raises, or whose answer cannot be signed, is
    logged and answered 403.
    """
    refused, socket_id = _read(form_body, user, allow_anonymous=False, read=read_socket_id)
    if socket_id is None:
        return refused
    try:
        return _signed_in(client, socket_id, call_from_sync(user_data, user, call_async=call_async), user)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is no
        return _sign_in_failed(error, user)


async def sign_in_async(
    client: Sockudo, form_body: Form, user: object, user_data: UserData, *, call_sync: CallSync = in_thread
) -> AuthAnswer:
    """As :func:`sign_in`, from a coroutine."""
    refused, socket_id = _read(form_body, user, allow_anonymous=False, read=read_socket_id)
    if socket_id is None:
        return refused
    try:
        return _signed_in(client, socket_id, await call_from_async(user_data, user, call_sync=call_sync), user)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is no
        return _sign_in_failed(error, user)


def _read(
    form_body: Form, user: object, *, allow_anonymous: bool, read: Callable[[Form], Any]
) -> tuple[AuthAnswer, Any]:
    """What was read, or ``None`` and why not."""
    if is_too_large(form_body):
        return AuthAnswer(413, {"error": f"form body: limit {MAX_FORM_BYTES} bytes"}), None
    if is_anonymous(user) and not allow_anonymous:
        logger.debug("denied: no user, or one who has not signed in user=%s", user_label(user))
        return AuthAnswer(401, {"error": NO_USER}), None
    try:
        return _DENIED, read(form_body)
    except ValidationError as error:
        return _malformed(error), None


def _malformed(error: ValidationError) -> AuthAnswer:
    message = str(error)
    return AuthAnswer(400, {"error": message}, field=message.partition(":")[0])


_DENIED = AuthAnswer(403, {"error": NOT_ALLOWED})


def _kind_of(channel: str) -> ChannelKind:
    kind = ChannelKind.of(channel)
    assert kind is not None, "only such channels are matched"
    return kind


def _deciding(registry: Registry, channel: str, user: object) -> tuple[AuthAnswer, Found | None]:
    """The function that decides, or ``None`` and the answer."""
    try:
        channel = check_channel(channel)
    except ValidationError as error:
        return _malformed(error), None
    if ChannelKind.of(channel) is None:
        public = "channel_name: a public channel, expected private-… or presence-…"
        return AuthAnswer(400, {"error": public}, field="channel_name"), None
    found = registry.find(channel)
    if len(found) == 1:
        return _DENIED, found[0]
    if found:
        logger.error("denied: %s patterns match channel=%s user=%s", len(found), channel, user_label(user))
    else:
        logger.warning("denied: no pattern matches channel=%s user=%s", channel, user_label(user))
        _log_patterns_once(registry)
    return _DENIED, None


def _log_patterns_once(registry: Registry) -> None:
    """Which patterns there are: the line before has the channel alone. Once, until the patterns change."""
    texts = registry.pop_unlogged_patterns()
    if texts is None:
        return
    more = len(texts) - MAX_LOGGED_PATTERNS
    shown = [*texts[:MAX_LOGGED_PATTERNS], *([f"and {more} more"] if more > 0 else [])]
    logger.info("permissions of this endpoint patterns=%s", ", ".join(shown) or "none")


def _signed(client: Sockudo, socket_id: str, channel: str, found: Found, verdict: Verdict, user: object) -> AuthAnswer:
    if isinstance(verdict, Denied):
        if verdict.fault is None:
            pattern, name = found.permission.pattern_text, found.permission.name
            message = "denied: the permission function said no pattern=%s permission=%s channel=%s user=%s"
            logger.debug(message, pattern, name, channel, user_label(user))
        return _DENIED
    assert isinstance(verdict, Allowed)
    try:
        return AuthAnswer(200, dict(client.authenticate(channel, socket_id, verdict.member)))
    except ValidationError as error:
        # Socket and channel were checked, so that this is about the member, or a missing master key.
        fault = str(error)
    except Exception as error:  # noqa: BLE001 -- of an encoder of the application's
        fault = f"member not encoded, {type(error).__name__}"
    logger.error("denied: %s channel=%s user=%s", fault, channel, user_label(user))
    return _DENIED


def _joined(request: ChannelRequest, answers: dict[str, AuthAnswer]) -> AuthAnswer:
    if not request.is_batch:
        (answer,) = answers.values()
        return answer
    return AuthAnswer(
        200,
        {
            channel: {"status": 200, "data": answer.body} if answer.status == 200 else {"status": answer.status}
            for channel, answer in answers.items()
        },
    )


def _signed_in(client: Sockudo, socket_id: str, user_data: object, user: object) -> AuthAnswer:
    if user_data is None or user_data is False:
        logger.debug("sign-in refused: user_data said no user=%s", user_label(user))
        return _DENIED
    return AuthAnswer(200, dict(client.authenticate_user(socket_id, with_id_text(user_data))))


def _sign_in_failed(error: Exception, user: object) -> AuthAnswer:
    if isinstance(error, ValidationError):
        logger.error("sign-in refused: %s user=%s", error, user_label(user))
    else:
        logger.error(
            "sign-in refused: user_data failed error=%s user=%s", type(error).__name__, user_label(user), exc_info=error
        )
    return _DENIED
