"""A page for operators: what flows, what waits, what needs a person, and the actions on it.

Starlette, with the extra ``dashboard``. ``access`` decides who may do what and is pure, ``watching`` shares one look at
Redis among all viewers, ``views`` turns what is read into JSON, ``actions`` calls :mod:`..operations`; the page itself
is in ``page/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .application import asgi_app

__all__ = ["asgi_app"]


def __getattr__(name: str) -> Any:
    if name != "asgi_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from .application import asgi_app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise ModuleNotFoundError(
            f"the dashboard needs an extra (not installed: {error.name}): pip install 'sockudo-publisher[dashboard]'",
            name=error.name,
        ) from None
    globals()[name] = asgi_app
    return asgi_app
