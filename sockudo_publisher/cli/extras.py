"""Checks that the optional dependencies of a command are installed."""

from __future__ import annotations

from importlib.util import find_spec

import click

__all__ = ["is_rich_installed", "require_dashboard_extra", "require_demo_extra"]

#: The modules of the extras ``dashboard`` and ``demo``.
DASHBOARD_EXTRA = ("starlette", "uvicorn")
DEMO_EXTRA = (*DASHBOARD_EXTRA, "websockets")


def is_rich_installed() -> bool:
    """Whether the extra ``cli`` is there. Loads it."""
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return True


def require_demo_extra(command: str) -> None:
    """Raise :class:`click.UsageError`, with the command that installs them, if modules of the extra are missing."""
    _require("demo", DEMO_EXTRA, command)


def require_dashboard_extra(command: str) -> None:
    """As :func:`require_demo_extra`, of the extra ``dashboard``."""
    _require("dashboard", DASHBOARD_EXTRA, command)


def _require(extra: str, modules: tuple[str, ...], command: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise click.UsageError(
            f"{command} needs an extra (not installed: {', '.join(missing)}): pip install 'sockudo-publisher[{extra}]'"
        )
