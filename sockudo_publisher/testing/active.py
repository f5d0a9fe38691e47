"""Whether this process may publish now: what has begun that records events, or gives them a server of the test's own.

Imports nothing: the plugin asks it in every session with ``sockudo_block``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_allowed", "only_recorder", "publishing_allowed"]

#: Where the recorder of this process began.
_recorder: list[str] = []

#: Fixtures under which publishing is meant.
_allowed: list[str] = []


def is_allowed() -> bool:
    """Whether a recorder or a server of the test's own is there."""
    return bool(_recorder or _allowed)


@contextmanager
def only_recorder(where: str) -> Iterator[None]:
    """Raise :class:`RuntimeError` under another recorder: each event would be recorded by one of them alone."""
    if _recorder:
        raise RuntimeError(
            f"a recorder is there already, begun at {_recorder[0]}: use that one "
            "(the fixture `published` is one; so is each capture_published())"
        )
    _recorder.append(where)
    try:
        yield
    finally:
        _recorder.remove(where)


@contextmanager
def publishing_allowed(fixture: str) -> Iterator[None]:
    """Publishing is meant, under this fixture."""
    _allowed.append(fixture)
    try:
        yield
    finally:
        _allowed.remove(fixture)
