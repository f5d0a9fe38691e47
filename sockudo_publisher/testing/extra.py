"""What the extra ``testing`` brings. Imports nothing of it."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["require_extra"]

#: What the embedded server and a subscriber import.
_MODULES = ("starlette", "uvicorn", "websockets")


def require_extra(name: str) -> None:
    """Raise :class:`ModuleNotFoundError` that says what to install for a fixture or a class."""
    missing = [module for module in _MODULES if find_spec(module) is None]
    if missing:
        raise ModuleNotFoundError(
            f"{name} needs an extra (not installed: {', '.join(missing)}): pip install 'sockudo-publisher[testing]'"
        )
