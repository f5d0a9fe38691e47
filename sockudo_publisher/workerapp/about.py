"""The remote control command that describes a worker to the doctor.

Applications' own Celery apps may share the broker, so a node that answers a ping need not be this package's.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery.worker.control import inspect_command

from .. import __version__
from ..config.settings import get_settings
from ..wiring.app import target_of

__all__ = ["ABOUT", "about"]

#: The command's name in Celery's remote control.
ABOUT = "sockudo_publisher_about"


def about(_state: Any, **_: Any) -> dict[str, Any]:
    """Version, lanes, the names of the apps, and the app id and host of each; no URL, no secret."""
    settings = get_settings()
    names = sorted(settings.app_urls())
    targets = {name: asdict(target_of(settings, name)) for name in names}
    return {"version": __version__, "lanes": settings.lanes, "apps": names, "targets": targets}


inspect_command(name=ABOUT)(about)
