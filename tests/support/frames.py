"""Look for a text in the local variables of an error's frames, as an error tracker would record them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["assert_hidden", "error_of", "errors_in_chain", "find_in_frames", "shows"]

#: Attributes, entries and elements below a variable that are looked at.
DEPTH = 3
#: Values that are looked at below one variable.
MAX_VALUES = 5000

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def error_of(call: Callable[[], object]) -> BaseException:
    """The error that a call raises."""
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def assert_hidden(error: BaseException, *texts: str) -> None:
    """Fail if a text is in a variable of a frame, except those of tests, or in an error's own text."""
    found = find_in_frames(error, texts)
    assert not found, found


def find_in_frames(error: BaseException, texts: Iterable[str]) -> list[str]:
    """Where the texts are, in all errors of the chain."""
    found = []
    texts = tuple(texts)
    for one in errors_in_chain(error):
        if any(text in f"{one} {one!r}" for text in texts):
            found.append(f"text of {type(one).__name__}")
        traceback = one.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if not frame.f_code.co_filename.startswith(_TESTS):
                found += [
                    f"{frame.f_code.co_filename}:{traceback.tb_lineno} {frame.f_code.co_name}: {name}"
                    for name, value in dict(frame.f_locals).items()
                    if shows(value, texts)
                ]
            traceback = traceback.tb_next
    return found


def errors_in_chain(error: BaseException) -> list[BaseException]:
    """The error, its causes and contexts, and those of a group."""
    todo, chain = [error], []
    while todo:
        one = todo.pop()
        if one is not None and all(one is not other for other in chain):
            chain.append(one)
            todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]  # type: ignore[list-item]
    return chain


def shows(value: object, texts: Iterable[str]) -> bool:
    """Whether a text is in the ``repr`` of the value, or of what is in it, three levels deep."""
    seen: set[int] = set()
    level = [value]
    for _ in range(DEPTH + 1):
        below: list[object] = []
        for one in level:
            if id(one) in seen or isinstance(one, ModuleType | type | FunctionType | MethodType):
                continue
            seen.add(id(one))
            if any(text in _repr(one) for text in texts):
                return True
            if len(seen) < MAX_VALUES:
                below += _parts(one)
        level = below
    return False


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(error).__name__}>"


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, str | bytes | bytearray | int | float | BaseException):
        return
    if isinstance(value, Mapping):
        try:
            yield from dict(value).items()
        except Exception:
            return
    elif isinstance(value, tuple | list | set | frozenset):
        yield from list(value)
    attributes: dict[str, Any] = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            with suppress(Exception):  # a slot may be a property that fails
                attributes.setdefault(name, getattr(value, name, None) if not name.startswith("__") else None)
    yield from attributes.values()
