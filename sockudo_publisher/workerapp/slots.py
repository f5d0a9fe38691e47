"""How many drains this process's worker can run at once."""

from __future__ import annotations

__all__ = ["count"]

#: 0: not known, taken for scarce. The sweep's step sets it before the pool starts, so that forked children know it too.
count = 0
