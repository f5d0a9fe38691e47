"""Checks that the optional dependencies of a command are installed."""

from __future__ import annotations

from importlib.util import find_spec

import click

__all__ = ["is_rich_installed", "require_demo_extra"]

#: The modules of the extra ``demo``.
DEMO_EXTRA = ("starlette", "uvicorn", "websockets")


def is_rich_installed() -> bool:
    """Whether the extra ``cli`` is there. Loads it."""
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return True


def require_demo_extra(command: str) -> None:
    """Raise :class:`click.UsageError`, with the command that installs them, if modules of the extra are missing."""
    missing = [name for name in DEMO_EXTRA if find_spec(name) is None]
    if missing:
        raise click.UsageError(
            f"{command} needs an extra (not installed: {', '.join(missing)}): pip install 'sockudo-publisher[demo]'"
        )
