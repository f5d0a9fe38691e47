"""The ``progress`` of a bulk job: called with the number stored, and with the total if it takes one."""

from __future__ import annotations

from collections.abc import Callable, Sized
from functools import partial
from operator import index
from typing import SupportsIndex, TypeAlias, cast

from ..errors import ValidationError

__all__ = ["Progress", "progress_with_total"]

#: What the caller gives: ``progress(stored)``, or ``progress(stored, total)``; ``total`` is ``None`` if not known.
Progress: TypeAlias = Callable[[int], object] | Callable[[int, int | None], object]


def progress_with_total(progress: Progress | None, total: int | None, events: object) -> Callable[[int], object] | None:
    """The callable that takes the number stored alone.

    Raises :class:`TypeError` for a ``progress`` that cannot be called or a ``total`` that is no whole number, and
    :class:`ValidationError` for a negative one.
    """
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: a {type(progress).__name__}, expected a callable that takes a number")
    if total is not None:
        total = _as_count(total)
    if progress is None:
        return None
    how = _how_it_takes_total(progress)
    if how is None:
        return cast("Callable[[int], object]", progress)
    # Only here: len() of a database query may run it.
    if total is None and isinstance(events, Sized):
        total = len(events)
    if how == "by name":
        return partial(cast("Callable[..., object]", progress), total=total)
    return lambda stored: cast("Callable[..., object]", progress)(stored, total)


def _as_count(total: object) -> int:
    if isinstance(total, bool) or not isinstance(total, SupportsIndex):
        raise TypeError(f"total: a {type(total).__name__}, expected a whole number or None")
    number = index(total)
    if number < 0:
        raise ValidationError(f"total: {number}, expected 0 or more, or None if it is not known")
    return number


def _how_it_takes_total(progress: Progress) -> str | None:
    """``"by name"``, ``"by position"``, or ``None``: a callable of one argument, as ``print`` or ``list.append``."""
    import inspect  # here: most bulk jobs have no progress

    try:
        parameters = list(inspect.signature(progress).parameters.values())
    except (TypeError, ValueError):  # written in C without a signature
        return None
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(places) > 1 and (places[1].default is places[1].empty or places[1].name == "total"):
        return "by position"
    if any(one.name == "total" and one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters):
        # The first parameter is the number stored, whatever its name is.
        return None if places and places[0].name == "total" else "by name"
    return None
