"""Ask a permission function, with a bound on its time.

One that raises, is too slow or answers nonsense is a no, which is logged with channel and user, without the form and
without the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ...redaction import package_logger
from ..calls import CallAsync, CallSync, call_from_async, call_from_sync, in_loop, in_thread
from .member import Denied, Verdict, judge_answer
from .pattern import ChannelKind
from .registry import Found
from .users import user_label

__all__ = ["TIMEOUT_S", "judge_call", "judge_call_async"]

logger = package_logger("sockudo_publisher.contrib.permissions")

#: Seconds for all permission functions of one request together.
TIMEOUT_S = 5.0


def judge_call(
    found: Found, kind: ChannelKind, channel: str, user: object, *, deadline: float, call_async: CallAsync = in_loop
) -> Verdict:
    """Ask from synchronous code. ``deadline`` (monotonic seconds) ends coroutines alone: a thread cannot be stopped."""

    async def bounded(coroutine: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await asyncio.wait_for(coroutine(), max(deadline - time.monotonic(), 0))

    def run(coroutine: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return call_async(partial(bounded, coroutine))

    name = found.permission.name
    try:
        answer = call_from_sync(found.permission.function, user, call_async=run, **found.arguments)
        verdict = judge_answer(kind, answer)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is no
        return _denied_by_error(error, name, channel, user, deadline)
    return _log_fault(verdict, name, channel, user)


async def judge_call_async(
    found: Found, kind: ChannelKind, channel: str, user: object, *, deadline: float, call_sync: CallSync = in_thread
) -> Verdict:
    """Ask from a coroutine, until ``deadline`` (monotonic seconds). A thread goes on after it, unheard."""
    name = found.permission.name
    try:
        call = call_from_async(found.permission.function, user, call_sync=call_sync, **found.arguments)
        answer = await asyncio.wait_for(call, max(deadline - time.monotonic(), 0))
        verdict = judge_answer(kind, answer)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is no
        return _denied_by_error(error, name, channel, user, deadline)
    return _log_fault(verdict, name, channel, user)


def _denied_by_error(error: Exception, name: str, channel: str, user: object, deadline: float) -> Verdict:
    # Its own TimeoutError, of a database for example, comes earlier and is a failure.
    if isinstance(error, asyncio.TimeoutError) and time.monotonic() >= deadline:
        _log("denied: the permission function is too slow", name, channel, user)
        return Denied("timeout")
    logger.error(
        "denied: the permission function failed error=%s permission=%s channel=%s user=%s",
        *(type(error).__name__, name, channel, user_label(user)),
        exc_info=error,
    )
    return Denied("failed")


def _log_fault(verdict: Verdict, name: str, channel: str, user: object) -> Verdict:
    if isinstance(verdict, Denied) and verdict.fault is not None:
        _log(f"denied: the permission function {verdict.fault}", name, channel, user)
    return verdict


def _log(message: str, name: str, channel: str, user: object) -> None:
    logger.error(message + " permission=%s channel=%s user=%s", name, channel, user_label(user))
