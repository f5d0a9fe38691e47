"""What a command needs beyond the package's own dependencies. Pure but for the look at what is installed."""

from __future__ import annotations

from importlib.util import find_spec

import click

__all__ = ["require_demo_extra"]

#: The modules of the extra ``demo``.
DEMO_EXTRA = ("starlette", "uvicorn", "websockets")


def require_demo_extra(what: str) -> None:
    """Raise :class:`click.UsageError` that says how to install what is missing."""
    missing = [name for name in DEMO_EXTRA if find_spec(name) is None]
    if missing:
        raise click.UsageError(
            f"{what} needs an extra (not installed: {', '.join(missing)}): pip install 'sockudo-publisher[demo]'"
        )
