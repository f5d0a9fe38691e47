"""What a worker says of itself when the doctor asks: Celery's remote control with one question of ours.

Own Celery apps may share our broker, so a node that answers a ping need not be one of ours.
"""

from __future__ import annotations

from typing import Any

from celery.worker.control import inspect_command

from .. import __version__
from ..settings import get_settings

__all__ = ["ABOUT", "about"]

#: The command's name in Celery's remote control.
ABOUT = "sockudo_publisher_about"


def about(_state: Any, **_: Any) -> dict[str, Any]:
    """Version, lanes and the names of the apps; no URL, no secret."""
    settings = get_settings()
    return {"version": __version__, "lanes": settings.lanes, "apps": sorted(settings.app_urls())}


inspect_command(name=ABOUT)(about)
