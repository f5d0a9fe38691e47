"""A function of docs/permissions.md, as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["recipe"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"


def recipe(name: str) -> Callable[..., Any]:
    """The function of that name."""
    (block,) = re.findall(rf"^```python\n(def {name}\(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec", dont_inherit=True), module)
    function: Callable[..., Any] = module[name]
    return function
