"""Clear the local variables of the frames of a traceback, before an error reaches code that may record them.

Error trackers show the local variables of every frame. Inside of this package, and of the libraries below it, these
are URLs with passwords, keys, texts to be signed, signed requests and payloads. A function that applications or workers
call is decorated with :func:`without_locals`: if it raises, its frame and the frames below are cleared. The traceback
keeps files and lines. Costs one function call, and nothing else, where nothing is raised. Imports nothing of the
package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import FunctionType, TracebackType
from typing import Any, TypeVar

__all__ = ["clear_locals", "without_locals"]

Function = TypeVar("Function", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0]

#: Top-level names of the modules, beside the standard library's, whose frames hold what this package gave them.
_LIBRARIES = frozenset(
    {
        *(_PACKAGE, "requests", "urllib3", "redis", "hiredis", "nacl", "idna", "tenacity"),
        *("celery", "kombu", "amqp", "vine", "billiard", "gevent"),
        # The outbox gives a database the body of an event.
        *("sqlalchemy", "django", "psycopg", "psycopg2", "psycopg_pool", "MySQLdb", "pymysql", "asyncpg", "aiosqlite"),
    }
)

#: Bits of `co_flags`, as in `inspect`, which is large.
CO_GENERATOR = 0x20
CO_COROUTINE = 0x80

#: Errors of one chain that are looked at: the chain may be a circle.
MAX_ERRORS = 100


def without_locals(function: Function) -> Function:
    """Decorator: an error leaves the function without the local variables of its frames, arguments included.

    See :func:`clear_locals`. The errors of a coroutine function, or of a generator function, are those of what runs
    after the call; it stays one. Not for asynchronous generators.
    """
    flags = function.__code__.co_flags if isinstance(function, FunctionType) else 0
    if flags & CO_COROUTINE:
        return _coroutine_without_locals(function)
    if flags & CO_GENERATOR:
        return _generator_without_locals(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 -- raised again
            failure = error
        del args, kwargs
        # Out of the handler: what is handled now is an error of the caller's, which keeps its frames.
        clear_locals(failure, handled=sys.exc_info()[1])
        try:
            # Without this frame, which the raise adds again.
            raise failure.with_traceback(failure.__traceback__ and failure.__traceback__.tb_next)
        finally:
            del failure  # a frame that holds its own error is a circle

    return call  # type: ignore[return-value]


# The same as `call` twice more: a common part would be one more function call for each use.


def _coroutine_without_locals(function: Function) -> Function:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 -- raised again
            failure = error
        del args, kwargs
        clear_locals(failure, handled=sys.exc_info()[1])
        try:
            raise failure.with_traceback(failure.__traceback__ and failure.__traceback__.tb_next)
        finally:
            del failure

    return call  # type: ignore[return-value]


def _generator_without_locals(function: Function) -> Function:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return (yield from function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 -- raised again
            failure = error
        del args, kwargs
        clear_locals(failure, handled=sys.exc_info()[1])
        try:
            raise failure.with_traceback(failure.__traceback__ and failure.__traceback__.tb_next)
        finally:
            del failure

    return call  # type: ignore[return-value]


def clear_locals(error: BaseException, *, handled: BaseException | None = None) -> None:
    """Clear the ended frames of an error and of its causes and contexts, up to the error ``handled`` before it.

    These are the frames of this package, of its libraries and of the standard library; a function of the application's
    (an encoder, a hook, an iterable) keeps its variables. A context that ``from None`` hides is dropped from an error
    of this package: it may quote a value.
    """
    todo: list[BaseException | None] = [error]
    seen: list[BaseException] = []
    while todo and len(seen) < MAX_ERRORS:
        one = todo.pop()
        if one is None or one is handled or any(one is other for other in seen):
            continue
        seen.append(one)
        _clear_frames(one.__traceback__)
        is_own = type(one).__module__.partition(".")[0] == _PACKAGE
        if is_own and one.__suppress_context__ and one.__cause__ is None:
            one.__context__ = handled
        todo += (one.__cause__, one.__context__, *_errors_of_group(one))


def _errors_of_group(error: BaseException) -> tuple[BaseException, ...]:
    """The errors of an ``ExceptionGroup``, which Python 3.10 does not know."""
    group: object = getattr(error, "exceptions", ())
    return tuple([one for one in group if isinstance(one, BaseException)]) if isinstance(group, tuple) else ()


def _clear_frames(traceback: TracebackType | None) -> None:
    while traceback is not None:
        frame = traceback.tb_frame
        if _is_of_library(frame.f_globals.get("__name__", "")):
            with suppress(RuntimeError):  # it still runs
                frame.clear()
        traceback = traceback.tb_next


def _is_of_library(module: object) -> bool:
    name = str(module).partition(".")[0]
    return name in _LIBRARIES or name in sys.stdlib_module_names
