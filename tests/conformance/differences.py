"""Where the embedded server differs from 5.2.0 on purpose: facts by id (or pattern), with the reason.

A fact that is not here must agree. An entry whose facts all agree fails too, so that the table cannot grow old.
"""

from __future__ import annotations

__all__ = ["DIFFERENCES"]

DIFFERENCES: dict[str, str] = {}
