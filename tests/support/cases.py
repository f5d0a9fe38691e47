"""Cases of one test of which some run in `make test` and the others, for depth, in `make test-depth`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest


def in_depth(cases: Mapping[str, Any] | Iterable[Any], *, quick: Collection[str]) -> list[Any]:
    """The cases as parameters, `long` if their name is not among ``quick``. A case of a list is its own name."""
    named = dict(cases) if isinstance(cases, Mapping) else {str(case): case for case in cases}
    absent = set(quick) - set(named)
    assert not absent, f"no such cases: {sorted(absent)}"
    return [
        pytest.param(case, id=name, marks=[] if name in quick else [pytest.mark.long]) for name, case in named.items()
    ]
