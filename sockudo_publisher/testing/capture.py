"""``capture_published()``: a recorder for the length of a block, a function, or the tests of a class."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any, TypeVar

from ..config.settings import reload_settings
from . import active
from .recorded import Published
from .recorder import Recorder
from .replaced import replace_journal

__all__ = ["capture_published"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

#: The argument that a decorated function may have.
_ARGUMENT = "published"

#: The attribute of a decorated function: its class gives it no second recorder.
_MARK = "__has_sockudo_recorder__"


class capture_published:  # noqa: N801 -- used as a function, as unittest.mock's `patch`
    """Record what is published in this process instead of storing and sending it: no Redis, no server.

    ``with capture_published() as published: ...``, or a decorator of a function, a coroutine function or a class of
    tests; a function with an argument ``published`` gets the recorder. ``immediate_on_commit``: what waits for a commit
    (``delay_on_commit``, the outboxes) is recorded at the call. Raises :class:`RuntimeError` under another recorder.
    """

    def __init__(self, *, immediate_on_commit: bool = False) -> None:
        self._immediate_on_commit = immediate_on_commit
        self._ends: list[ExitStack] = []
        #: Where it begins, for the error of a second recorder; by default the line of code.
        self.where: str | None = None

    def __enter__(self) -> Published:
        where = self.where or _place_of(sys._getframe(1))
        with ExitStack() as ends:
            ends.enter_context(active.only_recorder(where))
            recorder = Recorder(immediate_on_commit=self._immediate_on_commit)
            # Apps of before have no dummy master key, those of the recorder have: both are dropped.
            reload_settings()
            ends.callback(reload_settings)
            ends.enter_context(replace_journal(recorder))
            self._ends.append(ends.pop_all())
        return Published(recorder)

    def __exit__(self, *_: object) -> None:
        self._ends.pop().close()

    async def __aenter__(self) -> Published:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __call__(self, decorated: _Decorated) -> _Decorated:
        """The function, or the class of tests, with a recorder of its own for each call."""
        if isinstance(decorated, type):
            for name, test in list(vars(decorated).items()):
                if name.startswith("test") and inspect.isfunction(test) and not hasattr(test, _MARK):
                    setattr(decorated, name, self._wrapped(test))
            return decorated
        return self._wrapped(decorated)  # type: ignore[return-value]

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        gets_recorder = _ARGUMENT in inspect.signature(function).parameters

        def new() -> capture_published:
            return capture_published(immediate_on_commit=self._immediate_on_commit)

        def with_recorder(kwargs: dict[str, Any], published: Published) -> dict[str, Any]:
            return {**kwargs, _ARGUMENT: published} if gets_recorder else kwargs

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with new() as published:
                    return await function(*args, **with_recorder(kwargs, published))

            made: Callable[..., Any] = run_async
        else:

            @wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                with new() as published:
                    return function(*args, **with_recorder(kwargs, published))

            made = run
        setattr(made, _MARK, True)
        if gets_recorder:  # pytest would look for a fixture
            signature = inspect.signature(function)
            rest = [one for name, one in signature.parameters.items() if name != _ARGUMENT]
            made.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return made


def _place_of(frame: Any) -> str:
    while frame is not None and frame.f_globals.get("__name__", "").startswith(__package__):
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
