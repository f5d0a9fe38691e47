"""Call a function of the application, synchronous or a coroutine function, from either world.

A synchronous function runs in a thread for a coroutine, so that it never blocks the loop; a coroutine function runs
in a loop of its own for synchronous code. A framework that has its own way gives that (``CallSync``, ``CallAsync``).
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

__all__ = ["CallAsync", "CallSync", "call_from_async", "call_from_sync", "in_loop", "in_thread"]

#: Synchronous functions that run at the same time for coroutines of this process: each is a thread. A function that
#: never returns keeps its thread; with all of them taken, further calls wait.
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
        pid, ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="sockudo-contrib")
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

    thread = threading.Thread(target=copy_context().run, args=(run,), name="sockudo-contrib-loop")
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
