"""Call a function of the application, synchronous or not, from either world, with a bound on its time.

A permission that raises, or is too slow, is a no. Which is logged with channel and user, without the form and without
the answer. Other functions (the data of a sign-in, a webhook's handler) raise to their caller.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

from ...redaction import package_logger
from .member import Denied, Verdict, judge_answer
from .pattern import ChannelKind
from .registry import Found
from .users import user_label

__all__ = ["TIMEOUT_S", "CallAsync", "CallSync", "call_from_async", "call_from_sync", "judge_call", "judge_call_async"]

logger = package_logger("sockudo_publisher.contrib.permissions")

#: Seconds for all permission functions of one request together.
TIMEOUT_S = 5.0

#: Synchronous functions that run at the same time for coroutines of this process: each is a thread. A function that
#: never returns keeps its thread; with all of them taken, further calls wait and are then denied.
MAX_THREADS = 32


class CallSync(Protocol):
    """Runs a synchronous function for a coroutine: Django's needs ``sync_to_async``, for its connections."""

    def __call__(self, function: Callable[[], Any], /) -> Awaitable[Any]:
        """Await its answer."""


class CallAsync(Protocol):
    """Runs a coroutine for synchronous code: Django's is ``async_to_sync``."""

    def __call__(self, function: Callable[[], Coroutine[Any, Any, Any]], /) -> Any:
        """Its answer."""


_executors: dict[int, ThreadPoolExecutor] = {}


def in_thread(function: Callable[[], Any], /) -> Awaitable[Any]:
    """Run it in a thread of this module, with the caller's context variables."""
    pid = os.getpid()  # a fork has none of its parent's threads
    executor = _executors.get(pid) or _executors.setdefault(
        pid, ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="sockudo-permission")
    )
    return asyncio.get_running_loop().run_in_executor(executor, copy_context().run, function)


def in_loop(function: Callable[[], Coroutine[Any, Any, Any]], /) -> Any:
    """Run a coroutine to its end in a loop of its own; in a thread of its own if this one runs a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(function())
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(function()))
        except BaseException as error:  # noqa: BLE001 -- raised by the caller's thread
            failure.append(error)

    thread = threading.Thread(target=copy_context().run, args=(run,), name="sockudo-permission-loop")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def is_async(function: object) -> bool:
    """Whether a call of it gives a coroutine: a coroutine function, also as a method, a partial or an instance."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function) and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )


async def call_from_async(
    function: Callable[..., Any], *args: Any, call_sync: CallSync = in_thread, **kwargs: Any
) -> Any:
    """The function's answer; a synchronous one runs in a thread, so that it never blocks the loop."""
    if is_async(function):
        return await function(*args, **kwargs)
    answer = await call_sync(partial(function, *args, **kwargs))
    return await answer if inspect.isawaitable(answer) else answer


def call_from_sync(function: Callable[..., Any], *args: Any, call_async: CallAsync = in_loop, **kwargs: Any) -> Any:
    """The function's answer; a coroutine function runs in a loop of its own."""
    if not is_async(function):
        answer = function(*args, **kwargs)
        if not inspect.isawaitable(answer):
            return answer
        return call_async(partial(_wait_for, answer))

    return call_async(partial(function, *args, **kwargs))


async def _wait_for(answer: Awaitable[Any]) -> Any:
    return await answer


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
