"""The failures that a test orders: ``published.fail(JournalUnavailable)``."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import (
    AuthFailed,
    BacklogFull,
    BadRequest,
    BadStatus,
    CallError,
    Forbidden,
    JournalUnavailable,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServerError,
    SockudoConnectionError,
    SockudoError,
    SockudoHTTPError,
)

__all__ = ["Failure", "Failures"]

_TEXT = "ordered by the test (published.fail)"

#: The status of an error that is given as a class.
_STATUS: dict[type[SockudoHTTPError], int] = {
    SockudoHTTPError: 500,
    BadStatus: 500,
    ServerError: 500,
    BadRequest: 400,
    AuthFailed: 401,
    Forbidden: 403,
    NotFound: 404,
    PayloadTooLarge: 413,
    RateLimited: 429,
}


class Failure:
    """One ordered failure. ``with published.fail(...):`` ends it with the block. ``raised``: how often it was."""

    def __init__(self, error: SockudoError, times: int | None) -> None:
        self._error = error
        self._left = times
        self.raised = 0

    @property
    def is_of_calls(self) -> bool:
        """Whether direct calls fail with it; else it is the journal's."""
        return isinstance(self._error, CallError)

    def take(self) -> SockudoError | None:
        """A copy of the error for one more call, or ``None`` when it was raised often enough."""
        if self._left == 0:
            return None
        if self._left is not None:
            self._left -= 1
        self.raised += 1
        kind, arguments = type(self._error), self._error.args
        error = kind.__new__(kind, *arguments)
        error.args = arguments
        error.__dict__.update(self._error.__dict__)
        return error

    def end(self) -> None:
        """Raise it no more."""
        self._left = 0

    def __enter__(self) -> Failure:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Failures:
    """The failures of one recorder, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._ordered: list[Failure] = []
        self._lock = threading.Lock()

    def order(self, error: Any, times: int | None) -> Failure:
        """Raises :class:`TypeError` for what production code never raises at the append or in a call."""
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise ValueError(f"times: {times!r}, expected a number of 1 or more, or None for every call")
        failure = Failure(_instance(error), times)
        with self._lock:
            self._ordered.append(failure)
        return failure

    def raise_next(self, *, is_of_calls: bool) -> None:
        """Raise what was ordered for the journal, or for direct calls, if anything was."""
        with self._lock:
            for failure in self._ordered:
                if failure.is_of_calls is is_of_calls and (error := failure.take()) is not None:
                    raise error

    def end(self) -> None:
        """Raise no more of what was ordered."""
        with self._lock:
            self._ordered.clear()


def _instance(error: Any) -> SockudoError:
    if isinstance(error, type):
        if issubclass(error, JournalUnavailable):
            error = error(_TEXT, stored=False)
        elif issubclass(error, SockudoConnectionError):
            error = error(_TEXT, sent=False)
        elif issubclass(error, SockudoHTTPError):
            error = error(_STATUS.get(error, 500), None, _TEXT)
        elif issubclass(error, BacklogFull):
            error = error(_TEXT)
    if not isinstance(error, JournalUnavailable | BacklogFull | CallError):
        what = error.__name__ if isinstance(error, type) else type(error).__name__
        raise TypeError(
            f"published.fail(): {what}, expected JournalUnavailable or BacklogFull (of the journal), SockudoHTTPError, "
            "one of its kinds or SockudoConnectionError (of a direct call), as a class or an instance"
        )
    return error
