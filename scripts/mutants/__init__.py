"""Planted bugs: each a small change of the code that some test must find in time.

A group is a module of this package with a table ``MUTANTS``; ``python -m scripts.mutants`` plants them, one by one, in
a copy of the package.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GROUPS", "Mutant"]

#: The tables, each ``scripts/mutants/NAME.py``.
GROUPS = ("delivery", "client", "producing", "scheduled")


@dataclass(frozen=True)
class Mutant:
    """A breakage. ``old`` is in ``file`` exactly once; with ``new`` in its place ``test`` must fail.

    ``why``: what would go wrong for users. ``file`` is relative to the checkout; ``test`` are the arguments of
    ``python``: a command that passes on the unchanged code and exits with 1 when it finds something; ``limit_s``:
    seconds in which it must have found it.
    """

    name: str
    why: str
    file: str
    old: str
    new: str
    test: tuple[str, ...]
    limit_s: float = 240.0
