"""Which observers this process has: those that the settings name, and those that its program has switched on."""

from __future__ import annotations

from collections.abc import Iterable

from .observer import NOTHING, Observer, combine

__all__ = ["choose_observer", "switch_on"]

#: Switched on by a program: a worker writes a summary line, and counts for the port that it serves.
_switched_on: dict[str, Observer | None] = {}

#: By what they were chosen for. Children of a fork have their parent's.
_made: dict[tuple[str, ...], Observer] = {}


def switch_on(name: str, observer: Observer | None = None) -> None:
    """Let apps that are made from now on be observed so: by a name of ``SOCKUDO_TELEMETRY``, or by an observer."""
    _switched_on[name] = observer
    _made.clear()


def choose_observer(names: Iterable[str]) -> Observer:
    """The observer for these names and those that are switched on. Raises nothing: modules were looked for before."""
    chosen = tuple(sorted({*names, *_switched_on}))
    if not chosen:
        return NOTHING
    made = _made.get(chosen)
    if made is None:
        made = _made.setdefault(chosen, combine([_observer_named(name) for name in chosen]))
    return made


def _observer_named(name: str) -> Observer:
    given = _switched_on.get(name)
    if given is not None:
        return given
    if name == "prometheus":
        from .prometheus import OBSERVER

        return OBSERVER
    if name == "otel":
        from .otel import TracingObserver

        return TracingObserver()
    return NOTHING
